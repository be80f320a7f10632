"""Regions brought back to the frames they were seen on, and measured there: the device's grid is nobody's patient."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from model_serving.domain.grid import on_frame
from model_serving.domain.prepare import VolumePlan
from model_serving.domain.source import SourceImages
from udcmodel.planes import slice_thickness_mm_of, to_patient, voxel_volume_mm3_of
from udcmodel.result import SegmentFrame, pack_mask
from udcmodel.stack import StackFrame

_PAIRS_AT_ONCE: Final = 512

Mask = NDArray[np.bool_]
Points = NDArray[np.float64]


@dataclass(slots=True)
class Region:
    """A region on its source frames.

    Attributes:
        frames: Its planes, only those with a pixel, in the order of the input.
        volume_ml: Sum of what its pixels stand for, each frame with its own extent.
    """

    frames: list[SegmentFrame] = field(default_factory=list)
    volume_ml: float = 0.0
    _outline: list[Points] = field(default_factory=list)

    def add(self, frame: StackFrame, mask: Mask, *, voxel_mm3: float, thickness_mm: float) -> None:
        """Add the region's pixels on one frame; at least one."""
        self.frames.append(
            SegmentFrame(
                sop_instance_uid=frame.sop_instance_uid, packed_mask=pack_mask(mask), frame_number=frame.frame_number
            )
        )
        self.volume_ml += int(mask.sum()) * voxel_mm3 / 1000.0
        self._outline.append(_outline(frame, mask, thickness_mm=thickness_mm))

    def max_diameter_mm(self) -> float:
        """Return the longest distance between two points of the region, mm, in any direction.

        Pixels reach from edge to edge along their axes: between centres a region would measure one pixel too little.
        """
        points = np.concatenate(self._outline)
        corners = points[ConvexHull(points).vertices]
        return max(
            float(np.linalg.norm(corners[start : start + _PAIRS_AT_ONCE, None] - corners[None], axis=-1).max())
            for start in range(0, len(corners), _PAIRS_AT_ONCE)
        )


def regions_on_frames(numbered: NDArray[np.int32], plan: VolumePlan, source: SourceImages) -> dict[int, Region]:
    """Bring numbered regions back to the source frames.

    Args:
        numbered: On the grid of ``plan``; 0 is background.
        plan: Of the input on which the device marked them.
        source: The values of that input: padding is no part of any region.

    Returns:
        The regions by their number, rising. One that falls between all pixel centres is not there.
    """
    volumes_mm3, thicknesses_mm = voxel_volume_mm3_of(plan.frames), slice_thickness_mm_of(plan.frames)
    found: dict[int, Region] = {}
    for slot, frame in enumerate(plan.frames):
        labels = on_frame(numbered, plan.grid, frame)
        if not labels.any():
            continue
        labels = np.where(np.isnan(source.values[slot]), 0, labels)
        for number, mask in _masks(labels):
            found.setdefault(number, Region()).add(
                frame, mask, voxel_mm3=float(volumes_mm3[slot]), thickness_mm=float(thicknesses_mm[slot])
            )
    return dict(sorted(found.items()))


def _masks(labels: NDArray[np.int32]) -> Iterator[tuple[int, Mask]]:
    for number in np.unique(labels).tolist():
        if number:
            yield number, labels == number


def _outline(frame: StackFrame, mask: Mask, *, thickness_mm: float) -> Points:
    """Return points in LPS with the convex hull of the region on this frame: the edges of each row's outer pixels."""
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    row, column = np.tile(rows, 2).astype(np.float64), np.concatenate([first, last]).astype(np.float64)
    centres = to_patient(frame, row, column)
    normal = np.cross(np.asarray(frame.row_direction), np.asarray(frame.column_direction))
    return np.concatenate(
        [
            to_patient(frame, row - 0.5, column),
            to_patient(frame, row + 0.5, column),
            to_patient(frame, row, column - 0.5),
            to_patient(frame, row, column + 0.5),
            centres - normal * thickness_mm / 2,
            centres + normal * thickness_mm / 2,
        ]
    )
