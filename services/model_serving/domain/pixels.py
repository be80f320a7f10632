"""From the bits in a file to values with a meaning, in the order of PS3.3 C.7.6.3, C.7.5.1 and C.11.1.

Bits stored, sign and overlay bits first, then padding, then the rescale or modality LUT of *this* frame. A padded pixel
is NaN from here on: it takes no part in interpolation, statistics or measurement.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from model_serving.domain.presentation import LookupTable, Window
from model_serving.domain.unsuitable import UnsuitableInputError
from udcmodel.vocabulary import ErrorCategory

ValueSpace = Literal["hounsfield", "stored", "normalised"]
"""What a device wants to see: Hounsfield units, stored values, or 0 (dark) to 1 (bright) as presented."""

_BITS: Final = frozenset({8, 16, 32})
_GREY: Final = frozenset({"MONOCHROME1", "MONOCHROME2"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelDescription:
    """What the header says about the pixels of one frame.

    Attributes:
        modality: (0008,0060).
        photometric: Photometric Interpretation (0028,0004).
        samples_per_pixel: (0028,0002).
        bits_allocated: (0028,0100).
        bits_stored: (0028,0101).
        high_bit: (0028,0102).
        is_signed: Pixel Representation (0028,0103) is 1.
        padding: Lowest and highest stored value of padding, both included: Pixel Padding Value (0028,0120) and Pixel
            Padding Range Limit (0028,0121).
        slope: Rescale Slope (0028,1053).
        intercept: Rescale Intercept (0028,1052).
        rescale_type: (0028,1054) or Modality LUT Type (0028,3004); empty when absent.
        modality_lut: Modality LUT Sequence (0028,3000).
        window: The first window (0028,1050), (0028,1051).
        voi_lut: The first item of VOI LUT Sequence (0028,3010).
        presentation_shape: Presentation LUT Shape (2050,0020): IDENTITY, INVERSE, or empty.
    """

    modality: str
    photometric: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool
    samples_per_pixel: int = 1
    padding: tuple[int, int] | None = None
    slope: float | None = None
    intercept: float | None = None
    rescale_type: str = ""
    modality_lut: LookupTable | None = None
    window: Window | None = None
    voi_lut: LookupTable | None = None
    presentation_shape: str = ""

    @property
    def is_inverted(self) -> bool:
        """Say whether the lowest value is shown white."""
        return self.photometric == "MONOCHROME1"


def check_description(description: PixelDescription, space: ValueSpace) -> None:
    """Refuse pixels that cannot be turned into ``space``.

    Raises:
        UnsuitableInputError: colour; bits that contradict each other; a CT without Hounsfield units; a contradictory
            polarity.
    """
    if description.photometric not in _GREY or description.samples_per_pixel != 1:
        raise UnsuitableInputError(
            f"{description.samples_per_pixel} samples per pixel in {description.photometric or 'no'} photometric "
            "interpretation; only greyscale is read",
            category=ErrorCategory.IMAGES,
        )
    lowest_high_bit = description.bits_stored - 1
    if description.bits_allocated not in _BITS or not (
        0 <= lowest_high_bit <= description.high_bit < description.bits_allocated
    ):
        raise UnsuitableInputError(
            f"{description.bits_stored} bits stored up to bit {description.high_bit} of "
            f"{description.bits_allocated} do not fit together",
            category=ErrorCategory.TAG,
        )
    if space == "hounsfield":
        _check_hounsfield(description)
    if space == "normalised":
        _check_polarity(description)


def _check_hounsfield(description: PixelDescription) -> None:
    if description.modality != "CT":
        raise UnsuitableInputError(
            f"Hounsfield units were asked for; the modality is {description.modality or 'not given'}",
            category=ErrorCategory.MODALITY,
        )
    if description.modality_lut is None and (description.slope is None or description.intercept is None):
        raise UnsuitableInputError(
            "a CT without Rescale Slope (0028,1053) and Intercept (0028,1052) has no Hounsfield units",
            category=ErrorCategory.TAG,
        )
    if description.rescale_type not in {"", "HU"}:
        raise UnsuitableInputError(
            f"the values are of the type {description.rescale_type}, not Hounsfield units", category=ErrorCategory.TAG
        )


def _check_polarity(description: PixelDescription) -> None:
    shape_of = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}
    if description.presentation_shape not in {"", shape_of[description.photometric]}:
        raise UnsuitableInputError(
            f"{description.photometric} with Presentation LUT Shape {description.presentation_shape} contradict each "
            "other: dark or bright cannot be told",
            category=ErrorCategory.TAG,
        )


def stored_values(raw: NDArray[Any], description: PixelDescription) -> NDArray[Any]:
    """Take the stored value out of each cell: drop bits beside it, such as overlays (PS3.5 8.1), and extend the sign.

    Args:
        raw: Cells as they lie in the file or come from a decoder: integers of ``bits_allocated``, any shape.
        description: Of this frame.

    Returns:
        Integers of the same size and shape, signed where ``is_signed``; ``raw`` itself, viewed, where nothing is to do.

    Raises:
        UnsuitableInputError: the cells have another size.
    """
    allocated = description.bits_allocated
    if raw.dtype.kind not in "iu" or raw.dtype.itemsize * 8 != allocated:
        raise UnsuitableInputError(
            f"the pixels came as {raw.dtype}, the header allocates {allocated} bits", category=ErrorCategory.IMAGES
        )
    kind = "i" if description.is_signed else "u"
    cells = raw.view(f"u{raw.dtype.itemsize}")
    above, unused = allocated - 1 - description.high_bit, allocated - description.bits_stored
    if unused == 0:
        return cells.view(f"{kind}{raw.dtype.itemsize}")
    # Pushed against the upper end, the shift back down brings the sign along where there is one.
    moved = (cells << above).view(f"{kind}{raw.dtype.itemsize}")
    return np.asarray(moved >> unused)


def write_values(
    raw: NDArray[Any],
    description: PixelDescription,
    space: ValueSpace,
    *,
    out: NDArray[np.float32],
) -> None:
    """Write what the pixels of one frame mean.

    Args:
        raw: As for ``stored_values``, shape ``(rows, columns)``.
        description: Of this frame; its rescale, not that of another frame.
        space: ``stored`` writes stored values; the others what the modality LUT or rescale makes of them. The window
            is not applied here: see ``presentation``.
        out: Shape ``(rows, columns)``. NaN where there is padding.

    Raises:
        UnsuitableInputError: see ``check_description``; also a slope that is 0 or not a number.
    """
    check_description(description, space)
    stored = stored_values(raw, description)
    if space == "stored":
        np.copyto(out, stored, casting="unsafe")
    elif description.modality_lut is not None:
        out[...] = description.modality_lut.applied_to(stored)
    else:
        _rescale(stored, description, out=out)
    if description.padding is not None:
        lowest, highest = description.padding
        out[(stored >= lowest) & (stored <= highest)] = np.nan


def _rescale(stored: NDArray[Any], description: PixelDescription, *, out: NDArray[np.float32]) -> None:
    slope = 1.0 if description.slope is None else description.slope
    intercept = 0.0 if description.intercept is None else description.intercept
    if slope == 0.0 or not np.isfinite([slope, intercept]).all():
        raise UnsuitableInputError(
            f"Rescale Slope {slope} and Intercept {intercept} give no values", category=ErrorCategory.TAG
        )
    # In place and in float32: mixing integers with Python floats would pass through temporaries of twice the size.
    np.copyto(out, stored, casting="unsafe")
    if slope != 1.0:
        np.multiply(out, np.float32(slope), out=out)
    if intercept != 0.0:
        np.add(out, np.float32(intercept), out=out)
