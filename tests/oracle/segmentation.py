"""What a segmentation says, measured on the source slices and never on the segmentation's own grid."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from oracle.geometry import SourceKey, SourceSlice, group, half_gap_extents

PLANE_TOLERANCE_MM = 1e-2
"""Largest difference between the position of a frame and that of its source image."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SegmentMeasure:
    """One segment.

    Args:
        number: Segment Number (0062,0004).
        label: Segment Label (0062,0005).
        tracking_uid: Tracking UID (0062,0021); empty if absent.
        tracking_id: Tracking ID (0062,0020); empty if absent.
        volume_ml: Volume, ml.
        centroid_mm: Centre of mass, LPS, mm.
        sources: The source images on which the segment has pixels, in order of frames.
    """

    number: int
    label: str
    tracking_uid: str
    tracking_id: str
    volume_ml: float
    centroid_mm: tuple[float, float, float]
    sources: tuple[SourceKey, ...]


def measure_segments(seg: Dataset, slices: Sequence[SourceSlice]) -> dict[int, SegmentMeasure]:
    """Measure every segment on the source slices its frames point to.

    Args:
        seg: A BINARY Segmentation.
        slices: The planes of the source images, all of them: gaps come from neighbours without a mask, too.

    Returns:
        Measures by segment number.

    Raises:
        ValueError: The segmentation is not BINARY, a frame points to no source or to several, to one that is not
            given or has another size, or a segment is empty.
    """
    extents = half_gap_extents(slices)
    measures = {}
    for item in seg.SegmentSequence:
        masks = masks_of(seg, int(item.SegmentNumber), slices)
        volume_ml, centroid = _volume_and_centroid(masks, slices, extents)
        measures[int(item.SegmentNumber)] = SegmentMeasure(
            number=int(item.SegmentNumber),
            label=str(item.SegmentLabel),
            tracking_uid=str(item.get("TrackingUID", "")),
            tracking_id=str(item.get("TrackingID", "")),
            volume_ml=volume_ml,
            centroid_mm=centroid,
            sources=tuple(key for key, mask in masks.items() if mask.any()),
        )
    return measures


def masks_of(seg: Dataset, number: int, slices: Sequence[SourceSlice]) -> dict[SourceKey, Mask]:
    """Read the mask of a segment on each source image that has a frame for it; errors as in ``measure_segments``."""
    frames = _unpacked(seg)
    planes = {plane.key: plane for plane in slices}
    masks: dict[SourceKey, Mask] = {}
    for index in range(int(seg.NumberOfFrames)):
        if segment_number(seg, index) != number:
            continue
        key = source_of(seg, index)
        if key not in planes:
            raise ValueError(f"frame {index + 1} points to {key}, which is not among the sources")
        if planes[key].shape != frames[index].shape:
            raise ValueError(f"frame {index + 1} is {frames[index].shape}, its source {planes[key].shape}")
        masks[key] = masks.get(key, np.zeros(planes[key].shape, dtype=np.bool_)) | frames[index]
    return masks


def segment_number(seg: Dataset, frame_index: int) -> int:
    """Say to which segment a frame belongs; with one segment this may stand in the shared groups."""
    identification = group(seg, frame_index, "SegmentIdentificationSequence")
    if identification is None:
        raise ValueError(f"frame {frame_index + 1} belongs to no segment")
    return int(identification.ReferencedSegmentNumber)


def source_of(seg: Dataset, frame_index: int) -> SourceKey:
    """Say to which source image a frame points (PS3.3 C.7.6.16.2.6).

    Raises:
        ValueError: It points to none, or to several.
    """
    derivation = group(seg, frame_index, "DerivationImageSequence")
    sources = derivation.get("SourceImageSequence", []) if derivation else []
    if len(sources) != 1:
        raise ValueError(f"frame {frame_index + 1} points to {len(sources)} source images instead of one")
    return SourceKey(str(sources[0].ReferencedSOPInstanceUID), int(sources[0].get("ReferencedFrameNumber", 0)))


