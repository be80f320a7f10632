"""The images of one input, decoded: values on the frames they came from."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_serving.domain.pixels import PixelDescription, ValueSpace, write_values
from model_serving.domain.presentation import common_window, spread
from udckit.errors import InternalError
from udcmodel.stack import StackFrame


class SourceImages:
    """Values of the frames of a stack, filled frame by frame in any order.

    Different frames may be put from different threads; afterwards somebody calls ``finish`` once.

    Args:
        frames: Of one matrix, such as those of a plan.
        space: What the values shall mean.
        buffer: Where the values are kept, shape ``(frames, rows, columns)``; new memory when not given.

    Attributes:
        frames: As given.
        space: As given.
        values: Float32, shape ``(frames, rows, columns)``. NaN where there is padding instead of an image.
    """

    def __init__(
        self, frames: Sequence[StackFrame], *, space: ValueSpace, buffer: NDArray[np.float32] | None = None
    ) -> None:
        self.frames = tuple(frames)
        self.space = space
        self.values = np.empty(shape_of(frames), np.float32) if buffer is None else buffer
        self._descriptions: list[PixelDescription | None] = [None] * len(self.frames)

    def put(self, slot: int, raw: NDArray[Any], description: PixelDescription) -> None:
        """Take the decoded pixels of one frame.

        Args:
            slot: Index into ``frames``.
            raw: Integers as they came, shape ``(rows, columns)``.
            description: From the header of this very frame.

        Raises:
            UnsuitableInputError: the pixels do not give the values asked for.
        """
        write_values(raw, description, self.space, out=self.values[slot])
        self._descriptions[slot] = description

    def finish(self) -> None:
        """Bring normalised values to 0 (dark) to 1 (bright), once all frames are there; nothing to do for others.

        One image takes its VOI LUT or its window. Several take a window they all share. Without either the values are
        spread from the 0.5th to the 99.5th percentile of everything that is not padding: frames of one volume are
        never scaled one by one, because the same tissue would get different values.

        Raises:
            InternalError: a frame was never put.
        """
        descriptions = [description for description in self._descriptions if description is not None]
        if len(descriptions) < len(self.frames):
            raise InternalError(f"{len(self.frames) - len(descriptions)} frames of an input were never decoded")
        if self.space != "normalised":
            return
        lut = descriptions[0].voi_lut if len(descriptions) == 1 else None
        if lut is not None:
            np.divide(lut.applied_to(self.values), np.float32(2**lut.bits - 1), out=self.values)
        else:
            window = common_window([description.window for description in descriptions]) or spread(self.values)
            window.apply(self.values)
        for slot, description in enumerate(descriptions):
            if description.is_inverted:
                np.subtract(np.float32(1.0), self.values[slot], out=self.values[slot])


def shape_of(frames: Sequence[StackFrame]) -> tuple[int, int, int]:
    """Return the shape that the values of ``frames`` take: frames, rows, columns."""
    return len(frames), frames[0].rows, frames[0].columns
