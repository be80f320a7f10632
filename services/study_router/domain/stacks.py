"""Stacks: the unit of image input. A series is split wherever its images do not belong to one stack."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from study_router.domain.exclusions import Exclusion, exclusion_of
from study_router.domain.instances import SLICES, Header, InstanceClass
from study_router.domain.rejections import rejections
from study_router.domain.studies import StoredInstance
from study_router.domain.volumes import volumes_of
from udcmodel.geometry import Geometry, diagnose
from udcmodel.ids import derive
from udcmodel.stack import StackDescriptor, StackFrame

_SAME_DIRECTION: Final = 0.01
"""Largest difference of direction cosines inside a stack; a reformat is turned by far more."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Images that belong together.

    Attributes:
        key: Name inside the study, the same in whatever order its images came.
        archive: Archive from which it is taken.
        study_instance_uid: (0020,000D).
        headers: One for each frame, in the order of ``geometry``: along the normal.
        geometry: Where the images lie; indices are those of ``headers``.
        exclusion: Why it is no input, or None.
        exclusion_why: Who says so, where somebody does.
        common: The first image without what the images say differently: what can be said of all of them.
        arrivals: When its images came, in order, each moment once.
    """

    key: str
    archive: str
    study_instance_uid: str
    headers: tuple[Header, ...]
    geometry: Geometry
    exclusion: Exclusion | None
    exclusion_why: str
    common: Header
    arrivals: tuple[datetime, ...]

    @property
    def last_arrival_at(self) -> datetime:
        """When its latest image came."""
        return self.arrivals[-1]

    @property
    def first(self) -> Header:
        """The first image, for what is the same in all images of a stack or a series."""
        return self.headers[0]

    @property
    def series_instance_uid(self) -> str:
        """(0020,000E)."""
        return self.first.series_instance_uid

    @property
    def scanned(self) -> tuple[int, int, str, int]:
        """Which scan of its series it is, as far as headers say; an earlier one is smaller."""
        return min(
            (
                header.temporal_position or 0,
                header.acquisition_number or 0,
                header.acquisition_time,
                header.instance_number or 0,
            )
            for header in self.headers
        )

    def descriptor(self) -> StackDescriptor:
        """Return the stack as a job's input."""
        return StackDescriptor(
            archive=self.archive,
            study_instance_uid=self.study_instance_uid,
            series_instance_uid=self.series_instance_uid,
            modality=self.first.modality,
            frame_of_reference_uid=self.first.frame_of_reference_uid,
            frames=tuple(frame_of(header) for header in self.headers),
            instance_count=len({header.sop_instance_uid for header in self.headers}),
        )


def frame_of(header: Header) -> StackFrame:
    """Return the image plane of a frame."""
    return StackFrame(
        sop_class_uid=header.sop_class_uid,
        sop_instance_uid=header.sop_instance_uid,
        frame_number=header.frame_number,
        rows=header.rows,
        columns=header.columns,
        position=header.position,
        row_direction=header.row_direction,
        column_direction=header.column_direction,
        pixel_spacing=header.pixel_spacing,
    )


def build_stacks(
    instances: Iterable[StoredInstance], *, study_instance_uid: str, archives: Sequence[str]
) -> tuple[Stack, ...]:
    """Build the stacks of a study: those of its images, and one for each series of others' derived objects.

    Derived objects are never an input; they are among the stacks so that every decision accounts for every series.

    Every series is taken from the archive that holds most of it; between equals from the one that showed the study
    first, so that a copy in a second archive changes nothing.

    Args:
        instances: Everything known of the study.
        study_instance_uid: (0020,000D).
        archives: Archives that may be read, first seen first.
    """
    known = list(instances)
    rejected = rejections(known)
    by_series: dict[tuple[str, bool], dict[str, list[StoredInstance]]] = {}
    for instance in known:
        if instance.instance_class is not InstanceClass.OWN_RESULT and instance.archive in archives:
            is_source = instance.instance_class is InstanceClass.SOURCE
            series = by_series.setdefault((instance.header.series_instance_uid, is_source), {})
            series.setdefault(instance.archive, []).append(instance)
    stacks: list[Stack] = []
    for uid, is_source in sorted(by_series):
        copies = by_series[uid, is_source]
        archive = max(copies, key=lambda name: (len(copies[name]), -archives.index(name)))
        arrived = {item.header.sop_instance_uid: item.arrived_at for item in copies[archive]}
        images = [image for item in copies[archive] for image in item.header.images()]
        headers = sorted(images, key=_place_in_series)
        if not is_source:
            stacks.append(_stack(headers, archive, study_instance_uid, arrived, (Exclusion.DERIVED_OBJECT, "")))
            continue
        alike: dict[_Excluded, list[Header]] = {}
        for header in headers:
            alike.setdefault(_excluded(header, rejected), []).append(header)
        for excluded, some in alike.items():
            stacks.extend(_stack(group, archive, study_instance_uid, arrived, excluded) for group in _split(some))
    return tuple(stacks)


