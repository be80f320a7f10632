"""Whether a device version says on a golden case what it must say, point by point."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model_serving.domain.interpret import DIAMETER, VOLUME, Interpretation
from model_serving.domain.prepare import TensorPlan, VolumePlan
from udcmodel.golden import ExpectedBox, ExpectedFinding, ExpectedRegion, GoldenCase, Near
from udcmodel.planes import to_patient, voxel_volume_mm3_of
from udcmodel.result import Box, Finding, Segment, SegmentLocation, unpack_mask
from udcmodel.stack import StackFrame
from udcmodel.vocabulary import Presence

_PRESENCE: Final = {"present": Presence.PRESENT, "absent": Presence.ABSENT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was compared, in words."""

    what: str
    expected: str
    got: str
    is_passed: bool

    def __str__(self) -> str:
        return f"{self.what}: expected {self.expected}, got {self.got}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What one case gave."""

    case: str
    picture: str
    checks: tuple[Check, ...]

    @property
    def is_passed(self) -> bool:
        """Whether everything was as it must be."""
        return all(check.is_passed for check in self.checks)

    def complaint(self) -> str:
        """Say what was not as it must be; empty when all was."""
        wrong = [str(check) for check in self.checks if not check.is_passed]
        return f"golden case {self.case}: {'; '.join(wrong)}" if wrong else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Region:
    """A region as a viewer would see it: from the segment's own pixels, beside what the device says about it."""

    centroid_mm: NDArray[np.float64]
    volume_ml: float
    measured: Mapping[str, float]


def judge(case: GoldenCase, interpretation: Interpretation, plans: Mapping[str, TensorPlan]) -> CaseResult:
    """Compare what a device says with what it must say.

    Args:
        case: What must be said.
        interpretation: What is said.
        plans: By the input's name: the frames on which segments lie.
    """
    frames = {
        (frame.sop_instance_uid, frame.frame_number): (frame, float(volume))
        for plan in plans.values()
        if isinstance(plan, VolumePlan)
        for frame, volume in zip(plan.frames, voxel_volume_mm3_of(plan.frames), strict=True)
    }
    segments = {segment.number: segment for segment in interpretation.segments}
    checks: list[Check] = []
    for expected in case.expect:
        said = [item for item in interpretation.findings if _is_of(item, expected)]
        checks.extend(_check_finding(expected, said, segments, frames))
    return CaseResult(case=case.case, picture=case.picture, checks=tuple(checks))


def failed_case(case: GoldenCase, why: str) -> CaseResult:
    """Return the result of a case on which the device gave no answer at all."""
    check = Check(what="an answer", expected="findings", got=why, is_passed=False)
    return CaseResult(case=case.case, picture=case.picture, checks=(check,))


def _is_of(finding: Finding, expected: ExpectedFinding) -> bool:
    """Say whether a finding is the expected one, or one of its components, whose ids end in a number."""
    prefix, _, number = finding.id.rpartition("-")
    return finding.id == expected.finding or (prefix == expected.finding and number.isdigit())


def _check_finding(
    expected: ExpectedFinding,
    said: Sequence[Finding],
    segments: Mapping[int, Segment],
    frames: Mapping[tuple[str, int], tuple[StackFrame, float]],
) -> Iterable[Check]:
    name = expected.finding
    presences = {item.presence for item in said}
    yield Check(
        what=f"{name}: presence",
        expected=expected.presence,
        got=" and ".join(sorted(presence.value.lower() for presence in presences)) or "nothing",
        is_passed=presences == {_PRESENCE[expected.presence]},
    )
    if expected.probability is not None:
        found = next((item.probability for item in said if item.probability is not None), None)
        yield _near(f"{name}: probability", expected.probability, found)
    if expected.regions is not None:
        located = [(item, place) for item in said for place in item.locations]
        regions = [
            _region(segments[place.segment_number], item, frames)
            for item, place in located
            if isinstance(place, SegmentLocation)
        ]
        yield from _check_regions(name, expected.regions, regions)
    if expected.boxes is not None:
        boxes = [place for item in said for place in item.locations if isinstance(place, Box)]
        yield from _check_boxes(name, expected.boxes, boxes)


