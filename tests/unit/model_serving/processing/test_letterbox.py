"""Images in a tensor of fixed size, and boxes on their way back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_serving.domain.failure import RunFailedError
from model_serving.domain.letterbox import draw, letterbox_for
from model_serving.domain.prepare import ImagePlan, plan_tensor, write_tensor
from model_serving.domain.resample import Casting
from model_serving.domain.source import SourceImages
from udcmodel.stack import StackFrame
from udcmodel.vocabulary import ErrorCategory
from unit.model_serving.processing.scans import RADIOGRAPH, chest_device

FLOAT = Casting(np.dtype(np.float32), -1.0, None)


def image(rows: int, columns: int, pixel_spacing: tuple[float, float] | None = None) -> StackFrame:
    return StackFrame(sop_class_uid="1", sop_instance_uid="2", rows=rows, columns=columns, pixel_spacing=pixel_spacing)


def drawn(pixels: list[list[float]], size: tuple[int, int]) -> list[list[float]]:
    array = np.array(pixels, np.float32)
    out = np.empty(size, np.float32)
    draw(array, letterbox_for(image(*array.shape), size), FLOAT, out=out)
    return [[round(float(value), 5) for value in row] for row in out]


def test_a_wide_image_fills_the_width_and_lies_in_the_middle() -> None:
    assert drawn([[1, 2, 3, 4], [5, 6, 7, 8]], (4, 4)) == [[-1] * 4, [1, 2, 3, 4], [5, 6, 7, 8], [-1] * 4]


def test_a_shrunken_pixel_is_the_mean_of_its_area() -> None:
    assert drawn([[1, 3, 5, 7], [1, 3, 5, 7], [9, 9, 0, 0], [9, 9, 0, 0]], (2, 2)) == [[2, 6], [9, 0]]


def test_an_area_that_ends_within_a_pixel_takes_its_part() -> None:
    # Three columns into two: (1 + 0.5 * 4) / 1.5 and (0.5 * 4 + 7) / 1.5, over three equal rows.
    assert drawn([[1, 4, 7]] * 3, (2, 2)) == [[2, 6], [2, 6]]


def test_an_enlarged_image_is_interpolated_between_pixel_centres() -> None:
    assert drawn([[0, 4], [0, 4]], (4, 4)) == [[0, 1, 3, 4]] * 4


def test_padding_is_left_out_of_the_mean() -> None:
    nothing = float("nan")
    assert drawn([[1, nothing, nothing, nothing], [3, 5, nothing, nothing]] * 2, (2, 2)) == [[3, -1], [3, -1]]


def test_pixels_that_are_not_square_become_square() -> None:
    # 100 rows of 2 mm and 200 columns of 1 mm: a square in the patient.
    letterbox = letterbox_for(image(100, 200, (2.0, 1.0)), (50, 50))
    assert letterbox.scale == pytest.approx((0.5, 0.25))
    assert letterbox.offset == pytest.approx((0.0, 0.0))


@given(
    rows=st.integers(1, 4000),
    columns=st.integers(1, 4000),
    size=st.tuples(st.integers(8, 1024), st.integers(8, 1024)),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
)
def test_a_point_comes_back_from_the_tensor(rows: int, columns: int, size: tuple[int, int], x: float, y: float) -> None:
    letterbox = letterbox_for(image(rows, columns), size)
    there = letterbox.to_tensor(x * columns, y * rows)
    assert letterbox.to_image(*there) == pytest.approx((x * columns, y * rows), abs=1e-6)
    assert -1e-6 <= there[0] <= size[1] + 1e-6
    assert -1e-6 <= there[1] <= size[0] + 1e-6


@pytest.mark.parametrize(("rows", "columns"), [(300, 200), (64, 64), (1500, 900)])
def test_a_bright_square_lies_in_the_tensor_where_the_letterbox_says(rows: int, columns: int) -> None:
    plan = plan_tensor(chest_device().inputs[0], [image(rows, columns)])
    assert isinstance(plan, ImagePlan)
    top, left, side = rows // 3, columns // 2, min(rows, columns) // 4
    raw = np.zeros((rows, columns), np.uint16)
    raw[top : top + side, left : left + side] = 1000
    source = SourceImages(plan.frames, space="normalised")
    source.put(0, raw, RADIOGRAPH)
    source.finish()
    tensor = np.empty(plan.shape, plan.dtype)
    write_tensor(plan, source, out=tensor)
    assert tensor.shape == (1, 1, 512, 512)
    weights = tensor[0, 0]
    middle = (
        float((weights.sum(axis=0) * (np.arange(512) + 0.5)).sum() / weights.sum()),
        float((weights.sum(axis=1) * (np.arange(512) + 0.5)).sum() / weights.sum()),
    )
    assert plan.letterbox.to_image(*middle) == pytest.approx((left + side / 2, top + side / 2), abs=0.05)


def test_a_device_for_one_image_is_not_given_several() -> None:
    with pytest.raises(RunFailedError, match="there are 2") as refused:
        plan_tensor(chest_device().inputs[0], [image(8, 8), image(8, 8)])
    assert refused.value.category is ErrorCategory.NUMBER_OF_IMAGES
