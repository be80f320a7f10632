"""The picture of a key image is what a viewer would show of it, however it is stored."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

from result_archiver.adapters.dicom.pixels import picture_of
from result_archiver.domain.failure import CannotArchiveError
from udcphantom.ct import render_ct
from udcphantom.encoding import TRANSFER_SYNTAXES
from udcphantom.geometry import evenly, scan
from udcphantom.heads import head
from udcphantom.pixels import PixelForm
from udcphantom.radiograph import Detector, render_chest

ONE_SLICE = scan(evenly(1, spacing=5.0))
EVERYWHERE = 4
"""Grey levels by which pictures of the same scene may differ: stored values are rounded differently."""


def slice_of(pixels: PixelForm | None = None, transfer_syntax: str = "1.2.840.10008.1.2.1") -> Dataset:
    study = render_ct(head(), ONE_SLICE, pixels=pixels, transfer_syntax=transfer_syntax)
    return study.instances[0].read()


PLAIN = picture_of(slice_of(), 1)


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES)
def test_compression_changes_nothing(transfer_syntax: str) -> None:
    np.testing.assert_array_equal(picture_of(slice_of(transfer_syntax=transfer_syntax), 1), PLAIN)


@pytest.mark.parametrize(
    "pixels", [PixelForm(signed=True), PixelForm(slope=2.0), PixelForm(overlay=True), PixelForm(bits_stored=16)]
)
def test_sign_slope_and_overlays_change_nothing(pixels: PixelForm) -> None:
    assert np.abs(picture_of(slice_of(pixels), 1).astype(int) - PLAIN).max() <= EVERYWHERE


def test_an_inverted_radiograph_is_shown_as_it_is_meant() -> None:
    plain = picture_of(render_chest(detector=Detector.DX).instances[0].read(), 1)
    inverted = picture_of(render_chest(detector=Detector.DX, inverted=True).instances[0].read(), 1)
    assert np.abs(inverted.astype(int) - plain).max() <= EVERYWHERE


def test_a_window_is_found_where_none_is_declared() -> None:
    image = render_chest().instances[0].read()
    del image.WindowCenter, image.WindowWidth
    picture = picture_of(image, 1)
    assert picture.min() == 0
    assert picture.max() == 255


def test_pixels_that_are_not_there_are_a_clear_failure() -> None:
    image = slice_of()
    image.PixelData = image.PixelData[:100]
    with pytest.raises(CannotArchiveError, match="cannot be decoded"):
        picture_of(image, 1)


def test_a_colour_image_is_a_clear_failure() -> None:
    image = slice_of()
    image.SamplesPerPixel = 3
    with pytest.raises(CannotArchiveError, match="not a grey-scale"):
        picture_of(image, 1)
