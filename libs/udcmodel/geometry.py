"""Where the frames of a stack lie, and which of that a device accepts.

Everything is told from positions and directions, never from Slice Thickness (0018,0050) or Spacing Between Slices
(0018,0088): those describe how a slice was made, not where the next one is. Tilt, variable spacing, a gap, a repeated
position and several volumes in one stack are distinct diagnoses, because devices accept some of them and not others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from udcmodel.spacing import different, missing, tilt_and_drift
from udcmodel.stack import StackFrame, Vector
from udcmodel.vocabulary import ErrorCategory

_DIRECTION_TOLERANCE: Final = 5e-4
"""Radians. Headers often carry four decimals; at 200 mm from the corner this is 0.1 mm."""
_ORTHONORMAL_TOLERANCE: Final = 1e-3
_SAME_POSITION_MM: Final = 0.05
_AXIS_COSINE: Final = 0.8
"""Within 37 degrees of an axis of the body a plane bears its name: a head CT tilted by 30 degrees is still axial."""
_UPRIGHT_DEG: Final = 0.5
_MAX_DRIFT_MM: Final = 1.0
_ROUNDING_MM: Final = 0.01


@unique
class Orientation(StrEnum):
    """Which plane of the body the frames show."""

    AXIAL = "AXIAL"
    CORONAL = "CORONAL"
    SAGITTAL = "SAGITTAL"
    OBLIQUE = "OBLIQUE"
    """Placed in the body, near none of its planes, or not parallel to each other."""
    PROJECTION = "PROJECTION"
    """Without a place in the body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Where the frames of a stack lie. Indices are those of the frames as they were given, from 0.

    Attributes:
        frame_count: Number of frames.
        order: All indices along the normal; frames at one position in the order given. The order given where frames
            are not placed or not parallel.
        distinct: ``order`` with only the first frame of each position.
        normal: Unit vector row × column in LPS; None where frames are not placed or not parallel.
        orientation: The plane of the body.
        gaps_mm: Distances along the normal between neighbours of ``distinct``; one less than positions.
        spacing_mm: Median of ``gaps_mm``; None with fewer than two positions.
        spacings_mm: The different distances without ``gaps``, rising; more than one means variable spacing.
        gaps: Where frames are missing: indices into ``gaps_mm``.
        coverage_mm: Extent along the normal, half a distance beyond the outer planes included.
        tilt_deg: Angle between the normal and the line through the positions, 0 to 90.
        drift_mm: Largest distance of a position from that line, in the plane.
        repeats: How many frames most positions have; from 2 on the stack holds several volumes (time, echo, b-value).
        duplicates: The frames of each position that has more than one, when ``repeats`` is 1.
        unplaced: Frames without position, or with directions that are not perpendicular and of unit length. Empty for
            projections.
        not_parallel: Frames turned against the first.
        is_uniform: All frames have the same matrix and pixel spacing.
        is_calibrated: All frames have a pixel spacing.
    """

    frame_count: int
    order: tuple[int, ...]
    distinct: tuple[int, ...]
    normal: Vector | None
    orientation: Orientation
    gaps_mm: tuple[float, ...]
    spacing_mm: float | None
    spacings_mm: tuple[float, ...]
    gaps: tuple[int, ...]
    coverage_mm: float
    tilt_deg: float
    drift_mm: float
    repeats: int
    duplicates: tuple[tuple[int, ...], ...]
    unplaced: tuple[int, ...]
    not_parallel: tuple[int, ...]
    is_uniform: bool
    is_calibrated: bool


def diagnose(frames: Sequence[StackFrame]) -> Geometry:
    """Tell where ``frames``, given in any order, lie. Nothing is refused here; see ``objections``."""
    if not any(frame.position for frame in frames):
        return _unordered(frames, orientation=Orientation.PROJECTION)
    unplaced = tuple(index for index, frame in enumerate(frames) if not _is_placed(frame))
    if unplaced:
        return _unordered(frames, orientation=Orientation.OBLIQUE, unplaced=unplaced)
    rows = np.array([frame.row_direction for frame in frames])
    columns = np.array([frame.column_direction for frame in frames])
    turned = np.maximum(
        np.linalg.norm(rows - rows[0], axis=1),
        np.linalg.norm(columns - columns[0], axis=1),
    )
    not_parallel = tuple(np.flatnonzero(turned > _DIRECTION_TOLERANCE).tolist())
    if not_parallel:
        return _unordered(frames, orientation=Orientation.OBLIQUE, not_parallel=not_parallel)
    return _ordered(frames, normal=_unit(np.cross(rows[0], columns[0])))


def _ordered(frames: Sequence[StackFrame], *, normal: NDArray[np.float64]) -> Geometry:
    positions = np.array([frame.position for frame in frames])
    levels = positions @ normal
    order = np.argsort(levels, kind="stable")
    starts = np.flatnonzero(np.diff(levels[order], prepend=-np.inf) > _SAME_POSITION_MM)
    # Within one position the order given decides, not differences of a hundredth of a millimetre.
    groups = [tuple(sorted(group.tolist())) for group in np.split(order, starts[1:])]
    distinct = tuple(group[0] for group in groups)
    gaps_mm = np.diff(levels[list(distinct)])
    gaps = missing(gaps_mm)
    tilt_deg, drift_mm = tilt_and_drift(positions[list(distinct)], normal=normal)
    repeats = sorted(map(len, groups))[(len(groups) - 1) // 2]
    return Geometry(
        frame_count=len(frames),
        order=tuple(index for group in groups for index in group),
        distinct=distinct,
        normal=_vector(normal),
        orientation=_orientation(normal),
        gaps_mm=tuple(gaps_mm.tolist()),
        spacing_mm=float(np.median(gaps_mm)) if gaps_mm.size else None,
        spacings_mm=different(np.delete(gaps_mm, gaps)),
        gaps=gaps,
        coverage_mm=float(gaps_mm.sum() + (gaps_mm[0] + gaps_mm[-1]) / 2) if gaps_mm.size else 0.0,
        tilt_deg=tilt_deg,
        drift_mm=drift_mm,
        repeats=repeats,
        duplicates=tuple(group for group in groups if len(group) > 1) if repeats == 1 else (),
        unplaced=(),
        not_parallel=(),
        is_uniform=_is_uniform(frames),
        is_calibrated=all(map(_is_calibrated, frames)),
    )


def _unordered(
    frames: Sequence[StackFrame],
    *,
    orientation: Orientation,
    unplaced: tuple[int, ...] = (),
    not_parallel: tuple[int, ...] = (),
) -> Geometry:
    order = tuple(range(len(frames)))
    return Geometry(
        frame_count=len(frames),
        order=order,
        distinct=order,
        normal=None,
        orientation=orientation,
        gaps_mm=(),
        spacing_mm=None,
        spacings_mm=(),
        gaps=(),
        coverage_mm=0.0,
        tilt_deg=0.0,
        drift_mm=0.0,
        repeats=1,
        duplicates=(),
        unplaced=unplaced,
        not_parallel=not_parallel,
        is_uniform=_is_uniform(frames),
        is_calibrated=all(map(_is_calibrated, frames)),
    )


def _is_placed(frame: StackFrame) -> bool:
    if frame.position is None or frame.row_direction is None or frame.column_direction is None:
        return False
    axes = np.array([frame.row_direction, frame.column_direction])
    if not (np.isfinite(frame.position).all() and np.isfinite(axes).all()):
        return False
    return bool(np.abs(axes @ axes.T - np.eye(2)).max() <= _ORTHONORMAL_TOLERANCE)


def _is_calibrated(frame: StackFrame) -> bool:
    return frame.pixel_spacing is not None and all(0.0 < spacing < np.inf for spacing in frame.pixel_spacing)


def _is_uniform(frames: Sequence[StackFrame]) -> bool:
    matrices = {(frame.rows, frame.columns) for frame in frames}
    spacings = [frame.pixel_spacing for frame in frames if frame.pixel_spacing is not None]
    return len(matrices) <= 1 and (not spacings or bool(np.allclose(spacings, spacings[0], rtol=1e-3, atol=0)))


def _orientation(normal: NDArray[np.float64]) -> Orientation:
    axis = int(np.argmax(np.abs(normal)))
    if abs(normal[axis]) < _AXIS_COSINE:
        return Orientation.OBLIQUE
    return (Orientation.SAGITTAL, Orientation.CORONAL, Orientation.AXIAL)[axis]


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float64)


def _vector(values: NDArray[np.float64]) -> Vector:
    x, y, z = values.tolist()
    return (x, y, z)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometryPolicy:
    """What a device accepts, as its manifest says under ``geometry``.

    Attributes:
        tilt: ``shear`` resamples planes whose positions move obliquely, up to ``max_tilt_deg``.
        max_tilt_deg: Degrees.
        spacing: ``resample`` accepts more than one distance between planes.
        gap: ``accept`` interpolates across missing frames.
        duplicates: ``first`` takes the first frame of a repeated position.
        min_frames: Fewest frames; repeated positions count once.
        max_frames: Most frames.
        max_spacing_mm: Largest distance between planes, along the normal; accepted gaps are not counted.
        min_coverage_mm: Smallest extent along the normal.
    """

    tilt: Literal["shear", "refuse"] = "refuse"
    max_tilt_deg: float = 30.0
    spacing: Literal["resample", "refuse"] = "refuse"
    gap: Literal["refuse", "accept"] = "refuse"
    duplicates: Literal["refuse", "first"] = "refuse"
    min_frames: int = 1
    max_frames: int | None = None
    max_spacing_mm: float | None = None
    min_coverage_mm: float = 0.0


@unique
class GeometryReason(StrEnum):
    """Why a geometry is not accepted."""

    UNPLACED = "UNPLACED"
    UNCALIBRATED = "UNCALIBRATED"
    NOT_UNIFORM = "NOT_UNIFORM"
    NOT_PARALLEL = "NOT_PARALLEL"
    SEVERAL_VOLUMES = "SEVERAL_VOLUMES"
    DUPLICATES = "DUPLICATES"
    DRIFT = "DRIFT"
    TILT = "TILT"
    GAP = "GAP"
    VARIABLE_SPACING = "VARIABLE_SPACING"
    SPACING_TOO_WIDE = "SPACING_TOO_WIDE"
    TOO_FEW_FRAMES = "TOO_FEW_FRAMES"
    TOO_MANY_FRAMES = "TOO_MANY_FRAMES"
    COVERAGE_TOO_SMALL = "COVERAGE_TOO_SMALL"


_CATEGORY: Final = {
    GeometryReason.UNPLACED: ErrorCategory.TAG,
    GeometryReason.UNCALIBRATED: ErrorCategory.TAG,
    GeometryReason.NOT_UNIFORM: ErrorCategory.SERIES,
    GeometryReason.NOT_PARALLEL: ErrorCategory.SERIES,
    GeometryReason.SEVERAL_VOLUMES: ErrorCategory.SERIES,
    GeometryReason.DUPLICATES: ErrorCategory.SERIES,
    GeometryReason.DRIFT: ErrorCategory.SERIES,
    GeometryReason.TILT: ErrorCategory.SERIES,
    GeometryReason.GAP: ErrorCategory.NUMBER_OF_IMAGES,
    GeometryReason.VARIABLE_SPACING: ErrorCategory.SERIES,
    GeometryReason.SPACING_TOO_WIDE: ErrorCategory.SERIES,
    GeometryReason.TOO_FEW_FRAMES: ErrorCategory.NUMBER_OF_IMAGES,
    GeometryReason.TOO_MANY_FRAMES: ErrorCategory.NUMBER_OF_IMAGES,
    GeometryReason.COVERAGE_TOO_SMALL: ErrorCategory.SERIES,
}


@dataclass(frozen=True, slots=True)
class Objection:
    """One thing a device does not accept; ``detail`` is a sentence with the numbers."""

    reason: GeometryReason
    detail: str

    @property
    def category(self) -> ErrorCategory:
        """Who is at fault, in the published words."""
        return _CATEGORY[self.reason]


def objections(geometry: Geometry, policy: GeometryPolicy) -> tuple[Objection, ...]:
    """Say everything about ``geometry`` that ``policy`` does not accept; empty when it is accepted.

    What no policy can accept is among it: frames without a place, several volumes in one stack, frames turned against
    each other. Projection images are asked for their number only.
    """
    if geometry.orientation is Orientation.PROJECTION:
        return tuple(_about_number(geometry, policy))
    found = list(_about_planes(geometry))
    if geometry.normal is not None:
        found += [*_about_positions(geometry, policy), *_about_spacing(geometry, policy)]
        found += _about_number(geometry, policy)
    return tuple(found)


def _about_planes(geometry: Geometry) -> Iterator[Objection]:
    count = geometry.frame_count
    if geometry.unplaced:
        detail = f"{len(geometry.unplaced)} of {count} frames have no valid position and orientation"
        yield Objection(GeometryReason.UNPLACED, detail)
    if geometry.not_parallel:
        detail = f"{len(geometry.not_parallel)} of {count} frames are turned against the first"
        yield Objection(GeometryReason.NOT_PARALLEL, detail)
    if not geometry.is_calibrated:
        yield Objection(GeometryReason.UNCALIBRATED, "a frame has no Pixel Spacing (0028,0030)")
    if not geometry.is_uniform:
        yield Objection(GeometryReason.NOT_UNIFORM, "the frames differ in rows, columns or pixel spacing")


def _about_positions(geometry: Geometry, policy: GeometryPolicy) -> Iterator[Objection]:
    if geometry.repeats > 1:
        yield Objection(
            GeometryReason.SEVERAL_VOLUMES,
            f"{geometry.frame_count} frames share {len(geometry.distinct)} positions, most of them "
            f"{geometry.repeats} times: several volumes in one stack",
        )
    if geometry.duplicates and policy.duplicates == "refuse":
        detail = f"{len(geometry.duplicates)} of {len(geometry.distinct)} positions have more than one frame"
        yield Objection(GeometryReason.DUPLICATES, detail)
    if geometry.drift_mm > _MAX_DRIFT_MM:
        detail = f"positions leave their common line by {geometry.drift_mm:.1f} mm, more than {_MAX_DRIFT_MM:g}"
        yield Objection(GeometryReason.DRIFT, detail)
    accepted_deg = policy.max_tilt_deg if policy.tilt == "shear" else _UPRIGHT_DEG
    if geometry.tilt_deg > accepted_deg:
        detail = f"planes are tilted by {geometry.tilt_deg:.1f} degrees, more than {accepted_deg:g}"
        yield Objection(GeometryReason.TILT, detail)


def _about_spacing(geometry: Geometry, policy: GeometryPolicy) -> Iterator[Objection]:
    if geometry.gaps and policy.gap == "refuse":
        widest = max(geometry.gaps_mm[index] for index in geometry.gaps)
        yield Objection(
            GeometryReason.GAP,
            f"frames are missing in {len(geometry.gaps)} places: neighbours are up to {widest:.2f} mm apart, "
            f"usually {geometry.spacing_mm:.2f}",
        )
    if len(geometry.spacings_mm) > 1 and policy.spacing == "refuse":
        distances = ", ".join(f"{spacing:.2f}" for spacing in geometry.spacings_mm)
        yield Objection(GeometryReason.VARIABLE_SPACING, f"the distance between planes varies: {distances} mm")
    widest = max(geometry.spacings_mm, default=0.0)
    if policy.max_spacing_mm is not None and widest > policy.max_spacing_mm + _ROUNDING_MM:
        detail = f"planes are {widest:.2f} mm apart, more than {policy.max_spacing_mm:g}"
        yield Objection(GeometryReason.SPACING_TOO_WIDE, detail)
    if geometry.coverage_mm < policy.min_coverage_mm - _ROUNDING_MM:
        detail = f"the frames cover {geometry.coverage_mm:.1f} mm, less than {policy.min_coverage_mm:g}"
        yield Objection(GeometryReason.COVERAGE_TOO_SMALL, detail)


def _about_number(geometry: Geometry, policy: GeometryPolicy) -> Iterator[Objection]:
    count = len(geometry.distinct)
    if count < policy.min_frames:
        yield Objection(GeometryReason.TOO_FEW_FRAMES, f"{count} frames, fewer than {policy.min_frames}")
    if policy.max_frames is not None and count > policy.max_frames:
        yield Objection(GeometryReason.TOO_MANY_FRAMES, f"{count} frames, more than {policy.max_frames}")
