"""Finding the pixels by walking the header."""

import io
from collections.abc import Sequence

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from model_serving.adapters.part10 import NotWalkableError, only_frame, walk
from udcphantom.ct import render_ct
from udcphantom.encoding import encode
from udcphantom.geometry import evenly, scan
from udcphantom.heads import head

ROWS = 0x00280010
SLOPE = 0x00281053
WINDOW_TABLE = 0x00283010
COMPRESSED = frozenset({JPEG2000Lossless, JPEGLSLossless})


def slice_in(transfer_syntax: str, *, rows: int = 16, odd_headers: bool = True) -> bytes:
    geometry = scan(evenly(1, spacing=5.0), rows=rows, columns=rows + 8)
    study = render_ct(head(), geometry, transfer_syntax=transfer_syntax, odd_headers=odd_headers)
    return study.instances[0].encoded


A_COMPRESSED_SLICE = slice_in(JPEG2000Lossless, rows=64)


def tricky(transfer_syntax: str) -> bytes:
    """A slice whose first Pixel Data tags are none: in a private blob, in an icon, in a nested sequence."""
    dataset = pydicom.dcmread(io.BytesIO(slice_in(transfer_syntax)))
    block = dataset.private_block(0x0029, "UDC TEST", create=True)
    block.add_new(0x10, "OB", b"\xe0\x7f\x10\x00OW\x00\x00\x80\x01\x00\x00" * 5000)
    icon = Dataset()
    icon.Rows, icon.Columns = 2, 2
    icon.PixelData = b"\x01\x02\x03\x04"
    icon["PixelData"].VR = "OB"
    icon.is_undefined_length_sequence_item = True
    dataset.IconImageSequence = [icon]
    dataset["IconImageSequence"].is_undefined_length = True
    inner, outer = Dataset(), Dataset()
    inner.PixelData = b"\x05\x06"
    inner["PixelData"].VR = "OW"
    outer.ReferencedImageSequence = [inner]
    outer["ReferencedImageSequence"].is_undefined_length = True
    dataset.ReferencedStudySequence = [outer]
    del dataset.file_meta
    return encode(dataset, transfer_syntax).encoded


