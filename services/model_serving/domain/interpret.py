"""From a model's answer to findings, regions, measurements and texts.

Presence follows from the probability alone. Where a mask or a box says otherwise, the result says so in a flag; nothing
is made to fit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model_serving.domain.components import regions_of
from model_serving.domain.failure import Reason, RunFailedError
from model_serving.domain.prepare import ImagePlan, TensorPlan, VolumePlan
from model_serving.domain.regions import Region, regions_on_frames
from model_serving.domain.source import SourceImages
from model_serving.domain.texts import Reading, texts_of
from model_serving.domain.wording import Flag, Language, flag_text, number
from udcmodel.manifest import BoxOutput, FindingSpec, LabelsOutput, Manifest
from udcmodel.manifest.schema import Element, MaskRef
from udcmodel.result import (
    Box,
    Code,
    Finding,
    Location,
    Measurement,
    QualityFlag,
    Segment,
    SegmentLocation,
    Text,
)
from udcmodel.vocabulary import Presence

VOLUME: Final = Code("118565006", "SCT", "Volume")
DIAMETER: Final = Code("81827009", "SCT", "Diameter")
MAXIMUM: Final = Code("56851009", "SCT", "Maximum")
VOXEL_SUM: Final = Code("126030", "DCM", "Sum of segmented voxel method for volume")
MILLILITRE: Final = Code("ml", "UCUM", "milliliter")
MILLIMETRE: Final = Code("mm", "UCUM", "millimeter")
MORPHOLOGY: Final = Code("49755003", "SCT", "Morphologically Abnormal Structure")

_TILT_WORTH_SAYING_DEG: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpretation:
    """What the answer says, on the source images."""

    findings: tuple[Finding, ...]
    segments: tuple[Segment, ...]
    texts: tuple[Text, ...]
    quality_flags: tuple[QualityFlag, ...]


@dataclass(slots=True, kw_only=True)
class _Answer:
    """The answer being read, and what has been read so far."""

    manifest: Manifest
    plans: Mapping[str, TensorPlan]
    outputs: Mapping[str, NDArray[Any]]
    sources: Mapping[str, SourceImages]
    readings: list[Reading] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    flags: list[QualityFlag] = field(default_factory=list)

    @property
    def language(self) -> Language:
        return self.manifest.language

    def flag(self, flag: Flag, *facts: str) -> None:
        self.flags.append(QualityFlag(flag.value, flag_text(flag, self.language, *facts)))


def interpret(
    manifest: Manifest,
    plans: Mapping[str, TensorPlan],
    outputs: Mapping[str, NDArray[Any]],
    sources: Mapping[str, SourceImages],
) -> Interpretation:
    """Read a model's answer.

    Args:
        manifest: The device's.
        plans: How the tensor of each input was made, by the input's name.
        outputs: The answer, checked, by the output's name.
        sources: The values of each input, by the input's name.

    Returns:
        At least one finding for each that the manifest names, present or absent. Segments only of what is present.

    Raises:
        RunFailedError: the manifest reads an output in a way that its form does not allow.
    """
    answer = _Answer(manifest=manifest, plans=plans, outputs=outputs, sources=sources)
    for plan in plans.values():
        if isinstance(plan, VolumePlan):
            _flag_geometry(answer, plan)
    for spec in manifest.findings:
        _read(answer, spec)
    return Interpretation(
        findings=tuple(reading.finding for reading in answer.readings),
        segments=tuple(answer.segments),
        texts=texts_of(answer.readings, manifest.language),
        quality_flags=tuple(answer.flags),
    )


def _flag_geometry(answer: _Answer, plan: VolumePlan) -> None:
    geometry, language = plan.geometry, answer.language
    if geometry.tilt_deg > _TILT_WORTH_SAYING_DEG:
        answer.flag(Flag.TILTED, number(geometry.tilt_deg, language, decimals=1))
    if len(geometry.spacings_mm) > 1:
        spacings = "; ".join(number(spacing, language, decimals=2) for spacing in geometry.spacings_mm)
        answer.flag(Flag.VARIABLE_SPACING, spacings)
    if geometry.gaps:
        answer.flag(Flag.FRAMES_MISSING, str(len(geometry.gaps)))
    if geometry.duplicates:
        answer.flag(Flag.POSITIONS_REPEATED, str(len(geometry.duplicates)))


def _read(answer: _Answer, spec: FindingSpec) -> None:
    score = _score(answer, spec.probability)
    # In the model's own precision: 0.7 as float32 lies below 0.7.
    is_present = bool(score >= score.dtype.type(spec.presence.threshold))
    title = getattr(spec.title, answer.language)
    regions = _regions(answer, spec, spec.mask) if spec.mask is not None else []
    if spec.mask is not None and is_present != bool(regions):
        answer.flag(Flag.PRESENCE_WITHOUT_MASK if is_present else Flag.MASK_WITHOUT_PRESENCE, title)
    plain = Finding(
        id=spec.id,
        code=spec.code,
        presence=Presence.PRESENT if is_present else Presence.ABSENT,
        category=spec.category,
        probability=round(float(score), 6),
        site=spec.site,
        locations=_boxes(answer, spec, spec.box, title) if is_present and spec.box is not None else (),
    )
    if not (is_present and regions):
        answer.readings.append(Reading(title, plain))
        return
    for index, region in enumerate(regions, start=1):
        segment = _segment(answer, spec, region, label=f"{title} {index}" if len(regions) > 1 else title)
        answer.segments.append(segment)
        located = replace(
            plain,
            id=f"{spec.id}-{index}" if spec.per == "component" else spec.id,
            measurements=_measured(spec, region),
            locations=(SegmentLocation(segment_number=segment.number), *plain.locations),
        )
        answer.readings.append(Reading(segment.label, located))


def _segment(answer: _Answer, spec: FindingSpec, region: Region, *, label: str) -> Segment:
    frame = answer.plans[_input_of(answer, spec)].frames[0]
    return Segment(
        number=len(answer.segments) + 1,
        label=label,
        category=spec.category or MORPHOLOGY,
        type=spec.code,
        rows=frame.rows,
        columns=frame.columns,
        frames=tuple(region.frames),
    )


def _measured(spec: FindingSpec, region: Region) -> tuple[Measurement, ...]:
    measured = []
    for wanted in spec.measurements:
        match wanted:
            case "volume":
                value = round(region.volume_ml, 3)
                measured.append(Measurement(name=VOLUME, value=value, unit=MILLILITRE, method=VOXEL_SUM))
            case "max_diameter":
                value = round(region.max_diameter_mm(), 1)
                measured.append(Measurement(name=DIAMETER, value=value, unit=MILLIMETRE, derivation=MAXIMUM))
    return tuple(measured)


def _regions(answer: _Answer, spec: FindingSpec, mask: MaskRef) -> Sequence[Region]:
    """Return the regions of a finding on its source frames: one for all, or one for each connected component."""
    name = _input_of(answer, spec)
    plan = answer.plans[name]
    if not isinstance(plan, VolumePlan):
        raise RunFailedError(Reason.RESULT_IMPOSSIBLE, f"finding {spec.id} has a mask on an input that is no volume")
    labels = answer.outputs[mask.output].reshape(plan.grid.shape)
    numbered = regions_of(labels == mask.label, voxel_ml=plan.grid.voxel_ml, min_volume_ml=mask.min_volume_ml)
    if spec.per != "component":
        numbered = (numbered > 0).astype(np.int32)
    else:
        _leave_out_the_smallest(answer, spec, numbered)
    return list(regions_on_frames(numbered, plan, answer.sources[name]).values())


def _leave_out_the_smallest(answer: _Answer, spec: FindingSpec, numbered: NDArray[np.int32]) -> None:
    """Keep as many regions as the manifest allows: they are numbered by size, and a reader is told of the rest."""
    most, count = answer.manifest.limits.components, int(numbered.max())
    if most is not None and count > most:
        numbered[numbered > most] = 0
        answer.flag(Flag.REGIONS_LEFT_OUT, getattr(spec.title, answer.language), str(count), str(most))


def _boxes(answer: _Answer, spec: FindingSpec, element: Element, title: str) -> tuple[Location, ...]:
    output = answer.manifest.output(element.output)
    plan = answer.plans[output.input] if isinstance(output, BoxOutput) else None
    if not isinstance(plan, ImagePlan):
        raise RunFailedError(Reason.RESULT_IMPOSSIBLE, f"finding {spec.id} has a box on an input that is no image")
    boxes = answer.outputs[element.output].reshape(-1, 4)
    if element.index >= len(boxes):
        raise RunFailedError(Reason.RESULT_IMPOSSIBLE, f"output {element.output} has no box {element.index}")
    left, top, right, bottom = boxes[element.index].astype(np.float64).tolist()
    frame = plan.frames[0]
    x = np.clip([plan.letterbox.to_image(side, 0.0)[0] for side in (left, right)], 0.0, frame.columns).round(3)
    y = np.clip([plan.letterbox.to_image(0.0, side)[1] for side in (top, bottom)], 0.0, frame.rows).round(3)
    if not (x[0] < x[1] and y[0] < y[1]):
        answer.flag(Flag.PRESENCE_WITHOUT_BOX, title)
        return ()
    return (
        Box(
            sop_instance_uid=frame.sop_instance_uid,
            left=float(x[0]),
            top=float(y[0]),
            right=float(x[1]),
            bottom=float(y[1]),
            frame_number=frame.frame_number,
        ),
    )


def _score(answer: _Answer, element: Element) -> np.floating[Any]:
    scores = answer.outputs[element.output].reshape(-1)
    if element.index >= len(scores):
        raise RunFailedError(Reason.RESULT_IMPOSSIBLE, f"output {element.output} has no element {element.index}")
    score: np.floating[Any] = scores[element.index]
    return score


def _input_of(answer: _Answer, spec: FindingSpec) -> str:
    output = answer.manifest.output(spec.mask.output) if spec.mask is not None else None
    if not isinstance(output, LabelsOutput):
        raise RunFailedError(Reason.RESULT_IMPOSSIBLE, f"the mask of finding {spec.id} is read from no labels")
    return output.input
