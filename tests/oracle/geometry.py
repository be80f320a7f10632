"""Source images as planes in the patient, and how much of the patient each of them stands for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

Array = NDArray[np.float64]

POSITION_TOLERANCE_MM = 1e-3
"""Two planes nearer than this along the normal are one."""


@dataclass(frozen=True, slots=True, order=True)
class SourceKey:
    """A source image: a file, or one frame of a multi-frame file.

    Args:
        sop_instance_uid: The file.
        frame: One-based frame number; 0 for a single-frame file.
    """

    sop_instance_uid: str
    frame: int = 0


@dataclass(frozen=True, slots=True)
class SourceSlice:
    """Where one source image lies (PS3.3 C.7.6.2, C.7.6.16.2.3).

    Args:
        key: Which image.
        position: Centre of the first pixel, LPS, mm.
        row: Direction of growing column index.
        column: Direction of growing row index.
        spacing: Distance between rows, then between columns, mm.
        shape: Rows and columns.
        frame_of_reference: Frame of Reference UID (0020,0052).
    """

    key: SourceKey
    position: tuple[float, ...]
    row: tuple[float, ...]
    column: tuple[float, ...]
    spacing: tuple[float, float]
    shape: tuple[int, int]
    frame_of_reference: str

    @property
    def normal(self) -> Array:
        """Unit normal: row × column."""
        return np.cross(self.row, self.column)

    def points(self, mask: NDArray[np.bool_]) -> Array:
        """Give the centres of the pixels set in a mask of this image, LPS, mm, shape ``(n, 3)``."""
        rows, columns = np.nonzero(mask)
        along_row = columns[:, None] * self.spacing[1] * np.asarray(self.row)
        along_column = rows[:, None] * self.spacing[0] * np.asarray(self.column)
        return np.asarray(self.position + along_row + along_column)


def slices_of(datasets: Iterable[Dataset]) -> list[SourceSlice]:
    """Read where source images lie.

    Args:
        datasets: Single-frame images with Image Plane attributes, or multi-frame images with functional groups.

    Returns:
        One plane per image or frame, in the order given.
    """
    return [plane for dataset in datasets for plane in _planes(dataset)]


def group(dataset: Dataset, frame_index: int, keyword: str) -> Dataset | None:
    """Find a functional group of a frame, whether it stands with the frame or is shared (PS3.3 C.7.6.16.1).

    Args:
        dataset: A multi-frame image.
        frame_index: Zero-based.
        keyword: The group's sequence, such as ``PlanePositionSequence``.

    Returns:
        The first item of the group, or None if the image has no such group.
    """
    for holder in (
        dataset.PerFrameFunctionalGroupsSequence[frame_index],
        dataset.SharedFunctionalGroupsSequence[0],
    ):
        if holder.get(keyword):
            item: Dataset = holder[keyword].value[0]
            return item
    return None


def half_gap_extents(slices: Sequence[SourceSlice]) -> dict[SourceKey, float]:
    """Say how far each slice extends along the normal: half of the way to either neighbour.

    A tilted gantry needs no special case: the distance between planes along their normal already is the table's step
    times the cosine of the tilt. The first and last slice extend as far outward as inward. Slices at one position
    share its extent; see ``measure_segments``.

    Args:
        slices: Parallel planes, in any order.

    Returns:
        Extents in mm, by image.

    Raises:
        ValueError: There are fewer than two different positions, or the planes are not parallel.
    """
    normal = slices[0].normal
    if any(np.linalg.norm(np.cross(plane.normal, normal)) > 1e-4 for plane in slices):
        raise ValueError("the source slices are not parallel")
    along = {plane.key: float(np.asarray(plane.position) @ normal) for plane in slices}
    places: list[float] = []
    for place in sorted(along.values()):
        if not places or place - places[-1] > POSITION_TOLERANCE_MM:
            places.append(place)
    if len(places) < 2:
        raise ValueError("a single position has no extent")
    gaps = np.diff(places)
    before, after = np.concatenate([gaps[:1], gaps]), np.concatenate([gaps, gaps[-1:]])
    extents = (before + after) / 2
    return {key: float(extents[int(np.argmin(np.abs(np.asarray(places) - place)))]) for key, place in along.items()}


def _planes(dataset: Dataset) -> list[SourceSlice]:
    frames = int(dataset.get("NumberOfFrames", 1))
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        return [_plane(dataset, SourceKey(str(dataset.SOPInstanceUID)), dataset, dataset, dataset)]
    planes = []
    for index in range(frames):
        groups = [
            group(dataset, index, keyword)
            for keyword in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
        ]
        position, orientation, measures = (found or Dataset() for found in groups)
        key = SourceKey(str(dataset.SOPInstanceUID), index + 1)
        planes.append(_plane(dataset, key, position, orientation, measures))
    return planes


def _plane(dataset: Dataset, key: SourceKey, position: Dataset, orientation: Dataset, measures: Dataset) -> SourceSlice:
    cosines = [float(value) for value in orientation.ImageOrientationPatient]
    between_rows, between_columns = (float(value) for value in measures.PixelSpacing)
    return SourceSlice(
        key,
        tuple(float(value) for value in position.ImagePositionPatient),
        tuple(cosines[:3]),
        tuple(cosines[3:]),
        (between_rows, between_columns),
        (int(dataset.Rows), int(dataset.Columns)),
        str(dataset.FrameOfReferenceUID),
    )