_Excluded = tuple[Exclusion | None, str]


def _excluded(header: Header, rejected: Mapping[str, str]) -> _Excluded:
    exclusion, note = exclusion_of(header), rejected.get(header.sop_instance_uid)
    return (exclusion, "") if exclusion is not None or note is None else (Exclusion.REJECTED, note)


def _place_in_series(header: Header) -> tuple[int, str, int]:
    number = header.instance_number if header.instance_number is not None else 0
    return (number, header.sop_instance_uid, header.frame_number)


def _stack(
    headers: Sequence[Header],
    archive: str,
    study_instance_uid: str,
    arrived: Mapping[str, datetime],
    excluded: _Excluded,
) -> Stack:
    geometry = diagnose([frame_of(header) for header in headers])
    ordered = tuple(headers[index] for index in geometry.order)
    return Stack(
        key=str(derive("stack", ordered[0].series_instance_uid, *_first_name(headers))),
        archive=archive,
        study_instance_uid=study_instance_uid,
        headers=ordered,
        geometry=diagnose([frame_of(header) for header in ordered]),
        exclusion=excluded[0],
        exclusion_why=excluded[1],
        common=_common(ordered),
        arrivals=tuple(sorted({arrived[header.sop_instance_uid] for header in headers})),
    )


_MAY_DIFFER: Final = (
    "body_part",
    "protocol",
    "slice_thickness",
    "contrast_agent",
    "manufacturer",
    "model",
    "photometric",
    "presentation_intent",
)
"""Fields that rules may ask for and that do not split a series."""
_UNKNOWN: Final = Header(sop_class_uid="", sop_instance_uid="", series_instance_uid="")


def _common(headers: Sequence[Header]) -> Header:
    contradictory = [name for name in _MAY_DIFFER if len({getattr(header, name) for header in headers}) > 1]
    told_by_all = set.intersection(*({(fact.name, fact.value) for fact in header.told} for header in headers))
    told = tuple(fact for fact in headers[0].told if (fact.name, fact.value) in told_by_all)
    return replace(headers[0], told=told, **{name: getattr(_UNKNOWN, name) for name in contradictory})


def _first_name(headers: Iterable[Header]) -> tuple[str, str]:
    uid, frame = min((header.sop_instance_uid, header.frame_number) for header in headers)
    return uid, str(frame)


def kind_of(header: Header) -> tuple[Any, ...]:
    """Return what all images of a stack share, orientation aside."""
    return (
        header.sop_class_uid,
        header.modality,
        header.frame_of_reference_uid,
        header.image_type,
        header.rows,
        header.columns,
        header.b_value,
        header.echo_time,
        header.kvp,
        header.energy_kev,
        header.kernel,
        header.view_position,
        header.laterality,
        header.stack_id,
    )


def _split(headers: Sequence[Header]) -> list[list[Header]]:
    kinds: dict[tuple[Any, ...], list[Header]] = {}
    for header in headers:
        kinds.setdefault(kind_of(header), []).append(header)
    groups: list[list[Header]] = []
    for kind in kinds.values():
        placed = [header for header in kind if _is_placed(header)]
        lost = [header for header in kind if not _is_placed(header)]
        directions = _by_direction(placed)
        if kind[0].modality not in SLICES:
            # Projections are one stack each: two views are two images, not a volume.
            groups.extend([header] for header in lost)
        elif lost and len(directions) == 1:
            # Nobody knows where in the volume they belong: it is not complete without them.
            groups.append(kind)
            continue
        elif lost:
            groups.append(lost)
        for direction in directions:
            groups.extend(volumes_of(direction))
    return groups


def _is_placed(header: Header) -> bool:
    return None not in {header.position, header.row_direction, header.column_direction}


def _by_direction(headers: Sequence[Header]) -> list[list[Header]]:
    groups: list[list[Header]] = []
    for header in headers:
        for group in groups:
            if _is_parallel(group[0], header):
                group.append(header)
                break
        else:
            groups.append([header])
    return groups


def _is_parallel(one: Header, other: Header) -> bool:
    pairs = ((one.row_direction, other.row_direction), (one.column_direction, other.column_direction))
    for first, second in pairs:
        if first is None or second is None:
            return first is second
        if max(abs(a - b) for a, b in zip(first, second, strict=True)) > _SAME_DIRECTION:
            return False
    return True