@pytest.mark.parametrize("transfer_syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("make", [slice_in, tricky])
def test_the_walk_ends_at_the_pixels(transfer_syntax: str, make: object) -> None:
    assert callable(make)
    content = make(transfer_syntax)
    truth = pydicom.dcmread(io.BytesIO(content))

    header = walk(content, {ROWS, SLOPE})

    assert header.transfer_syntax == transfer_syntax
    assert header.pixels_length == 16 * 24 * 2
    assert header.pixels_at == len(content) - header.pixels_length
    assert content[header.pixels_at :] == truth.PixelData
    assert int.from_bytes(header.elements[ROWS].value, "little") == 16
    assert float(header.elements[SLOPE].value) == truth.RescaleSlope


@pytest.mark.parametrize("transfer_syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_header_cut_anywhere_is_not_walkable(transfer_syntax: str) -> None:
    content = tricky(transfer_syntax)
    pixels_at = walk(content, {ROWS}).pixels_at
    # In the last bytes of the head of Pixel Data its length may be cut, and nothing may be made up for it.
    for cut in [*range(0, 3000), *range(pixels_at - 400, pixels_at)]:
        with pytest.raises(NotWalkableError):
            walk(content[:cut], {ROWS})


def test_the_first_byte_of_the_pixels_need_not_be_there() -> None:
    content = slice_in(ExplicitVRLittleEndian)
    pixels_at = walk(content, set()).pixels_at
    assert walk(content[:pixels_at], set()).pixels_at == pixels_at


@pytest.mark.parametrize("transfer_syntax", [ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless])
def test_what_needs_a_decoder_is_left_to_one(transfer_syntax: str) -> None:
    with pytest.raises(NotWalkableError, match=transfer_syntax):
        walk(slice_in(transfer_syntax), set())


def test_random_bytes_are_never_walked_for_ever() -> None:
    content = bytearray(slice_in(ExplicitVRLittleEndian))
    generator = np.random.default_rng(1)
    for _ in range(3000):
        broken = bytearray(content)
        for _ in range(4):
            broken[generator.integers(140, len(content) - 800)] = generator.integers(256)
        try:
            walk(broken, {ROWS})
        except NotWalkableError:
            continue


@pytest.mark.parametrize("has_length", [True, False])
@pytest.mark.parametrize("transfer_syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_sequence_that_was_asked_for_is_found_with_and_without_a_length(
    transfer_syntax: str, *, has_length: bool
) -> None:
    dataset = pydicom.dcmread(io.BytesIO(slice_in(transfer_syntax)))
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [2, 0, 16])
    table.add_new("LUTData", "OW", b"\0\0\1\0")
    dataset.VOILUTSequence = [table]
    dataset["VOILUTSequence"].is_undefined_length = not has_length
    del dataset.file_meta
    assert WINDOW_TABLE in walk(encode(dataset, transfer_syntax).encoded, {WINDOW_TABLE}).elements


def in_fragments(encoded: bytes, fragments: Sequence[bytes], *, offset_table: bytes = b"") -> bytes:
    """The same file with other encapsulated pixels, written by hand (PS3.5 table A.4-1)."""
    pixels_at = walk(encoded, set(), compressed=COMPRESSED).pixels_at
    items = [b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item for item in (offset_table, *fragments)]
    return encoded[:pixels_at] + b"".join(items) + b"\xfe\xff\xdd\xe0" + bytes(4)


def frame_of(encoded: bytes) -> bytes:
    return bytes(only_frame(encoded, walk(encoded, set(), compressed=COMPRESSED).pixels_at))


@pytest.mark.parametrize("transfer_syntax", sorted(COMPRESSED))
def test_the_one_compressed_frame_is_the_one_that_pydicom_finds(transfer_syntax: str) -> None:
    encoded = slice_in(transfer_syntax, rows=64)
    (truth,) = generate_frames(pydicom.dcmread(io.BytesIO(encoded)).PixelData, number_of_frames=1)

    header = walk(encoded, {ROWS}, compressed=COMPRESSED)

    assert (header.transfer_syntax, header.pixels_length) == (transfer_syntax, None)
    assert int.from_bytes(header.elements[ROWS].value, "little") == 64
    assert frame_of(encoded) == truth


@pytest.mark.parametrize("offset_table", [b"", bytes(4)])
def test_a_frame_in_fragments_is_put_together(offset_table: bytes) -> None:
    encoded = in_fragments(A_COMPRESSED_SLICE, [b"ab", b"cdef", b"gh"], offset_table=offset_table)
    assert frame_of(encoded) == b"abcdefgh"


def test_a_compressed_file_cut_anywhere_has_no_frame() -> None:
    encoded = A_COMPRESSED_SLICE
    pixels_at = walk(encoded, set(), compressed=COMPRESSED).pixels_at
    for cut in range(pixels_at, len(encoded)):
        with pytest.raises(NotWalkableError):
            only_frame(encoded[:cut], pixels_at)


@pytest.mark.parametrize(
    "odd",
    [
        in_fragments(A_COMPRESSED_SLICE, []),
        in_fragments(A_COMPRESSED_SLICE, [b"ab", b"cd"], offset_table=b"\0\0\0\0\x0a\0\0\0"),
        in_fragments(A_COMPRESSED_SLICE, [b"abcd"]) + encapsulate([b"ab"]),
    ],
    ids=["no fragment", "two frames", "something behind"],
)
def test_whatever_is_more_than_one_frame_is_left_to_a_library(odd: bytes) -> None:
    with pytest.raises(NotWalkableError):
        frame_of(odd)


@pytest.mark.parametrize("transfer_syntax", [ExplicitVRLittleEndian, JPEG2000Lossless])
def test_pixels_that_are_not_as_the_transfer_syntax_says_are_not_walkable(transfer_syntax: str) -> None:
    other = ExplicitVRLittleEndian if transfer_syntax == JPEG2000Lossless else JPEG2000Lossless
    # The UIDs differ in length, so one is padded.
    width = max(len(transfer_syntax), len(other)) + 2
    content = slice_in(transfer_syntax, rows=64)
    element = b"\x02\x00\x10\x00UI"
    begin = content.index(element)
    length = int.from_bytes(content[begin + 6 : begin + 8], "little")
    changed = element + width.to_bytes(2, "little") + other.encode().ljust(width, b"\0")
    with pytest.raises(NotWalkableError, match="encapsulated"):
        walk(content[:begin] + changed + content[begin + 8 + length :], set(), compressed=COMPRESSED)
