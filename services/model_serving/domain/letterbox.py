"""One image, scaled to fit into a fixed size: what is left over stays empty, and boxes find their way back exactly.

Coordinates are those of SCOORD (PS3.3 C.18.6) on both sides: (0, 0) is the upper left corner of the upper left pixel.
Between corners the map is a factor and a shift, without half pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from model_serving.domain.resample import Casting
from udcmodel.stack import StackFrame


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How an image lies in the tensor; pairs are vertical, horizontal.

    Args:
        source: Rows and columns of the image.
        size: Rows and columns of the tensor.
        scale: Tensor pixels per image pixel.
        offset: Where the image begins in the tensor, in tensor pixels.
    """

    source: tuple[int, int]
    size: tuple[int, int]
    scale: tuple[float, float]
    offset: tuple[float, float]

    def to_tensor(self, x: float, y: float) -> tuple[float, float]:
        """Turn image coordinates (x is the column) into tensor coordinates."""
        return x * self.scale[1] + self.offset[1], y * self.scale[0] + self.offset[0]

    def to_image(self, x: float, y: float) -> tuple[float, float]:
        """Turn tensor coordinates (x is the column) into image coordinates."""
        return (x - self.offset[1]) / self.scale[1], (y - self.offset[0]) / self.scale[0]


def letterbox_for(frame: StackFrame, size: tuple[int, int]) -> Letterbox:
    """Fit ``frame`` into ``size`` (rows, columns), centred, the tighter side filled.

    Pixels that are not square in the patient become square in the tensor; uncalibrated ones are taken as square.
    """
    between_rows, between_columns = frame.pixel_spacing or (1.0, 1.0)
    factor = min(size[0] / (frame.rows * between_rows), size[1] / (frame.columns * between_columns))
    scale = (factor * between_rows, factor * between_columns)
    offset = ((size[0] - scale[0] * frame.rows) / 2, (size[1] - scale[1] * frame.columns) / 2)
    return Letterbox((frame.rows, frame.columns), size, scale, offset)


def draw(image: NDArray[np.float32], letterbox: Letterbox, casting: Casting, *, out: NDArray[Any]) -> None:
    """Draw an image into a tensor.

    A shrunken image is averaged over the area of each tensor pixel, so that fine lines do not vanish or flicker; an
    enlarged one is interpolated between pixel centres.

    Args:
        image: Shape ``letterbox.source``; NaN where there is padding.
        letterbox: Where it goes.
        casting: What becomes of the values, and the fill.
        out: Shape ``letterbox.size``.
    """
    down, across = (
        _shares(size, count, scale, offset)
        for size, count, scale, offset in zip(
            letterbox.size, letterbox.source, letterbox.scale, letterbox.offset, strict=True
        )
    )
    is_known = ~np.isnan(image)
    total = down @ np.where(is_known, image, np.float32(0.0)) @ across.T
    weight = down @ is_known.astype(np.float32) @ across.T
    out[...] = casting.of(np.asarray(total, np.float32), np.asarray(weight, np.float32))


def _shares(size: int, count: int, scale: float, offset: float) -> csr_array:
    """Return the share of each image pixel in each tensor pixel along one axis, shape ``(size, count)``."""
    rows, columns, shares = [], [], []
    tensor = np.arange(size)
    for pixel, share in _shrunken(tensor, scale, offset) if scale < 1 else _enlarged(tensor, count, scale, offset):
        kept = np.flatnonzero((share > 0) & (pixel >= 0) & (pixel < count))
        rows.append(kept)
        columns.append(pixel[kept])
        shares.append(share[kept])
    entries = (np.concatenate(rows), np.concatenate(columns))
    return csr_array((np.concatenate(shares).astype(np.float32), entries), shape=(size, count))


def _shrunken(
    tensor: NDArray[np.intp], scale: float, offset: float
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    begin, end = (tensor - offset) / scale, (tensor + 1 - offset) / scale
    first = np.floor(begin).astype(np.intp)
    for step in range(int(np.ceil(1 / scale)) + 1):
        pixel = first + step
        yield pixel, np.maximum(np.minimum(end, pixel + 1) - np.maximum(begin, pixel), 0.0) * scale


def _enlarged(
    tensor: NDArray[np.intp], count: int, scale: float, offset: float
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    centre = (tensor + 0.5 - offset) / scale - 0.5
    is_inside = (centre >= -0.5) & (centre <= count - 0.5)
    held = np.clip(centre, 0, count - 1)
    low = np.minimum(held.astype(np.intp), max(count - 2, 0))
    yield low, (1 - (held - low)) * is_inside
    yield low + 1, (held - low) * is_inside
