"""Finding the pixels by walking the header."""

import io

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from model_serving.adapters.part10 import NotWalkableError, walk
from udcphantom.ct import render_ct
from udcphantom.encoding import encode
from udcphantom.geometry import evenly, scan
from udcphantom.heads import head

ROWS = 0x00280010
SLOPE = 0x00281053


def slice_in(transfer_syntax: str, *, odd_headers: bool = True) -> bytes:
    geometry = scan(evenly(1, spacing=5.0), rows=16, columns=24)
    study = render_ct(head(), geometry, transfer_syntax=transfer_syntax, odd_headers=odd_headers)
    return study.instances[0].encoded


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
