"""How Hounsfield units become stored values: bits, sign, rescale, padding, overlay bits, polarity, VOI LUT."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from udcphantom.encoding import set_pixels
from udcphantom.rendering import Image

Stored = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelForm:
    """One way of storing a CT image (PS3.3 C.7.6.3, C.11.1).

    Args:
        bits_stored: Bits Stored (0028,0101), in 16 allocated bits.
        signed: Pixel Representation (0028,0103).
        slope: Rescale Slope (0028,1053), HU per stored unit.
        intercept: Rescale Intercept (0028,1052), HU.
        rescale_varies: Slope and intercept differ from slice to slice.
        padding: Pixel Padding Value (0028,0120) outside the reconstruction circle; none leaves the scene there.
        overlay: A square drawn in bit 12 of every pixel, an overlay of the retired kind (6000,0100).
        inverted: MONOCHROME1 instead of MONOCHROME2; the values stay.
        voi_lut: A VOI LUT (0028,3010) besides the window.

    Raises:
        ValueError: Overlay bits are asked for where no bit is free.
    """

    bits_stored: int = 12
    signed: bool = False
    slope: float = 1.0
    intercept: float = -1024.0
    rescale_varies: bool = False
    padding: int | None = None
    overlay: bool = False
    inverted: bool = False
    voi_lut: bool = False

    def __post_init__(self) -> None:
        if self.overlay and (self.signed or self.bits_stored > 12):
            raise ValueError("overlay bits need unsigned pixels of at most 12 bits")

    def rescale(self, index: int) -> tuple[float, float]:
        """Give slope and intercept of the slice with this zero-based index."""
        if self.rescale_varies:
            return self.slope * (0.75 + 0.0625 * (index % 5)), self.intercept - 8.0 * (index % 7)
        return self.slope, self.intercept

    def write(self, dataset: Dataset, hu: Image, *, index: int) -> None:
        """Store an image in a dataset.

        Args:
            dataset: Gets the Image Pixel, Modality LUT, VOI LUT and, if asked for, Overlay Plane attributes.
            hu: Hounsfield units, shape ``(rows, columns)``. Values beyond the range of the bits are clipped.
            index: Zero-based index of the slice in its series.
        """
        slope, intercept = self.rescale(index)
        stored = self.stored(hu, index=index)
        if self.padding is not None:
            stored[~_within_circle(hu.shape)] = self.padding
            dataset.PixelPaddingValue = self.padding
        if self.overlay:
            stored |= _draw_overlay(dataset, hu.shape)
        dataset.PhotometricInterpretation = "MONOCHROME1" if self.inverted else "MONOCHROME2"
        dataset.BitsAllocated = 16
        dataset.BitsStored = self.bits_stored
        dataset.HighBit = self.bits_stored - 1
        dataset.PixelRepresentation = int(self.signed)
        dataset.RescaleSlope = slope
        dataset.RescaleIntercept = intercept
        dataset.RescaleType = "HU"
        dataset.WindowCenter = 40
        dataset.WindowWidth = 80
        if self.voi_lut:
            dataset.VOILUTSequence = [_brain_lut(signed=self.signed)]
        set_pixels(dataset, stored)

    def stored(self, hu: Image, *, index: int) -> Stored:
        """Turn Hounsfield units into stored values, shape kept, clipped to the range of the bits."""
        slope, intercept = self.rescale(index)
        low = -(1 << (self.bits_stored - 1)) if self.signed else 0
        high = low + (1 << self.bits_stored) - 1
        stored: Stored = np.clip(np.rint((hu - intercept) / slope), low, high).astype(np.int32)
        return stored


def _within_circle(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    rows, columns = shape
    row, column = np.ogrid[:rows, :columns]
    away = (row - (rows - 1) / 2) ** 2 + (column - (columns - 1) / 2) ** 2
    within: NDArray[np.bool_] = away <= (min(rows, columns) / 2) ** 2
    return within


def _draw_overlay(dataset: Dataset, shape: tuple[int, ...]) -> Stored:
    """Describe overlay group 6000 in bit 12 and return that bit for every pixel."""
    rows, columns = shape
    drawing = np.zeros(shape, dtype=np.int32)
    drawing[rows // 4 : 3 * rows // 4, columns // 4 : 3 * columns // 4] = 1 << 12
    dataset.add_new(0x60000010, "US", rows)
    dataset.add_new(0x60000011, "US", columns)
    dataset.add_new(0x60000040, "CS", "G")
    dataset.add_new(0x60000050, "SS", [1, 1])
    dataset.add_new(0x60000100, "US", 16)
    dataset.add_new(0x60000102, "US", 12)
    return drawing


def _brain_lut(*, signed: bool) -> Dataset:
    lut = Dataset()
    lut.add_new(0x00283002, "SS" if signed else "US", [256, 0 if signed else 1024, 16])
    lut.LUTExplanation = "BRAIN"
    lut.add_new(0x00283006, "OW", (np.arange(256, dtype="<u2") * 257).tobytes())
    return lut
