"""The whole way of a region: scanned, prepared, marked by a perfect device, brought back and measured."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model_serving.domain.failure import RunFailedError
from model_serving.domain.interpret import Interpretation, interpret
from model_serving.domain.prepare import VolumePlan, plan_tensor, write_tensor
from model_serving.domain.source import SourceImages
from udcmodel.manifest import Manifest
from udcmodel.result import Finding, unpack_mask
from udcmodel.stack import StackFrame
from udcmodel.vocabulary import ErrorCategory, Presence
from unit.model_serving.processing.scans import (
    CT,
    INSIDE_HU,
    OUTSIDE_HU,
    SCANS,
    Ellipsoid,
    evenly,
    head_device,
    picture,
    pixel_centres,
    scan,
)

BODY = Ellipsoid()
THRESHOLD_HU = (INSIDE_HU + OUTSIDE_HU) / 2


def prepared(
    device: Manifest, frames: Sequence[StackFrame], *, body: Ellipsoid = BODY
) -> tuple[VolumePlan, SourceImages, NDArray[np.float32]]:
    plan = plan_tensor(device.inputs[0], frames)
    assert isinstance(plan, VolumePlan)
    source = SourceImages(plan.frames, space="hounsfield")
    for slot, frame in enumerate(plan.frames):
        source.put(slot, picture(frame, body), CT)
    source.finish()
    tensor = np.empty(plan.shape, plan.dtype)
    write_tensor(plan, source, out=tensor)
    return plan, source, tensor


def perfect_answer(device: Manifest, frames: Sequence[StackFrame], *, body: Ellipsoid = BODY) -> Interpretation:
    """Mark everything above the value half way between inside and outside."""
    plan, source, tensor = prepared(device, frames, body=body)
    mask = (tensor >= THRESHOLD_HU).astype(np.uint8)
    outputs: dict[str, NDArray[Any]] = {"MASK": mask, "PROBABILITY": np.array([0.9], np.float32)}
    return interpret(device, {"ct": plan}, outputs, {"ct": source})


def measured(finding: Finding, name: str) -> float:
    return next(item.value for item in finding.measurements if item.name.meaning == name)


def centroid_of(interpretation: Interpretation, frames: Sequence[StackFrame]) -> NDArray[np.float64]:
    """Mean of the marked pixels' places, each weighted by how far its slice reaches; all by the test's own sums."""
    (segment,) = interpretation.segments
    masks = {
        plane.sop_instance_uid: unpack_mask(plane.packed_mask, rows=segment.rows, columns=segment.columns)
        for plane in segment.frames
    }
    normal = np.cross(frames[0].row_direction or (), frames[0].column_direction or ())
    levels = np.array([np.dot(frame.position or (), normal) for frame in frames])
    order = np.argsort(levels)
    middles = (levels[order][1:] + levels[order][:-1]) / 2
    edges = [2 * levels[order[0]] - middles[0], *middles, 2 * levels[order[-1]] - middles[-1]]
    total, weight = np.zeros(3), 0.0
    for index, extent in zip(order, np.diff(edges), strict=True):
        mask = masks.get(frames[index].sop_instance_uid)
        if mask is not None:
            total += extent * pixel_centres(frames[index])[mask].sum(axis=0)
            weight += extent * mask.sum()
    return np.asarray(total / weight)


def largest_gap(frames: Sequence[StackFrame]) -> float:
    normal = np.cross(frames[0].row_direction or (), frames[0].column_direction or ())
    return float(np.diff(np.sort([np.dot(frame.position or (), normal) for frame in frames])).max())


@pytest.mark.parametrize("name", SCANS)
def test_a_region_comes_back_to_its_place_with_its_size(name: str) -> None:
    frames = SCANS[name]()
    instance_numbers = np.random.default_rng(7).permutation(len(frames))  # they say nothing about places
    frames = [frames[number] for number in instance_numbers]
    interpretation = perfect_answer(head_device(), frames)

    (finding,) = interpretation.findings
    assert finding.presence is Presence.PRESENT
    assert measured(finding, "Volume") == pytest.approx(BODY.volume_ml, rel=0.02)
    assert measured(finding, "Diameter") == pytest.approx(2 * max(BODY.semi_axes), abs=max(largest_gap(frames), 2.5))
    off = centroid_of(interpretation, frames) - BODY.centre
    row, column = np.array(frames[0].row_direction), np.array(frames[0].column_direction)
    between_rows, between_columns = frames[0].pixel_spacing or (0, 0)
    assert abs(off @ row) < between_columns / 2
    assert abs(off @ column) < between_rows / 2
    assert abs(off @ np.cross(row, column)) < largest_gap(frames) / 2


@pytest.mark.parametrize("name", SCANS)
def test_the_tensor_shows_the_patient_upright_whatever_the_scanner_did(name: str) -> None:
    plan, _, tensor = prepared(head_device(), SCANS[name]())
    z, y, x = (plan.grid.axis_mm(axis) for axis in range(3))
    places = np.stack(np.meshgrid(z, y, x, indexing="ij")[::-1], axis=-1)
    is_inside = tensor.reshape(plan.grid.shape) >= THRESHOLD_HU
    assert places[is_inside].mean(axis=0) == pytest.approx(BODY.centre, abs=1.0)
    assert is_inside.sum() * plan.grid.voxel_ml == pytest.approx(BODY.volume_ml, rel=0.04)


def test_equal_spacings_give_the_very_pixels() -> None:
    frames = scan(evenly(40, 2.5), matrix=(96, 104))
    plan, source, tensor = prepared(head_device(), frames)
    assert plan.grid.shape == (40, 96, 104)
    assert np.array_equal(tensor, source.values)


def test_an_image_and_its_transpose_show_the_device_the_same() -> None:
    """Rows along x are resampled line by line, others point by point: two ways to one tensor."""
    frames = SCANS["two spacings, tilted by 20 degrees"]()
    transposed = [
        dataclasses.replace(
            frame,
            rows=frame.columns,
            columns=frame.rows,
            row_direction=frame.column_direction,
            column_direction=frame.row_direction,
        )
        for frame in frames
    ]
    _, _, by_lines = prepared(head_device(), frames)
    _, _, by_points = prepared(head_device(), transposed)
    assert np.allclose(by_lines, by_points, atol=0.01)


def test_what_lies_outside_of_the_scan_is_filled() -> None:
    frames = SCANS["tilted by 25 degrees"]()
    plan, _, tensor = prepared(head_device(), frames, body=Ellipsoid(semi_axes=(500, 500, 500)))
    # The corners of the box round a sheared volume were never scanned; everything scanned is inside the body.
    assert tensor[0, -1].min() == tensor[0, -1].max() == -1024
    middle = tuple(size // 2 for size in plan.grid.shape)
    assert tensor[middle] == INSIDE_HU


def test_values_are_clipped_but_the_fill_is_not() -> None:
    device = head_device()
    tensor_spec = device.inputs[0].tensor.model_copy(update={"clip": (0.0, 50.0), "fill": -7.0})
    device = device.model_copy(
        update={"inputs": (device.inputs[0].model_copy(update={"tensor": tensor_spec}),)},
    )
    _, _, tensor = prepared(device, SCANS["tilted by 25 degrees"]())
    assert set(np.unique(tensor)) <= {-7.0, *np.unique(tensor[(tensor >= 0) & (tensor <= 50)])}
    assert {-7.0, 0.0, 50.0} <= set(np.unique(tensor))


@pytest.mark.parametrize("datatype", ["INT16", "UINT8", "FP16"])
def test_other_types_are_rounded_and_never_wrap_around(datatype: str) -> None:
    device = head_device()
    tensor_spec = device.inputs[0].tensor.model_copy(
        update={"datatype": datatype, "axes": ("batch", "channel", "z", "y", "x")}
    )
    device = device.model_copy(
        update={"inputs": (device.inputs[0].model_copy(update={"tensor": tensor_spec}),)},
    )
    plan, _, tensor = prepared(device, SCANS["axial"]())
    assert plan.shape[:2] == (1, 1)
    lowest = 0 if datatype == "UINT8" else OUTSIDE_HU
    assert (tensor.min(), tensor.max()) == (lowest, INSIDE_HU)


def test_padding_takes_no_part_in_interpolation_or_measurement() -> None:
    """Half of each image is padding of -2000; without a mask it would bleed into its neighbours."""
    device = head_device()
    body = Ellipsoid(centre=(0, 0, 0), semi_axes=(500, 500, 500))
    for turned in ("axial", "oblique"):
        frames = SCANS[turned]()
        plan = plan_tensor(device.inputs[0], frames)
        assert isinstance(plan, VolumePlan)
        source = SourceImages(plan.frames, space="hounsfield")
        for slot, frame in enumerate(plan.frames):
            image = picture(frame, body)
            image[:, : frame.columns // 2] = -2000
            source.put(slot, image, dataclasses.replace(CT, padding=(-2000, -2000)))
        source.finish()
        tensor = np.empty(plan.shape, plan.dtype)
        write_tensor(plan, source, out=tensor)
        assert set(np.unique(tensor.round(2))) == {-1024.0, float(INSIDE_HU)}
        everything: dict[str, NDArray[Any]] = {
            "MASK": np.ones(plan.shape, np.uint8),
            "PROBABILITY": np.array([0.9], np.float32),
        }
        (finding,) = interpret(device, {"ct": plan}, everything, {"ct": source}).findings
        pixels = len(frames) * frames[0].rows * (frames[0].columns - frames[0].columns // 2)
        assert measured(finding, "Volume") == pytest.approx(pixels * 1.0 * 1.0 * 4.0 / 1000)


def test_a_repeated_position_is_left_out_where_the_device_accepts_the_first() -> None:
    device = head_device()
    assert device.inputs[0].geometry is not None
    geometry = device.inputs[0].geometry.model_copy(update={"duplicates": "first"})
    spec = device.inputs[0].model_copy(update={"geometry": geometry})
    frames = scan(evenly(30, 4.0))
    plan = plan_tensor(spec, [*frames, dataclasses.replace(frames[3], sop_instance_uid="2.25.9")])
    assert plan.slots == (*range(30), None)
    assert len(plan.frames) == 30


@pytest.mark.parametrize(
    ("frames", "category", "words"),
    [
        (scan([*evenly(30, 4.0)[:15], *evenly(30, 4.0)[16:]]), ErrorCategory.NUMBER_OF_IMAGES, "missing"),
        (scan([*evenly(30, 4.0), 2.0]), ErrorCategory.SERIES, "more than one frame"),
        (scan(evenly(30, 4.0) * 3), ErrorCategory.SERIES, "several volumes"),
        (scan(evenly(4, 20.0)), ErrorCategory.SERIES, "20.00 mm apart"),
        ([dataclasses.replace(scan([0])[0], position=None)] * 9, ErrorCategory.NUMBER_OF_IMAGES, "no volume"),
    ],
)
def test_a_stack_that_the_device_does_not_accept_is_unsuitable(
    frames: list[StackFrame], category: ErrorCategory, words: str
) -> None:
    with pytest.raises(RunFailedError, match=words) as refused:
        plan_tensor(head_device().inputs[0], frames)
    assert refused.value.category is category


def test_nonsense_in_positions_does_not_ask_for_endless_memory() -> None:
    device = head_device()
    assert device.inputs[0].geometry is not None
    geometry = device.inputs[0].geometry.model_copy(update={"max_spacing_mm": None})
    spec = device.inputs[0].model_copy(update={"geometry": geometry})
    with pytest.raises(RunFailedError, match="voxels"):
        plan_tensor(spec, scan(evenly(30, 1e6)))
