"""Stacks: the unit of image input. A series is split wherever its images do not belong to one stack."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique
from typing import Any, Final

from study_router.domain.instances import Header, InstanceClass
from study_router.domain.studies import StoredInstance
from udcmodel.geometry import Geometry, diagnose
from udcmodel.ids import derive
from udcmodel.stack import StackDescriptor, StackFrame

_SAME_DIRECTION: Final = 0.01
"""Largest difference of direction cosines inside a stack; a reformat is turned by far more."""


@unique
class Exclusion(StrEnum):
    """Why a stack is no input unless a device asks for it."""

    LOCALIZER = "LOCALIZER"
    REFORMATTED = "REFORMATTED"
    SECONDARY = "SECONDARY"
    BOLUS_MONITORING = "BOLUS_MONITORING"
    DOSE = "DOSE"
    BURNED_IN = "BURNED_IN"
    NO_PIXELS = "NO_PIXELS"
    MULTI_FRAME = "MULTI_FRAME"
    """Several frames in one object that does not say where each of them lies."""
    DERIVED_IMAGE = "DERIVED_IMAGE"
    """Made from other images, by a workstation or by another device."""
    COLOUR = "COLOUR"
    """Painted over: such a modality measures one value for each pixel."""
    DERIVED_OBJECT = "DERIVED_OBJECT"
    """A report, segmentation, presentation state or key object of somebody else."""


_REFORMATS: Final = frozenset(
    {"MPR", "MIP", "MINIP", "MNIP", "CPR", "VRT", "VR", "SSD", "REFORMATTED", "PROJECTION IMAGE", "THIN_MIP", "3D"}
    | {"RESAMPLED", "MAXIMUM", "MINIMUM"}
)
_BOLUS: Final = re.compile(
    r"monitoring|bolus|smart ?prep|sure ?start|tracker|болюс|мониторинг", re.IGNORECASE | re.UNICODE
)
_DOSE: Final = re.compile(r"dose (report|info)|patient protocol|screen ?save|отч[её]т о дозе|доза", re.IGNORECASE)
_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"


@dataclass(frozen=True, slots=True)
class Stack:
    """Images that belong together.

    Attributes:
        key: Stable name inside the study.
        archive: Archive from which it is taken.
        study_instance_uid: (0020,000D).
        headers: One for each frame, in the order of ``geometry``: along the normal.
        geometry: Where the images lie; indices are those of ``headers``.
        exclusion: Why it is no input, or None.
        arrivals: When its images came, in order, each moment once.
    """

    key: str
    archive: str
    study_instance_uid: str
    headers: tuple[Header, ...]
    geometry: Geometry
    exclusion: Exclusion | None
    arrivals: tuple[datetime, ...]

    @property
    def last_arrival_at(self) -> datetime:
        """When its latest image came."""
        return self.arrivals[-1]

    @property
    def first(self) -> Header:
        """The first image, which speaks for what all share."""
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
    by_series: dict[tuple[str, bool], dict[str, list[StoredInstance]]] = {}
    for instance in instances:
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
        for group in _split(headers) if is_source else [headers]:
            exclusion = exclusion_of(group[0]) if is_source else Exclusion.DERIVED_OBJECT
            stacks.append(_stack(group, archive, study_instance_uid, arrived, exclusion))
    return tuple(stacks)


def _place_in_series(header: Header) -> tuple[int, str, int]:
    number = header.instance_number if header.instance_number is not None else 0
    return (number, header.sop_instance_uid, header.frame_number)


def _stack(
    headers: Sequence[Header],
    archive: str,
    study_instance_uid: str,
    arrived: Mapping[str, datetime],
    exclusion: Exclusion | None,
) -> Stack:
    geometry = diagnose([frame_of(header) for header in headers])
    ordered = tuple(headers[index] for index in geometry.order)
    return Stack(
        key=str(derive("stack", ordered[0].series_instance_uid, *map(str, kind_of(ordered[0])), str(_volume(ordered)))),
        archive=archive,
        study_instance_uid=study_instance_uid,
        headers=ordered,
        geometry=diagnose([frame_of(header) for header in ordered]),
        exclusion=exclusion,
        arrivals=tuple(sorted({arrived[header.sop_instance_uid] for header in headers})),
    )


def _volume(headers: Sequence[Header]) -> tuple[str, ...]:
    """Return what tells one volume of a series from another scanned at the same places."""
    first = headers[0]
    parts: list[str] = []
    for read in _VOLUME_KEYS:
        values = {read(header) for header in headers}
        parts.append(str(read(first)) if len(values) == 1 else "")
    return tuple(parts)


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
        header.kernel,
        header.view_position,
        header.laterality,
        header.stack_id,
    )


_VOLUME_KEYS: Final[tuple[Callable[[Header], object], ...]] = (
    lambda header: header.temporal_position,
    lambda header: header.acquisition_number,
    lambda header: header.acquisition_time,
)
"""What may tell several volumes of one series apart, tried in this order and only where positions repeat: sequential
scanners number every slice as an acquisition of its own."""


def _split(headers: Sequence[Header]) -> list[list[Header]]:
    kinds: dict[tuple[Any, ...], list[Header]] = {}
    for header in headers:
        kinds.setdefault(kind_of(header), []).append(header)
    groups: list[list[Header]] = []
    for kind in kinds.values():
        if kind[0].position is None:
            # Projections are one stack each: two views are two images, not a volume.
            groups.extend([header] for header in kind)
            continue
        for direction in _by_direction(kind):
            groups.extend(_by_volume(direction))
    return groups


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


def _by_volume(headers: list[Header]) -> list[list[Header]]:
    if not _repeats(headers):
        return [headers]
    for read in _VOLUME_KEYS:
        volumes: dict[object, list[Header]] = {}
        for header in headers:
            volumes.setdefault(read(header), []).append(header)
        if len(volumes) > 1 and not any(_repeats(volume) for volume in volumes.values()):
            return list(volumes.values())
    return [headers]


def _repeats(headers: Sequence[Header]) -> bool:
    geometry = diagnose([frame_of(header) for header in headers])
    return geometry.repeats > 1 or bool(geometry.duplicates)


def exclusion_of(header: Header) -> Exclusion | None:
    """Say why images like this one are no input, or None."""
    kinds = {value.upper() for value in header.image_type}
    text = f"{header.series_description} {header.protocol}"
    if header.rows == 0 or header.columns == 0:
        return Exclusion.NO_PIXELS
    if kinds & {"LOCALIZER", "SCOUT"}:
        return Exclusion.LOCALIZER
    if kinds & {"SCREEN SAVE", "DOSE", "DOSE_INFO"} or _DOSE.search(text):
        return Exclusion.DOSE
    if kinds & _REFORMATS:
        return Exclusion.REFORMATTED
    if "SECONDARY" in kinds or header.sop_class_uid.startswith(_SECONDARY_CAPTURE):
        return Exclusion.SECONDARY
    if header.modality == "CT" and _BOLUS.search(text):
        return Exclusion.BOLUS_MONITORING
    if header.modality == "CT" and "DERIVED" in kinds and header.is_made_from_images:
        return Exclusion.DERIVED_IMAGE
    if header.modality in {"CT", "MR"} and header.photometric and not header.photometric.startswith("MONOCHROME"):
        return Exclusion.COLOUR
    if header.burned_in.upper() == "YES":
        return Exclusion.BURNED_IN
    if header.number_of_frames > 1:
        return Exclusion.MULTI_FRAME
    return None
