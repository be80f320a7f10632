"""``AiResult``: what a device says about its inputs, the same for every backend.

Its invariants are checked once, in ``check``: a value that passed may be archived; nothing later repairs it.
"""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from udckit.errors import InvalidRequestError
from udcmodel.vocabulary import Presence


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept: value, scheme (``SCT``, ``DCM``, ``LN``, ``UCUM``) and meaning of at most 64 characters."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A number with its meaning; ``unit`` is a UCUM code."""

    name: Code
    value: float
    unit: Code
    derivation: Code | None = None
    method: Code | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentLocation:
    """The finding is the segment ``segment_number`` of the same result (from 1)."""

    segment_number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """An axis-parallel box in one image.

    Pixel coordinates as in SCOORD (PS3.3 C.18.6): x is the column, y the row, (0, 0) the upper left corner of the upper
    left pixel, so a pixel's centre is at +0.5.
    """

    sop_instance_uid: str
    left: float
    top: float
    right: float
    bottom: float
    frame_number: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Contour:
    """A closed polyline in one image; ``points`` are (x, y) in pixels as for ``Box``; the last equals the first."""

    sop_instance_uid: str
    points: tuple[tuple[float, float], ...]
    frame_number: int = 1


Location = SegmentLocation | Box | Contour


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something the device looked for. ``id`` is unique in the result; ``probability`` is 0 to 1."""

    id: str
    code: Code
    presence: Presence
    category: Code | None = None
    probability: float | None = None
    site: Code | None = None
    laterality: Code | None = None
    measurements: tuple[Measurement, ...] = ()
    locations: tuple[Location, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFrame:
    """One plane of a segment in the matrix of its source frame; ``packed_mask`` as made by ``pack_mask``."""

    sop_instance_uid: str
    packed_mask: bytes
    frame_number: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A labelled region. Only planes with at least one voxel are present, in the order of the input."""

    number: int
    label: str
    category: Code
    type: Code
    rows: int
    columns: int
    frames: tuple[SegmentFrame, ...]


@unique
class TextKind(StrEnum):
    """What a text of the vendor is."""

    FINDINGS = "FINDINGS"
    CONCLUSION = "CONCLUSION"
    RECOMMENDATION = "RECOMMENDATION"


@dataclass(frozen=True, slots=True)
class Text:
    """A text of the vendor, verbatim."""

    kind: TextKind
    text: str


@dataclass(frozen=True, slots=True)
class QualityFlag:
    """Something about the input that a reader of the result should know."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Timing:
    """When a stage ran: ``retrieve``, ``prepare``, ``infer``, ``interpret``."""

    stage: str
    started_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Everything that decided what the result is."""

    job: str
    device: str
    version: str
    manifest_digest: str
    model_digest: str
    processing_version: str
    input_digests: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInstance:
    """An instance that was really used."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AiResult:
    """A device's answer to one job."""

    provenance: Provenance
    language: str
    findings: tuple[Finding, ...]
    sources: tuple[SourceInstance, ...]
    segments: tuple[Segment, ...] = ()
    texts: tuple[Text, ...] = ()
    quality_flags: tuple[QualityFlag, ...] = ()
    timings: tuple[Timing, ...] = ()


def pack_mask(mask: NDArray[np.bool_]) -> bytes:
    """Pack one plane.

    Args:
        mask: Shape ``(rows, columns)``.

    Returns:
        zlib-compressed bits, row by row, most significant bit first, padded with zero bits at the very end.
    """
    return zlib.compress(np.packbits(mask, axis=None).tobytes(), level=6)


def unpack_mask(packed: bytes, *, rows: int, columns: int) -> NDArray[np.bool_]:
    """Undo ``pack_mask``: return a plane of shape ``(rows, columns)``.

    Raises:
        InvalidRequestError: the bytes are not a packed plane of that size.
    """
    size = (rows * columns + 7) // 8
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(packed, size + 1)
    except zlib.error as error:
        raise InvalidRequestError("a plane of a mask is not zlib data") from error
    if len(raw) != size or not inflater.eof:
        raise InvalidRequestError(f"a plane of a mask does not hold {rows} x {columns} bits")
    return np.unpackbits(np.frombuffer(raw, np.uint8), count=rows * columns).astype(np.bool_).reshape(rows, columns)


def check(result: AiResult) -> None:
    """Refuse a result that cannot be true.

    Raises:
        InvalidRequestError: names the finding or segment and what is wrong with it.
    """
    _check_unique([finding.id for finding in result.findings], "finding id")
    _check_unique([str(segment.number) for segment in result.segments], "segment number")
    if not result.findings:
        raise InvalidRequestError("a result has at least one finding, present, absent or undetermined")
    if not result.sources:
        raise InvalidRequestError("a result names the instances it was made from")
    known = {source.sop_instance_uid for source in result.sources}
    numbers = {segment.number for segment in result.segments}
    for finding in result.findings:
        _check_finding(finding, known_instances=known, segment_numbers=numbers)
    for segment in result.segments:
        if not segment.frames:
            raise InvalidRequestError(f"segment {segment.number} is empty; leave it out")
        for frame in segment.frames:
            if frame.sop_instance_uid not in known:
                raise InvalidRequestError(f"segment {segment.number} lies on an instance that is not a source")
            if not unpack_mask(frame.packed_mask, rows=segment.rows, columns=segment.columns).any():
                raise InvalidRequestError(f"segment {segment.number} has an empty plane; leave it out")


def _check_unique(values: Sequence[str], what: str) -> None:
    doubles = sorted({value for value in values if values.count(value) > 1})
    if doubles:
        raise InvalidRequestError(f"{what} {doubles[0]!r} is used twice in one result")


def _check_finding(finding: Finding, *, known_instances: set[str], segment_numbers: set[int]) -> None:
    name = f"finding {finding.id!r}"
    if finding.probability is not None and not 0.0 <= finding.probability <= 1.0:
        raise InvalidRequestError(f"{name} has probability {finding.probability}; it must lie between 0 and 1")
    for measurement in finding.measurements:
        if not math.isfinite(measurement.value):
            raise InvalidRequestError(f"{name} has a {measurement.name.meaning!r} that is not a finite number")
    for location in finding.locations:
        _check_location(location, name=name, known_instances=known_instances, segment_numbers=segment_numbers)


def _check_location(location: Location, *, name: str, known_instances: set[str], segment_numbers: set[int]) -> None:
    match location:
        case SegmentLocation(segment_number=number):
            if number not in segment_numbers:
                raise InvalidRequestError(f"{name} refers to segment {number}, which does not exist")
        case Box(left=left, top=top, right=right, bottom=bottom):
            if location.sop_instance_uid not in known_instances:
                raise InvalidRequestError(f"{name} has a box on an instance that is not a source")
            if not all(map(math.isfinite, (left, top, right, bottom))) or left >= right or top >= bottom:
                raise InvalidRequestError(f"{name} has a box without extent")
            if min(left, top) < 0:
                raise InvalidRequestError(f"{name} has a box outside the image")
        case Contour(points=points):
            if location.sop_instance_uid not in known_instances:
                raise InvalidRequestError(f"{name} has a contour on an instance that is not a source")
            if len(points) < 4 or points[0] != points[-1]:
                raise InvalidRequestError(f"{name} has a contour that is not closed")
        case _:
            assert_never(location)
