"""The header of a DICOM file (PS3.10), read by walking from element to element, and the one frame behind it.

Only a walk finds Pixel Data (7FE0,0010) for certain: private blobs may hold the bytes of its tag, and an icon
(0088,0200) holds a Pixel Data of its own.
"""

import struct
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Final

IMPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"

WALKABLE: Final = frozenset({IMPLICIT_LITTLE_ENDIAN, EXPLICIT_LITTLE_ENDIAN})

SHORTEST: Final = 140
"""Fewer bytes than this cannot hold a preamble and the head of one element."""
PIXEL_DATA: Final = 0x7FE00010
_TRANSFER_SYNTAX: Final = 0x00020010
_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = 0xFFFEE00D
_SEQUENCE_END: Final = 0xFFFEE0DD
_UNDEFINED: Final = 0xFFFFFFFF
_PREAMBLE: Final = 132
_DEEPEST: Final = 32

_LONG: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
"""Value representations with two reserved bytes and a length of four (PS3.5 7.1.2)."""

_short: Final = struct.Struct("<HH2sH").unpack_from
_long: Final = struct.Struct("<L").unpack_from
_implicit: Final = struct.Struct("<HHL").unpack_from


class NotWalkableError(Exception):
    """The file cannot be walked here: it is cut, broken, or in a transfer syntax that needs a library."""


@dataclass(frozen=True, slots=True)
class RawElement:
    """An element as it stands in the file; ``vr`` is empty in implicit VR, ``value`` for undefined length."""

    vr: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the pixels.

    Attributes:
        transfer_syntax: (0002,0010).
        elements: The elements that were asked for and are there, by tag.
        pixels_at: Where the value of Pixel Data begins, in bytes.
        pixels_length: Its length, in bytes; None where the pixels are encapsulated.
    """

    transfer_syntax: str
    elements: Mapping[int, RawElement]
    pixels_at: int
    pixels_length: int | None


def walk(content: bytes | bytearray, wanted: Set[int], *, compressed: Set[str] = frozenset()) -> Header:
    """Read the header at the start of ``content``, which reaches at least to the first byte of the pixels.

    Args:
        content: A DICOM file, or its start.
        wanted: Tags of top-level elements to return.
        compressed: Transfer syntaxes to be walked besides the uncompressed ones: any with encapsulated pixels.

    Raises:
        NotWalkableError: see there; the file may still be good.
    """
    try:
        return _walk(content, wanted, compressed)
    except struct.error as error:
        raise NotWalkableError("cut") from error


def only_frame(content: bytes | bytearray, pixels_at: int) -> bytes:
    """Return the code stream of the one frame whose encapsulated pixels end ``content`` (PS3.5 A.4).

    Args:
        content: A whole file with a single frame, which may lie in several fragments.
        pixels_at: As ``walk`` says.

    Raises:
        NotWalkableError: it is more than that; the file may still be good.
    """
    try:
        return _only_frame(content, pixels_at)
    except struct.error as error:
        raise NotWalkableError("cut") from error


def _only_frame(content: bytes | bytearray, position: int) -> bytes:
    fragments: list[bytes] = []
    is_offset_table = True
    while True:
        tag, _, value_at, length = _head(content, position, is_explicit=False)
        position = value_at + length
        if tag == _SEQUENCE_END and position == len(content) and fragments:
            return b"".join(fragments)
        if tag != _ITEM or position > len(content):
            raise NotWalkableError("fragments")
        if not is_offset_table:
            fragments.append(bytes(content[value_at:position]))
        elif length and (length != 4 or _long(content, value_at)[0] != 0):
            raise NotWalkableError("offset-table")
        is_offset_table = False


def _walk(content: bytes | bytearray, wanted: Set[int], compressed: Set[str]) -> Header:
    if content[128:_PREAMBLE] != b"DICM":
        raise NotWalkableError("no-file-meta")
    syntax, position = _transfer_syntax(content)
    is_encapsulated = syntax in compressed
    if syntax not in WALKABLE and not is_encapsulated:
        raise NotWalkableError(syntax)
    is_explicit = syntax != IMPLICIT_LITTLE_ENDIAN
    elements: dict[int, RawElement] = {}
    while True:
        tag, vr, value_at, length = _head(content, position, is_explicit=is_explicit)
        if tag == PIXEL_DATA:
            if (length == _UNDEFINED) is not is_encapsulated:
                raise NotWalkableError("encapsulated")
            return Header(syntax, elements, value_at, None if is_encapsulated else length)
        if length == _UNDEFINED:
            # An UN of undefined length is a sequence in implicit VR, whatever surrounds it (PS3.5 6.2.2).
            position = _after_items(content, value_at, is_explicit=is_explicit and vr != b"UN", depth=0)
            if tag in wanted:
                elements[tag] = RawElement(vr.decode("ascii", errors="replace"), b"")
            continue
        position = value_at + length
        if tag in wanted:
            if position > len(content):
                raise NotWalkableError("cut")
            elements[tag] = RawElement(vr.decode("ascii", errors="replace"), bytes(content[value_at:position]))


def _transfer_syntax(content: bytes | bytearray) -> tuple[str, int]:
    """Return the transfer syntax and where the file meta information ends (PS3.10 7.1)."""
    position = _PREAMBLE
    syntax = ""
    while _implicit(content, position)[0] == 0x0002:
        tag, _, value_at, length = _head(content, position, is_explicit=True)
        position = value_at + length
        if tag == _TRANSFER_SYNTAX:
            syntax = content[value_at:position].rstrip(b"\0 ").decode("ascii", errors="replace")
    return syntax, position


def _head(content: bytes | bytearray, position: int, *, is_explicit: bool) -> tuple[int, bytes, int, int]:
    """Return tag, VR, where the value begins and how long it is."""
    if not is_explicit:
        group, element, length = _implicit(content, position)
        return group << 16 | element, b"", position + 8, length
    group, element, vr, length = _short(content, position)
    if group == 0xFFFE:
        return group << 16 | element, b"", position + 8, _long(content, position + 4)[0]
    if vr in _LONG:
        return group << 16 | element, vr, position + 12, _long(content, position + 8)[0]
    return group << 16 | element, vr, position + 8, length


def _after_items(content: bytes | bytearray, position: int, *, is_explicit: bool, depth: int) -> int:
    """Return where a sequence of undefined length ends."""
    if depth > _DEEPEST:
        raise NotWalkableError("nested")
    while True:
        tag, _, value_at, length = _head(content, position, is_explicit=False)
        if tag == _SEQUENCE_END:
            return value_at
        if tag != _ITEM:
            raise NotWalkableError("broken-sequence")
        if length != _UNDEFINED:
            position = value_at + length
            continue
        position = value_at
        while True:
            tag, vr, value_at, length = _head(content, position, is_explicit=is_explicit)
            if tag == _ITEM_END:
                position = value_at
                break
            if length == _UNDEFINED:
                position = _after_items(content, value_at, is_explicit=is_explicit and vr != b"UN", depth=depth + 1)
            else:
                position = value_at + length
