"""From the parts of a series to the values of a stack: plain pixels go straight to their place."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import UID

from model_serving.adapters import part10
from model_serving.adapters.decoding import IN_THREADS, Decoding, frame_count, of_frame, read
from model_serving.adapters.description import describe
from model_serving.adapters.multipart import Part, Parts
from model_serving.adapters.part10 import Header, NotWalkableError, RawElement
from model_serving.domain.assembly import Assembly
from model_serving.domain.failure import Reason, RunFailedError
from model_serving.domain.pixels import PixelDescription
from udcmodel.stack import StackDescriptor, StackFrame, Vector
from udcmodel.vocabulary import ErrorCategory

_SOP_CLASS: Final = 0x00080016
_SOP_INSTANCE: Final = 0x00080018
_POSITION: Final = 0x00200032
_ORIENTATION: Final = 0x00200037
_FRAMES: Final = 0x00280008
_ROWS: Final = 0x00280010
_COLUMNS: Final = 0x00280011
_SPACING: Final = 0x00280030
_BITS_ALLOCATED: Final = 0x00280100
_PLACE: Final = frozenset({_SOP_CLASS, _SOP_INSTANCE, _POSITION, _ORIENTATION, _FRAMES, _ROWS, _COLUMNS, _SPACING})
_PLAIN_DESCRIPTION: Final = frozenset(
    {
        0x00080060,  # Modality
        0x00280002,  # Samples per Pixel
        0x00280004,  # Photometric Interpretation
        _BITS_ALLOCATED,
        0x00280101,  # Bits Stored
        0x00280102,  # High Bit
        0x00280103,  # Pixel Representation
        0x00280120,  # Pixel Padding Value
        0x00280121,  # Pixel Padding Range Limit
        0x00281050,  # Window Center
        0x00281051,  # Window Width
        0x00281052,  # Rescale Intercept
        0x00281053,  # Rescale Slope
        0x00281054,  # Rescale Type
        0x00281056,  # VOI LUT Function
        0x20500020,  # Presentation LUT Shape
    }
)
_NESTED: Final = {
    0x00283000: "modality-lut",
    0x00283010: "voi-lut",
    0x20500010: "presentation-lut",
    0x52009230: "functional-groups",
}
"""Sequences that say something about the pixels or their place; their images take the way through pydicom."""
_WANTED: Final = _PLACE | _PLAIN_DESCRIPTION | frozenset(_NESTED)
_LONGEST_HEADER: Final = 4 << 20

CountFallback = Callable[[str], None]
Place = Callable[[int, NDArray[Any], PixelDescription], None]


class StackReceiver:
    """Receives one stack; used by one thread.

    Args:
        stack: As it was matched.
        place: Takes the pixels of a frame: its index in the stack, integers of shape ``(rows, columns)`` which are
            others' afterwards, and their description. Called from several threads, once for each frame.
        decoding: For images that are not plain.
        count_fallback: Told why an image could not go straight to its place.
    """

    def __init__(
        self,
        stack: StackDescriptor,
        *,
        place: Place,
        decoding: Decoding,
        count_fallback: CountFallback,
    ) -> None:
        self._assembly = Assembly(stack)
        self._place = place
        self._decoding = decoding
        self._count_fallback = count_fallback
        # One frame as it is stored. Scratch of one slice is free; a stored copy of the volume would be two volumes.
        self._stored = np.empty((stack.frames[0].rows, stack.frames[0].columns), np.uint16)
        self._descriptions: dict[tuple[RawElement | None, ...], PixelDescription] = {}

    def receive(self, parts: Parts) -> None:
        """Receive the whole answer and prove that it is the stack.

        Raises:
            RunFailedError: it is not, or an image cannot be read.
            TruncatedError, MalformedError, TooLongError: the answer is broken.
        """
        try:
            while (part := parts.next()) is not None:
                self._receive_part(part)
        except BaseException:
            self._decoding.abandon()
            raise
        finally:
            # Threads still write to the volume: nobody gets its memory before they are through.
            self._decoding.settle()
        self._decoding.finish()
        self._assembly.finish()

    def _receive_part(self, part: Part) -> None:
        length = (part.length or 0) - self._stored.nbytes
        if part.length is None or not part10.SHORTEST < length <= _LONGEST_HEADER:
            self._receive_whole("no-length" if part.length is None else "size", part.rest(), part.longest)
            return
        head = bytearray(length)
        part.readinto(memoryview(head))
        try:
            header = part10.walk(head, _WANTED)
            self._refuse_unless_plain(header, length)
            placed = _placed(header.elements)
        except NotWalkableError as error:
            self._receive_whole(str(error), head + part.rest(), part.longest)
            return
        slot = self._assembly.slot_of(placed)
        if slot is None:
            return
        part.readinto(self._stored.data.cast("B"))
        self._place(slot, self._stored, self._described(header.elements))

    def _refuse_unless_plain(self, header: Header, length: int) -> None:
        elements = header.elements
        if (header.pixels_at, header.pixels_length) != (length, self._stored.nbytes):
            raise NotWalkableError("trailing")
        _refuse_unless_flat(elements)
        if (_unsigned(elements, _ROWS), _unsigned(elements, _COLUMNS)) != self._stored.shape:
            raise NotWalkableError("matrix")
        if _unsigned(elements, _BITS_ALLOCATED) != 16:
            raise NotWalkableError("form")

    def _receive_whole(self, why: str, content: bytearray, longest: int) -> None:
        """Receive an image whose pixels could not go straight to their place.

        Most are walked all the same: pydicom would hold the interpreter's lock for a millisecond, which the threads
        that decode need.
        """
        try:
            header = part10.walk(content, _WANTED, compressed=IN_THREADS.keys())
            placed = _placed(header.elements)
            if header.pixels_length is None:
                _refuse_unless_flat(header.elements)
                codestream = part10.only_frame(content, header.pixels_at)
            else:
                self._refuse_unless_plain(header, len(content) - self._stored.nbytes)
                codestream = None
        except NotWalkableError:
            self._fall_back(why, content, longest)
            return
        self._count_fallback(why if codestream is None else UID(header.transfer_syntax).keyword)
        slot = self._assembly.slot_of(placed)
        if slot is None:
            return
        description = self._described(header.elements)
        if codestream is None:
            stored = np.frombuffer(content, np.uint16, offset=header.pixels_at)
            self._place(slot, stored.reshape(self._stored.shape), description)
        else:
            receiver = self._receiver_of(slot, description)
            self._decoding.frame(header.transfer_syntax, codestream, description, receiver)

    def _fall_back(self, why: str, content: bytearray, longest: int) -> None:
        dataset = read(content, longest=longest)
        syntax = dataset.file_meta.TransferSyntaxUID
        self._count_fallback(why if syntax in part10.WALKABLE else syntax.keyword or "unknown-syntax")
        wanted = []
        for index in range(frame_count(dataset)):
            header = of_frame(dataset, index)
            slot = self._assembly.slot_of(placed(header, index + 1))
            if slot is not None:
                wanted.append((index, self._receiver_of(slot, describe(header))))
        self._decoding.frames(dataset, wanted)

    def _receiver_of(self, slot: int, description: PixelDescription) -> Callable[[NDArray[Any]], None]:
        def receive(stored: NDArray[Any]) -> None:
            if stored.shape != self._stored.shape:
                raise RunFailedError(Reason.FRAME_CHANGED, f"frame {slot + 1} has other pixels than its header says")
            self._place(slot, stored, description)

        return receive

    def _described(self, elements: Mapping[int, RawElement]) -> PixelDescription:
        """Return the description; most frames of a stack share a few of them, and reading one takes pydicom's time."""
        key = tuple(elements.get(tag) for tag in sorted(_PLAIN_DESCRIPTION))
        known = self._descriptions.get(key)
        if known is None:
            known = self._descriptions[key] = describe(_dataset(elements))
        return known


