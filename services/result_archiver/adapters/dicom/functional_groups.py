"""Functional groups of multi-frame sources (PS3.3 C.7.6.16) as highdicom takes them: shared wherever frames agree."""

import copy
from typing import Final

import numpy as np
from pydicom.dataset import Dataset

_ORIENTATION_TOLERANCE: Final = 1e-3
_SPACING_TOLERANCE: Final = 1e-3


def share_geometry(image: Dataset) -> None:
    """Put orientation and pixel measures of a multi-frame image into its shared groups where its frames agree on them.

    Scanners write pixel measures for each frame when only the slice thickness varies; then the median stands for all.
    Single-frame images, and frames of several orientations or spacings, stay as they are.
    """
    frames = image.get("PerFrameFunctionalGroupsSequence")
    shared = image.get("SharedFunctionalGroupsSequence")
    if not frames or not shared:
        return
    orientation = _agreed(frames, "PlaneOrientationSequence", "ImageOrientationPatient", _ORIENTATION_TOLERANCE)
    if orientation is not None and "PlaneOrientationSequence" not in shared[0]:
        shared[0].PlaneOrientationSequence = [orientation]
    measures = _agreed(frames, "PixelMeasuresSequence", "PixelSpacing", _SPACING_TOLERANCE)
    if measures is not None and "PixelMeasuresSequence" not in shared[0]:
        thicknesses = [frame.PixelMeasuresSequence[0].get("SliceThickness") for frame in frames]
        known = [float(thickness) for thickness in thicknesses if thickness is not None]
        if known:
            measures.SliceThickness = round(float(np.median(known)), 4)
        shared[0].PixelMeasuresSequence = [measures]


def _agreed(frames: list[Dataset], group: str, attribute: str, tolerance: float) -> Dataset | None:
    """Return a copy of a group that all frames have with one value of ``attribute``."""
    if not all(frame.get(group) and frame[group].value[0].get(attribute) for frame in frames):
        return None
    values = np.array([[float(value) for value in frame[group].value[0][attribute].value] for frame in frames])
    if not np.allclose(values, values[0], rtol=0.0, atol=tolerance):
        return None
    agreed: Dataset = copy.deepcopy(frames[0][group].value[0])
    return agreed
