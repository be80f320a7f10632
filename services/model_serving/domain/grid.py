"""The grid that a device sees: parallel to the axes of the patient, whatever the scanner did."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from udcmodel.planes import axes_of, to_patient
from udcmodel.stack import StackFrame

_TIE: Final = 1e-6
_ZYX: Final = (2, 1, 0)
"""LPS names x, y, z; arrays run z, y, x."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A regular grid along the axes of the patient; all triples in the order z, y, x.

    Args:
        origin_mm: Centre of voxel (0, 0, 0), LPS.
        spacing_mm: Between voxel centres, above 0: indices rise towards head, back and left.
        shape: Number of voxels.
    """

    origin_mm: tuple[float, float, float]
    spacing_mm: tuple[float, float, float]
    shape: tuple[int, int, int]

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel, ml."""
        return math.prod(self.spacing_mm) / 1000.0

    def axis_mm(self, axis: int) -> NDArray[np.float64]:
        """Return the coordinates of the voxel centres along ``axis`` (0 is z), mm."""
        return np.asarray(self.origin_mm[axis] + self.spacing_mm[axis] * np.arange(self.shape[axis]), dtype=np.float64)


def grid_over(frames: Sequence[StackFrame], spacing_mm: tuple[float, float, float]) -> Grid:
    """Lay a grid over all pixel centres of ``frames``.

    The first voxel lies on the pixel centre that is nearest to the feet, to the face and to the right, so that equal
    spacings make the grid equal to the pixels.

    Args:
        frames: Placed and calibrated.
        spacing_mm: Along z, y, x.

    Returns:
        The grid.

    Raises:
        InvalidRequestError: a frame has no place.
    """
    rows = np.array([0, 0, frames[0].rows - 1, frames[0].rows - 1], dtype=np.float64)
    columns = np.array([0, frames[0].columns - 1, 0, frames[0].columns - 1], dtype=np.float64)
    corners = np.concatenate([to_patient(frame, rows, columns) for frame in frames])
    lowest, highest = corners.min(axis=0), corners.max(axis=0)
    origin, shape = [], []
    for axis, spacing in zip(_ZYX, spacing_mm, strict=True):
        origin.append(float(lowest[axis]))
        shape.append(max(1, math.ceil((highest[axis] - lowest[axis]) / spacing + 0.5 - _TIE)))
    return Grid((origin[0], origin[1], origin[2]), spacing_mm, (shape[0], shape[1], shape[2]))


def on_frame(labels: NDArray[Any], grid: Grid, frame: StackFrame) -> NDArray[Any]:
    """Read labels at the pixel centres of a source frame: the nearest voxel, 0 outside the grid.

    Nearest, not interpolated: the volume of a region then stays the same on average whatever its size and shape.
    Interpolating a mask and cutting at one half rounds off corners, which takes three quarters of a single voxel and a
    third of a thin rod; and it cannot carry several labels at once.

    Args:
        labels: On ``grid``, shape ``grid.shape``.
        grid: Where the labels lie.
        frame: A placed, calibrated frame.

    Returns:
        Labels of the same type, shape ``(rows, columns)`` of the frame.

    Raises:
        InvalidRequestError: the frame has no place.
    """
    position, per_row, per_column = axes_of(frame)
    nearest, inside = [], np.ones((1, 1), dtype=np.bool_)
    for axis, xyz in enumerate(_ZYX):
        # An axis that depends on the row or the column alone keeps one line instead of a plane.
        along_rows = per_row[xyz] / grid.spacing_mm[axis] * np.arange(frame.rows)[:, None]
        along_columns = per_column[xyz] / grid.spacing_mm[axis] * np.arange(frame.columns)[None, :]
        start = (position[xyz] - grid.origin_mm[axis]) / grid.spacing_mm[axis]
        index = start + (along_rows if per_row[xyz] else 0.0) + (along_columns if per_column[xyz] else 0.0)
        # Half-way between two voxels the even one is taken: always taking the upper one would move every region.
        index = np.rint(np.atleast_2d(index)).astype(np.intp)
        inside = inside & (index >= 0) & (index < grid.shape[axis])
        nearest.append(np.clip(index, 0, grid.shape[axis] - 1))
    found = labels[tuple(nearest)] * inside
    return np.broadcast_to(found, (frame.rows, frame.columns)).astype(labels.dtype, copy=False)
