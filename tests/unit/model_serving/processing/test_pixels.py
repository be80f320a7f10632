"""From stored bits to values: every rule with an example worked out by hand."""

import dataclasses
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from model_serving.domain.failure import RunFailedError
from model_serving.domain.pixels import PixelDescription, ValueSpace, stored_values, write_values
from model_serving.domain.presentation import LookupTable, Window
from model_serving.domain.source import SourceImages
from udckit.errors import InternalError
from udcmodel.stack import StackFrame
from udcmodel.vocabulary import ErrorCategory
from unit.model_serving.processing.scans import CT, RADIOGRAPH

TWELVE_BITS = dataclasses.replace(CT, bits_stored=12, high_bit=11, is_signed=False)


def values_of(raw: NDArray[np.generic], description: PixelDescription, space: ValueSpace = "hounsfield") -> list[float]:
    out = np.empty(raw.shape, np.float32)
    write_values(raw, description, space, out=out)
    return [float(value) for value in out]


def shown(raw: list[list[int]], *descriptions: PixelDescription) -> list[list[float]]:
    """Normalised values of images of one row."""
    frame = StackFrame(sop_class_uid="1", sop_instance_uid="2", rows=1, columns=len(raw[0]))
    source = SourceImages([frame] * len(raw), space="normalised")
    for slot, (row, description) in enumerate(zip(raw, descriptions, strict=True)):
        source.put(slot, np.array([row], np.uint16), description)
    source.finish()
    return [[round(float(value), 6) for value in image[0]] for image in source.values]


def test_overlay_bits_above_the_stored_ones_are_dropped() -> None:
    assert stored_values(np.array([0xF123, 0x8FFF], np.uint16), TWELVE_BITS).tolist() == [0x123, 0xFFF]


def test_bits_below_the_stored_ones_are_dropped() -> None:
    # HighBit 15 with 12 bits stored: the value lies in the upper twelve.
    description = dataclasses.replace(TWELVE_BITS, high_bit=15)
    assert stored_values(np.array([0x123F, 0xFFF0], np.uint16), description).tolist() == [0x123, 0xFFF]


def test_the_sign_is_extended_from_the_high_bit() -> None:
    # Twelve bits, two's complement: 0xFFF is -1, 0x800 is -2048, 0x7FF is 2047; the overlay bits above are noise.
    description = dataclasses.replace(TWELVE_BITS, is_signed=True)
    assert stored_values(np.array([0x0FFF, 0xF800, 0x17FF], np.uint16), description).tolist() == [-1, -2048, 2047]


def test_full_cells_keep_their_bits_and_get_their_sign() -> None:
    assert stored_values(np.array([0xFFFF], np.uint16), CT).tolist() == [-1]
    unsigned = dataclasses.replace(CT, is_signed=False)
    assert stored_values(np.array([-1], np.int16), unsigned).tolist() == [65535]


def test_each_frame_has_its_own_rescale() -> None:
    raw = np.array([100, 1100], np.int16)
    assert values_of(raw, dataclasses.replace(CT, slope=1.0, intercept=-1024.0)) == [-924.0, 76.0]
    assert values_of(raw, dataclasses.replace(CT, slope=0.5, intercept=10.0)) == [60.0, 560.0]


def test_stored_values_are_not_rescaled() -> None:
    description = dataclasses.replace(CT, slope=2.0, intercept=-1024.0)
    assert values_of(np.array([100, -5], np.int16), description, "stored") == [100.0, -5.0]


def test_a_modality_table_replaces_the_rescale() -> None:
    table = LookupTable(first=10, entries=np.array([500, 600, 700], np.uint16), bits=16)
    description = dataclasses.replace(CT, slope=None, intercept=None, modality_lut=table, rescale_type="HU")
    # Below the first input value counts as the first, beyond the last as the last.
    assert values_of(np.array([-3, 10, 11, 12, 99], np.int16), description) == [500, 500, 600, 700, 700]


def test_padding_is_found_in_stored_values_and_becomes_nothing() -> None:
    one = dataclasses.replace(CT, padding=(-2000, -2000), intercept=-24.0)
    assert [math.isnan(value) for value in values_of(np.array([-2000, -1999, 0], np.int16), one)] == [
        True,
        False,
        False,
    ]
    a_range = dataclasses.replace(CT, padding=(-2000, -1990))
    values = values_of(np.array([-2001, -2000, -1995, -1990, -1989], np.int16), a_range)
    assert [math.isnan(value) for value in values] == [False, True, True, True, False]


@pytest.mark.parametrize(
    ("changes", "space", "category", "words"),
    [
        ({"photometric": "RGB", "samples_per_pixel": 3}, "stored", ErrorCategory.IMAGES, "RGB"),
        ({"photometric": "PALETTE COLOR"}, "stored", ErrorCategory.IMAGES, "PALETTE COLOR"),
        ({"bits_stored": 17}, "stored", ErrorCategory.TAG, "17 bits stored"),
        ({"bits_stored": 12, "high_bit": 10}, "stored", ErrorCategory.TAG, "bit 10"),
        ({"bits_allocated": 12, "bits_stored": 12, "high_bit": 11}, "stored", ErrorCategory.TAG, "12"),
        ({"slope": None}, "hounsfield", ErrorCategory.TAG, "no Hounsfield units"),
        ({"slope": 0.0}, "hounsfield", ErrorCategory.TAG, "no values"),
        ({"intercept": math.nan}, "hounsfield", ErrorCategory.TAG, "no values"),
        ({"rescale_type": "US"}, "hounsfield", ErrorCategory.TAG, "US"),
        ({"modality": "MR"}, "hounsfield", ErrorCategory.MODALITY, "MR"),
        ({"presentation_shape": "INVERSE"}, "normalised", ErrorCategory.TAG, "contradict"),
        (
            {"photometric": "MONOCHROME1", "presentation_shape": "IDENTITY"},
            "normalised",
            ErrorCategory.TAG,
            "contradict",
        ),
    ],
)
def test_pixels_that_mean_nothing_certain_are_refused_by_name(
    changes: dict[str, object], space: ValueSpace, category: ErrorCategory, words: str
) -> None:
    description = dataclasses.replace(CT, **changes)  # type: ignore[arg-type]  # a test may set any field
    with pytest.raises(RunFailedError, match=words) as refused:
        values_of(np.array([1], np.int16), description, space)
    assert refused.value.category is category