def frame_faults(seg: Dataset, slices: Sequence[SourceSlice]) -> list[str]:
    """Check that every frame lies exactly where its source image lies.

    Args:
        seg: A Segmentation in patient coordinates.
        slices: The planes of the source images.

    Returns:
        One line for each frame whose source is missing or whose position, orientation, spacing or size differs, and
        one if the frame of reference differs.
    """
    faults = []
    planes = {plane.key: plane for plane in slices}
    if any(str(seg.get("FrameOfReferenceUID", "")) != plane.frame_of_reference for plane in slices):
        faults.append("the segmentation has another frame of reference than its sources")
    for index in range(int(seg.NumberOfFrames)):
        try:
            key = source_of(seg, index)
        except ValueError as error:
            faults.append(str(error))
            continue
        if key not in planes:
            faults.append(f"frame {index + 1} points to {key}, which is not among the sources")
        else:
            faults.extend(_place_faults(seg, index, planes[key]))
    return faults


def _place_faults(seg: Dataset, index: int, plane: SourceSlice) -> list[str]:
    faults = []
    name = f"frame {index + 1}"
    position = group(seg, index, "PlanePositionSequence")
    orientation = group(seg, index, "PlaneOrientationSequence")
    measures = group(seg, index, "PixelMeasuresSequence")
    if position is None or orientation is None or measures is None:
        return [f"{name} lacks its position, orientation or pixel measures"]
    away = np.linalg.norm(np.asarray(position.ImagePositionPatient, dtype=float) - plane.position)
    if away > PLANE_TOLERANCE_MM:
        faults.append(f"{name} lies {away:.2f} mm from the source image it points to")
    if not np.allclose(
        np.asarray(orientation.ImageOrientationPatient, dtype=float), plane.row + plane.column, atol=1e-4
    ):
        faults.append(f"{name} is oriented otherwise than the source image it points to")
    if not np.allclose(np.asarray(measures.PixelSpacing, dtype=float), plane.spacing, atol=1e-4):
        faults.append(f"{name} has another pixel spacing than the source image it points to")
    if (int(seg.Rows), int(seg.Columns)) != plane.shape:
        faults.append(f"{name} has another size than the source image it points to")
    return faults


def _unpacked(seg: Dataset) -> Mask:
    """Unpack one-bit frames, which follow each other without padding (PS3.5 8.1.1)."""
    if seg.SegmentationType != "BINARY":
        raise ValueError(f"the segmentation is {seg.SegmentationType}, not BINARY")
    shape = (int(seg.NumberOfFrames), int(seg.Rows), int(seg.Columns))
    bits = np.unpackbits(np.frombuffer(seg.PixelData, dtype=np.uint8), bitorder="little")
    return np.asarray(bits[: int(np.prod(shape))].reshape(shape).astype(np.bool_))


def _volume_and_centroid(
    masks: dict[SourceKey, Mask], slices: Sequence[SourceSlice], extents: dict[SourceKey, float]
) -> tuple[float, tuple[float, float, float]]:
    # Masks on several images of one position (a repeated slice) describe the same tissue: they are averaged.
    at_position: dict[float, int] = defaultdict(int)
    marked = [plane for plane in slices if plane.key in masks and masks[plane.key].any()]
    for plane in marked:
        at_position[_along(plane)] += 1
    volume, moment = 0.0, np.zeros(3)
    for plane in marked:
        points = plane.points(masks[plane.key])
        voxel = plane.spacing[0] * plane.spacing[1] * extents[plane.key] / at_position[_along(plane)]
        volume += voxel * len(points)
        moment += voxel * points.sum(axis=0)
    if volume == 0.0:
        raise ValueError("the segment is empty")
    x, y, z = (float(value) for value in moment / volume)
    return volume / 1000.0, (x, y, z)


def _along(plane: SourceSlice) -> float:
    return round(float(np.asarray(plane.position) @ plane.normal), 2)