def _check_regions(name: str, expected: Sequence[ExpectedRegion], found: Sequence[_Region]) -> Iterable[Check]:
    yield _count(f"{name}: regions", len(expected), len(found))
    left = list(found)
    for number, wanted in enumerate(expected, start=1):
        where = f"{name}: region {number}"
        place = np.asarray(wanted.centroid_mm.at)
        distances = [float(np.linalg.norm(region.centroid_mm - place)) for region in left]
        if not left:
            yield Check(what=where, expected=f"at {_point(place)} mm", got="nothing", is_passed=False)
            continue
        nearest = left.pop(int(np.argmin(distances)))
        yield Check(
            what=f"{where}, centre",
            expected=f"{_point(place)} mm, within {wanted.centroid_mm.within:g}",
            got=f"{_point(nearest.centroid_mm)}, {min(distances):.1f} away",
            is_passed=min(distances) <= wanted.centroid_mm.within,
        )
        if wanted.volume_ml is not None:
            yield _near(f"{where}, volume of the segment, ml", wanted.volume_ml, nearest.volume_ml)
            if VOLUME.value in nearest.measured:
                yield _near(f"{where}, volume as measured, ml", wanted.volume_ml, nearest.measured[VOLUME.value])
        if wanted.max_diameter_mm is not None:
            measured = nearest.measured.get(DIAMETER.value)
            yield _near(f"{where}, maximum diameter, mm", wanted.max_diameter_mm, measured)


def _region(segment: Segment, finding: Finding, frames: Mapping[tuple[str, int], tuple[StackFrame, float]]) -> _Region:
    volume_mm3, moment = 0.0, np.zeros(3)
    for plane in segment.frames:
        frame, voxel_mm3 = frames[plane.sop_instance_uid, plane.frame_number]
        rows, columns = np.nonzero(unpack_mask(plane.packed_mask, rows=segment.rows, columns=segment.columns))
        points = to_patient(frame, rows.astype(np.float64), columns.astype(np.float64))
        volume_mm3 += len(rows) * voxel_mm3
        moment += points.sum(axis=0) * voxel_mm3
    return _Region(
        centroid_mm=moment / volume_mm3 if volume_mm3 else moment,
        volume_ml=volume_mm3 / 1000.0,
        measured={item.name.value: item.value for item in finding.measurements},
    )


def _check_boxes(name: str, expected: Sequence[ExpectedBox], found: Sequence[Box]) -> Iterable[Check]:
    yield _count(f"{name}: boxes", len(expected), len(found))
    for number, wanted in enumerate(expected, start=1):
        best = max((_overlap(wanted, box) for box in found), default=0.0)
        yield Check(
            what=f"{name}: box {number}",
            expected=f"overlap of at least {wanted.overlap:g}",
            got=f"{best:.2f}",
            is_passed=best >= wanted.overlap,
        )


def _overlap(wanted: ExpectedBox, box: Box) -> float:
    """Return intersection over union."""
    width = min(wanted.right, box.right) - max(wanted.left, box.left)
    height = min(wanted.bottom, box.bottom) - max(wanted.top, box.top)
    common = max(0.0, width) * max(0.0, height)
    areas = [(item.right - item.left) * (item.bottom - item.top) for item in (wanted, box)]
    return common / (sum(areas) - common)


def _count(what: str, expected: int, got: int) -> Check:
    return Check(what=what, expected=str(expected), got=str(got), is_passed=expected == got)


def _near(what: str, expected: Near, got: float | None) -> Check:
    return Check(
        what=what,
        expected=f"{expected.value:g} ± {expected.within:g}",
        got="nothing" if got is None else f"{got:.4g}",
        is_passed=got is not None and abs(got - expected.value) <= expected.within,
    )


def _point(point: NDArray[np.float64]) -> str:
    return f"({', '.join(f'{value:.1f}' for value in point)})"
