"""The pixels of one source frame as a picture for people."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut
from pydicom.pixels.utils import pixel_array

from result_archiver.domain.failure import CannotArchiveError, FailureReason

Grey = NDArray[np.uint8]
"""8-bit picture, shape ``(rows, columns)``, 0 is black."""

_SOFT_TISSUE: Final = (40.0, 400.0)
"""Window centre and width for a CT that declares none, HU."""

_OUTLIERS_PERCENT: Final = 0.5
"""Share of the darkest and brightest pixels that do not decide the window of an image without one."""


def picture_of(image: Dataset, frame_number: int) -> Grey:
    """Return a frame as its own window shows it.

    Args:
        image: A complete instance.
        frame_number: From 1.

    Raises:
        CannotArchiveError: the pixels cannot be decoded, or are not of one grey sample each.
    """
    if image.get("SamplesPerPixel") != 1 or not str(image.get("PhotometricInterpretation")).startswith("MONOCHROME"):
        raise CannotArchiveError(FailureReason.SOURCE_PIXELS_UNREADABLE, "the key image is not a grey-scale image")
    try:
        stored = pixel_array(image, index=frame_number - 1)
        values = np.asarray(apply_modality_lut(_stored_bits(stored, image), image), np.float32)
    except (ValueError, KeyError, AttributeError, RuntimeError, NotImplementedError, IndexError) as error:
        raise CannotArchiveError(
            FailureReason.SOURCE_PIXELS_UNREADABLE,
            f"the pixels of the key image cannot be decoded ({type(error).__name__})",
        ) from error
    low, high = _range(values, stored, image)
    shown = np.clip((values - low) / max(high - low, 1e-6), 0.0, 1.0)
    if image.PhotometricInterpretation == "MONOCHROME1":
        shown = 1.0 - shown
    return np.asarray(np.rint(shown * 255.0), np.uint8)


def _stored_bits(stored: NDArray[np.integer], image: Dataset) -> NDArray[np.integer]:
    """Clear what is not part of the value, such as an overlay in the high bits (PS3.5 8.1.1)."""
    unused = int(image.BitsAllocated) - int(image.BitsStored)
    if unused == 0:
        return stored
    # Shifting up and down again clears the bits above, and spreads the sign of a signed value.
    cleared: NDArray[np.integer] = np.right_shift(np.left_shift(stored, unused), unused)
    return cleared


def _range(values: NDArray[np.float32], stored: NDArray[np.integer], image: Dataset) -> tuple[float, float]:
    centre, width = _first(image, "WindowCenter"), _first(image, "WindowWidth")
    if centre is not None and width is not None and width >= 1:
        return centre - width / 2, centre + width / 2
    if image.get("Modality") == "CT":
        return _SOFT_TISSUE[0] - _SOFT_TISSUE[1] / 2, _SOFT_TISSUE[0] + _SOFT_TISSUE[1] / 2
    meant = values[stored != image.PixelPaddingValue] if "PixelPaddingValue" in image else values
    low, high = np.percentile(meant if meant.size else values, (_OUTLIERS_PERCENT, 100 - _OUTLIERS_PERCENT))
    return float(low), float(high)


def _first(image: Dataset, name: str) -> float | None:
    value = image.get(name)
    if value is None or value == "":
        return None
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)