def test_cells_of_another_size_than_the_header_says_are_refused() -> None:
    with pytest.raises(RunFailedError, match="16 bits"):
        values_of(np.array([1], np.uint8), CT)


def test_a_linear_window_is_the_one_of_the_standard() -> None:
    # PS3.3 C.11.2.1.2.1: centre 2048, width 4096: 0 is black, 4095 is white, in between (x - 2047.5) / 4095 + 0.5.
    description = dataclasses.replace(RADIOGRAPH, window=Window(2048, 4096))
    assert shown([[0, 1, 4095, 5000]], description) == [[0.0, round(1 / 4095, 6), 1.0, 1.0]]


def test_a_window_of_width_one_is_a_step() -> None:
    # C.11.2.1.2.1 with centre 100, width 1: up to 99.5 black, above white.
    description = dataclasses.replace(RADIOGRAPH, window=Window(100, 1))
    assert shown([[99, 100]], description) == [[0.0, 1.0]]


def test_an_exact_window_reaches_from_edge_to_edge() -> None:
    # C.11.2.1.3.2: centre 100, width 200: (x - 100) / 200 + 0.5.
    description = dataclasses.replace(RADIOGRAPH, window=Window(100, 200, "LINEAR_EXACT"))
    assert shown([[0, 50, 100, 200, 300]], description) == [[0.0, 0.25, 0.5, 1.0, 1.0]]


def test_a_sigmoid_window_is_half_at_its_centre() -> None:
    # C.11.2.1.3.1: 1 / (1 + exp(-4 (x - c) / w)); one width above the centre that is 1 / (1 + exp(-4)).
    description = dataclasses.replace(RADIOGRAPH, window=Window(1000, 400, "SIGMOID"))
    assert shown([[1000, 1400]], description) == [[0.5, round(1 / (1 + math.exp(-4)), 6)]]


def test_a_voi_table_goes_before_the_window() -> None:
    table = LookupTable(first=0, entries=np.array([0, 1023, 4095], np.uint16), bits=12)
    description = dataclasses.replace(RADIOGRAPH, voi_lut=table, window=Window(2048, 4096))
    assert shown([[0, 1, 2]], description) == [[0.0, round(1023 / 4095, 6), 1.0]]


@pytest.mark.parametrize("shape", ["", "INVERSE"])
def test_monochrome1_is_turned_so_that_bright_is_high(shape: str) -> None:
    description = dataclasses.replace(
        RADIOGRAPH, photometric="MONOCHROME1", presentation_shape=shape, window=Window(100, 200, "LINEAR_EXACT")
    )
    assert shown([[0, 50, 200]], description) == [[1.0, 0.75, 0.0]]


def test_without_a_window_values_are_spread_between_percentiles() -> None:
    # 0 to 1000 in steps of one: the 0.5th percentile is 5, the 99.5th is 995.
    (image,) = shown([list(range(1001))], RADIOGRAPH)
    assert image[5] == 0.0
    assert image[500] == 0.5
    assert image[995] == 1.0
    assert (image[0], image[1000]) == (0.0, 1.0)


def test_padding_does_not_move_the_percentiles() -> None:
    description = dataclasses.replace(RADIOGRAPH, padding=(60_000, 60_000))
    (image,) = shown([[*range(1001), *[60_000] * 5000]], description)
    assert image[500] == 0.5
    assert all(math.isnan(value) for value in image[1001:])


def test_an_image_of_one_value_is_dark() -> None:
    assert shown([[7, 7, 7]], RADIOGRAPH) == [[0.0, 0.0, 0.0]]


def test_frames_of_one_volume_are_never_scaled_one_by_one() -> None:
    low, high = list(range(501)), list(range(500, 1001))
    first, second = shown([low, high], RADIOGRAPH, RADIOGRAPH)
    assert first[-1] == second[0]
    # Windows of their own would give the same tissue two values; only a window they all share is taken.
    windows = [dataclasses.replace(RADIOGRAPH, window=Window(centre, 100)) for centre in (100, 800)]
    assert shown([low, high], *windows) == [first, second]
    shared = dataclasses.replace(RADIOGRAPH, window=Window(500, 1000, "LINEAR_EXACT"))
    assert shown([low, high], shared, shared)[1][0] == 0.5


def test_a_frame_that_never_came_is_not_overlooked() -> None:
    frame = StackFrame(sop_class_uid="1", sop_instance_uid="2", rows=1, columns=2)
    source = SourceImages([frame, frame], space="stored")
    source.put(0, np.zeros((1, 2), np.int16), CT)
    with pytest.raises(InternalError, match="1 frames"):
        source.finish()