def _refuse_unless_flat(elements: Mapping[int, RawElement]) -> None:
    """Refuse what does not stand in top-level elements alone: look-up tables, and frames with headers of their own."""
    for tag, why in _NESTED.items():
        if tag in elements:
            raise NotWalkableError(why)
    if _text(elements, _FRAMES) not in {"", "1"}:
        raise NotWalkableError("form")


def _dataset(elements: Mapping[int, RawElement]) -> Dataset:
    return Dataset(
        {
            Tag(tag): RawDataElement(
                Tag(tag), element.vr or None, len(element.value), element.value, 0, not element.vr, True
            )
            for tag, element in elements.items()
        }
    )


def _placed(elements: Mapping[int, RawElement]) -> StackFrame:
    position = _numbers(elements, _POSITION, 3)
    orientation = _numbers(elements, _ORIENTATION, 6)
    spacing = _numbers(elements, _SPACING, 2)
    return StackFrame(
        sop_class_uid=_text(elements, _SOP_CLASS),
        sop_instance_uid=_text(elements, _SOP_INSTANCE),
        rows=_unsigned(elements, _ROWS),
        columns=_unsigned(elements, _COLUMNS),
        position=_vector(position),
        row_direction=_vector(orientation[:3]),
        column_direction=_vector(orientation[3:]),
        pixel_spacing=(spacing[0], spacing[1]) if spacing else None,
    )


def placed(header: Dataset, frame_number: int) -> StackFrame:
    """Return the place of one frame from its header.

    Args:
        header: Of that frame; of an enhanced image with its functional groups laid over it.
        frame_number: From 1.

    Raises:
        RunFailedError: a value cannot be read.
    """
    try:
        position, orientation, spacing = (
            tuple(map(float, header.get(keyword) or ()))
            for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
        )
    except (ValueError, TypeError, OverflowError) as error:
        raise RunFailedError(
            Reason.INPUT_UNSUITABLE, "the place of an image cannot be read", category=ErrorCategory.TAG
        ) from error
    return StackFrame(
        sop_class_uid=str(header.get("SOPClassUID", "")),
        sop_instance_uid=str(header.get("SOPInstanceUID", "")),
        frame_number=frame_number,
        rows=int(header.get("Rows") or 0),
        columns=int(header.get("Columns") or 0),
        position=_vector(position),
        row_direction=_vector(orientation[:3]),
        column_direction=_vector(orientation[3:]),
        pixel_spacing=(spacing[0], spacing[1]) if len(spacing) == 2 else None,
    )


def _vector(numbers: tuple[float, ...]) -> Vector | None:
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else None


def _text(elements: Mapping[int, RawElement], tag: int) -> str:
    element = elements.get(tag)
    return "" if element is None else element.value.decode("ascii", errors="replace").strip("\0 ")


def _numbers(elements: Mapping[int, RawElement], tag: int, count: int) -> tuple[float, ...]:
    text = _text(elements, tag)
    try:
        numbers = tuple(map(float, text.split("\\"))) if text else ()
    except ValueError as error:
        raise NotWalkableError("decimal-string") from error
    if numbers and (len(numbers) != count or not all(map(math.isfinite, numbers))):
        raise NotWalkableError("decimal-string")
    return numbers


def _unsigned(elements: Mapping[int, RawElement], tag: int) -> int:
    element = elements.get(tag)
    return 0 if element is None else int.from_bytes(element.value[:2], "little")
