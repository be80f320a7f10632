"""Between pixels and the patient: the place, extent and volume of the pixels of each frame.

Pixel coordinates here are indices: (0, 0) is the *centre* of the first pixel, as in Image Position (Patient). In
SCOORD and in ``udcmodel.result`` the same point is (0.5, 0.5).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from udckit.errors import InvalidRequestError
from udcmodel.geometry import diagnose
from udcmodel.stack import StackFrame


def axes_of(frame: StackFrame) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return where pixel (0, 0) of ``frame`` lies and the steps to the next row and to the next column.

    Returns:
        Position, step per row index, step per column index; LPS, mm, each of shape ``(3,)``.

    Raises:
        InvalidRequestError: the frame has no position, orientation or pixel spacing.
    """
    if not (frame.position and frame.row_direction and frame.column_direction and frame.pixel_spacing):
        raise InvalidRequestError("a frame without position, orientation or pixel spacing has no place in the patient")
    between_rows, between_columns = frame.pixel_spacing
    return (
        np.asarray(frame.position, dtype=np.float64),
        np.asarray(frame.column_direction, dtype=np.float64) * between_rows,
        np.asarray(frame.row_direction, dtype=np.float64) * between_columns,
    )


def to_patient(
    frame: StackFrame,
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Turn row and column indices of ``frame`` (PS3.3 C.7.6.2.1.1) into LPS, mm.

    Args:
        frame: A placed, calibrated frame.
        rows: Row indices, any shape; 0 is the centre of the first row.
        columns: Column indices, a shape that broadcasts with ``rows``.

    Returns:
        Shape of the indices and 3.

    Raises:
        InvalidRequestError: the frame has no place.
    """
    origin, per_row, per_column = axes_of(frame)
    return np.asarray(origin + rows[..., None] * per_row + columns[..., None] * per_column)


def to_indices(frame: StackFrame, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn points of the patient into row index, column index and distance from the plane of ``frame``.

    Args:
        frame: A placed, calibrated frame.
        points: LPS, mm, shape ``(..., 3)``.

    Returns:
        Row index, column index, signed distance along row × column in mm; shape ``(..., 3)``.

    Raises:
        InvalidRequestError: the frame has no place.
    """
    origin, per_row, per_column = axes_of(frame)
    normal = np.cross(per_column, per_row)
    basis = np.stack([per_row, per_column, normal / np.linalg.norm(normal)], axis=1)
    return np.asarray((points - origin) @ np.linalg.inv(basis).T)


def slice_thickness_mm_of(frames: Sequence[StackFrame]) -> NDArray[np.float64]:
    """Return how far each frame reaches along the normal: half the distance to both neighbours.

    The outer frames reach as far outwards as inwards. Across missing frames the neighbours meet in the middle, as the
    interpolation does. Slice Thickness (0018,0050) has no part in it.

    Args:
        frames: Parallel placed frames in any order, no two at one position, at least two.

    Returns:
        Extents, mm, shape ``(frames,)``, in the order of ``frames``.

    Raises:
        InvalidRequestError: the frames are not such.
    """
    geometry = diagnose(frames)
    if geometry.normal is None or len(frames) < 2 or len(geometry.distinct) < len(frames):
        raise InvalidRequestError("extents need at least two parallel frames, each at its own position")
    gaps_mm = np.asarray(geometry.gaps_mm)
    extents = np.empty(len(frames))
    extents[list(geometry.order)] = (np.append(gaps_mm[:1], gaps_mm) + np.append(gaps_mm, gaps_mm[-1:])) / 2
    return extents


def voxel_volume_mm3_of(frames: Sequence[StackFrame]) -> NDArray[np.float64]:
    """Return the volume that one pixel of each frame stands for.

    A pixel and the step to the next plane span a parallelepiped. Its volume is the area of the pixel times the part of
    the step along the normal, so a tilted gantry needs no further cosine: the extents are measured along the normal.

    Args:
        frames: As for ``slice_thickness_mm_of``, and calibrated.

    Returns:
        Volumes, mm³, shape ``(frames,)``, in the order of ``frames``.

    Raises:
        InvalidRequestError: the frames are not such.
    """
    steps = [axes_of(frame)[1:] for frame in frames]
    areas = np.array([np.linalg.norm(np.cross(per_column, per_row)) for per_row, per_column in steps])
    return np.asarray(areas * slice_thickness_mm_of(frames))
