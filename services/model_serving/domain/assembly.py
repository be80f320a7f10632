"""Putting a stack together from frames that arrive in any order, and proving that it is the stack that was matched."""

from typing import Final

import numpy as np

from model_serving.domain.failure import Reason, RunFailedError
from udcmodel.stack import StackDescriptor, StackFrame, Vector

_SAME_PLACE_MM: Final = 0.01
_SAME_DIRECTION: Final = 1e-3
_SAME_SPACING: Final = 1e-3
"""Archives rewrite decimal strings; a difference of a thousandth is theirs, not the scanner's."""


class Assembly:
    """Which frames of a stack have come.

    Args:
        stack: As it was matched.
    """

    def __init__(self, stack: StackDescriptor) -> None:
        self.stack = stack
        self._slots = {(frame.sop_instance_uid, frame.frame_number): slot for slot, frame in enumerate(stack.frames)}
        self._instances = {frame.sop_instance_uid for frame in stack.frames}
        self._arrived: set[int] = set()

    def slot_of(self, arrived: StackFrame) -> int | None:
        """Return the place of a frame in the stack; None if the series has it but the stack does not.

        A series may hold several stacks, so images beside this one are nothing unusual. One that would lie inside
        the stack or continue it is: then the stack that was matched is not the stack that is there.

        Args:
            arrived: What the frame's own header says.

        Raises:
            RunFailedError: the frame came twice, is another than the one matched, or belongs to the stack and was not
                matched.
        """
        slot = self._slots.get((arrived.sop_instance_uid, arrived.frame_number))
        if slot is None:
            self._refuse_if_it_belongs(arrived)
            return None
        if slot in self._arrived:
            raise RunFailedError(Reason.FRAME_REPEATED, f"frame {slot + 1} of the stack came twice")
        self._refuse_if_changed(slot, arrived)
        self._arrived.add(slot)
        return slot

    def finish(self) -> None:
        """Prove that every frame has come.

        Raises:
            RunFailedError: one has not.
        """
        missing = [slot for slot in range(len(self.stack.frames)) if slot not in self._arrived]
        if missing:
            raise RunFailedError(
                Reason.FRAME_MISSING,
                f"{len(missing)} of {len(self.stack.frames)} frames did not come, the first of them frame"
                f" {missing[0] + 1}",
            )

    def _refuse_if_changed(self, slot: int, arrived: StackFrame) -> None:
        matched = self.stack.frames[slot]
        for what, same in (
            ("matrix", (arrived.rows, arrived.columns) == (matched.rows, matched.columns)),
            ("position", _is_near(arrived.position, matched.position, _SAME_PLACE_MM)),
            ("orientation", _has_same_directions(arrived, matched)),
            ("pixel spacing", _is_near(arrived.pixel_spacing, matched.pixel_spacing, _SAME_SPACING)),
            ("SOP class", arrived.sop_class_uid == matched.sop_class_uid),
        ):
            if not same:
                raise RunFailedError(Reason.FRAME_CHANGED, f"the {what} of frame {slot + 1} is not the one matched")

    def _refuse_if_it_belongs(self, arrived: StackFrame) -> None:
        first = self.stack.frames[0]
        is_of_this_form = (
            (arrived.rows, arrived.columns) == (first.rows, first.columns)
            and _has_same_directions(arrived, first)
            and _is_near(arrived.pixel_spacing, first.pixel_spacing, _SAME_SPACING)
        )
        if arrived.sop_instance_uid in self._instances or not is_of_this_form or arrived.position is None:
            return
        if first.row_direction is None or first.column_direction is None:
            return
        normal = np.cross(first.row_direction, first.column_direction)
        levels = np.sort([np.dot(frame.position, normal) for frame in self.stack.frames if frame.position is not None])
        if len(levels) < 2:
            return
        reach = float(np.max(np.diff(levels)))
        level = float(np.dot(arrived.position, normal))
        is_repeat = bool(np.min(np.abs(levels - level)) <= _SAME_PLACE_MM)
        if not is_repeat and levels[0] - 1.5 * reach < level < levels[-1] + 1.5 * reach:
            raise RunFailedError(
                Reason.FRAME_UNEXPECTED, "the series holds an image that belongs in the stack and was not matched"
            )


def _has_same_directions(one: StackFrame, other: StackFrame) -> bool:
    return _is_near(one.row_direction, other.row_direction, _SAME_DIRECTION) and _is_near(
        one.column_direction, other.column_direction, _SAME_DIRECTION
    )


def _is_near(one: Vector | tuple[float, float] | None, other: Vector | tuple[float, float] | None, by: float) -> bool:
    if one is None or other is None:
        return one is other
    return all(abs(a - b) <= by for a, b in zip(one, other, strict=True))
