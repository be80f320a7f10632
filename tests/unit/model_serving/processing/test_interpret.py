"""Findings from answers: presence, regions, boxes, texts and flags."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model_serving.domain.failure import Reason, RunFailedError
from model_serving.domain.interpret import Interpretation, interpret
from model_serving.domain.prepare import VolumePlan, plan_tensor
from model_serving.domain.source import SourceImages
from udcmodel.manifest import Manifest
from udcmodel.result import Box, SegmentLocation, TextKind, unpack_mask
from udcmodel.stack import StackFrame
from udcmodel.vocabulary import Presence
from unit.model_serving.processing.scans import CT, chest_device, evenly, head_device, scan, tilted

FRAMES = scan(evenly(30, 2.5), matrix=(60, 50))
"""On the spacing of the device: its voxels are the pixels."""


def read(
    device: Manifest, probability: float, mask: NDArray[np.bool_], frames: Sequence[StackFrame] = FRAMES
) -> Interpretation:
    plan = plan_tensor(device.inputs[0], frames)
    source = SourceImages(plan.frames, space="hounsfield")
    for slot, frame in enumerate(plan.frames):
        source.put(slot, np.zeros((frame.rows, frame.columns), np.int16), CT)
    outputs: dict[str, NDArray[Any]] = {
        "MASK": mask.astype(np.uint8),
        "PROBABILITY": np.array([probability], np.float32),
    }
    return interpret(device, {"ct": plan}, outputs, {"ct": source})


def boxed(probability: float, box: Sequence[float]) -> Interpretation:
    """An image of 1024 rows and 512 columns: in the tensor it is 256 wide, with 128 to spare on either side."""
    device = chest_device()
    frame = StackFrame(sop_class_uid="1", sop_instance_uid="2.25.5", rows=1024, columns=512)
    plan = plan_tensor(device.inputs[0], [frame])
    outputs: dict[str, NDArray[Any]] = {
        "PROBABILITY": np.array([[probability]], np.float32),
        "BOX": np.array([box], np.float32),
    }
    return interpret(device, {"cxr": plan}, outputs, {"cxr": SourceImages(plan.frames, space="normalised")})


def changed(device: Manifest, **changes: object) -> Manifest:
    """Change the only finding of a device."""
    return device.model_copy(update={"findings": (device.findings[0].model_copy(update=changes),)})


def empty() -> NDArray[np.bool_]:
    return np.zeros((30, 60, 50), np.bool_)


def with_blocks(*blocks: tuple[slice, slice, slice]) -> NDArray[np.bool_]:
    mask = empty()
    for block in blocks:
        mask[block] = True
    return mask


LARGE = (slice(4, 10), slice(10, 20), slice(5, 25))
SMALL = (slice(15, 18), slice(30, 34), slice(30, 35))


def test_a_region_becomes_a_segment_on_the_frames_it_was_seen_on() -> None:
    result = read(changed(head_device(), per="mask"), 0.92, with_blocks(LARGE))
    (finding,), (segment,) = result.findings, result.segments
    assert (finding.id, finding.presence, finding.probability) == ("hyperdensity", Presence.PRESENT, 0.92)
    assert finding.locations == (SegmentLocation(segment_number=1),)
    assert finding.laterality is None
    assert (segment.number, segment.rows, segment.columns) == (1, 60, 50)
    assert [plane.sop_instance_uid for plane in segment.frames] == [f"2.25.{1000 + index}" for index in range(4, 10)]
    for plane in segment.frames:
        assert np.array_equal(unpack_mask(plane.packed_mask, rows=60, columns=50), with_blocks(LARGE)[4])
    assert result.quality_flags == ()


def test_measurements_are_those_of_a_block_measured_by_hand() -> None:
    # 6 x 10 x 20 voxels of 2.5 x 1 x 1 mm are 3.0 ml. From edge midpoint to edge midpoint the block is longest between
    # (15 mm, 9 mm, 19 mm), (12.5, 10, 19) or (12.5, 9, 20).
    (finding,) = read(head_device(), 0.92, with_blocks(LARGE)).findings
    volume, diameter = finding.measurements
    assert (volume.value, volume.unit.value, volume.name.value) == (3.0, "ml", "118565006")
    assert volume.method is not None
    assert volume.method.value == "126030"
    longest = max(np.linalg.norm(edge) for edge in [(15, 9, 19), (12.5, 10, 19), (12.5, 9, 20)])
    assert diameter.value == pytest.approx(longest, abs=0.05)
    assert (diameter.unit.value, diameter.name.value) == ("mm", "81827009")
    assert diameter.derivation is not None
    assert diameter.derivation.value == "56851009"


def test_a_single_voxel_has_the_size_of_a_voxel() -> None:
    device = head_device()
    assert device.findings[0].mask is not None
    device = changed(device, mask=device.findings[0].mask.model_copy(update={"min_volume_ml": 0.0}))
    (finding,) = read(device, 0.9, with_blocks((slice(3, 4), slice(5, 6), slice(7, 8)))).findings
    assert [measurement.value for measurement in finding.measurements] == pytest.approx([0.003, 2.5], abs=0.001)


def test_regions_below_the_smallest_volume_are_left_out() -> None:
    # SMALL is 3 x 4 x 5 voxels of 2.5 mm³: 0.15 ml. A speck of 30 voxels is 0.075 ml, below the 0.1 ml of the device.
    speck = (slice(25, 26), slice(50, 55), slice(40, 46))
    (segment,) = read(head_device(), 0.9, with_blocks(SMALL, speck)).segments
    assert len(segment.frames) == 3


def test_one_finding_for_the_whole_mask_or_one_for_each_region() -> None:
    mask = with_blocks(SMALL, LARGE)
    whole = read(changed(head_device(), per="mask"), 0.9, mask)
    assert [finding.id for finding in whole.findings] == ["hyperdensity"]
    assert whole.findings[0].measurements[0].value == pytest.approx(3.15)

    each = read(changed(head_device(), per="component"), 0.9, mask)
    assert [finding.id for finding in each.findings] == ["hyperdensity-1", "hyperdensity-2"]
    assert [finding.measurements[0].value for finding in each.findings] == pytest.approx([3.0, 0.15])
    assert [segment.number for segment in each.segments] == [1, 2]
    assert [segment.label[-2:] for segment in each.segments] == [" 1", " 2"]


def test_more_regions_than_the_manifest_allows_leave_the_largest_and_a_flag() -> None:
    device = changed(head_device(), per="component")
    device = device.model_copy(update={"limits": device.limits.model_copy(update={"components": 1})})

    both = read(device, 0.9, with_blocks(SMALL, LARGE))

    assert [finding.measurements[0].value for finding in both.findings] == pytest.approx([3.0])
    assert len(both.segments) == 1
    (flag,) = both.quality_flags
    assert flag.code == "REGIONS_LEFT_OUT"
    assert "Выделено областей: 2; показаны наибольшие 1" in flag.message
    assert read(device, 0.9, with_blocks(LARGE)).quality_flags == ()


def test_voxels_that_share_a_corner_are_one_region() -> None:
    touching = (slice(10, 13), slice(20, 24), slice(25, 30))
    device = changed(head_device(), per="component")
    assert len(read(device, 0.9, with_blocks(LARGE, touching)).findings) == 1


def test_only_the_label_of_the_finding_is_read() -> None:
    device = head_device()
    plan = plan_tensor(device.inputs[0], FRAMES)
    assert isinstance(plan, VolumePlan)
    source = SourceImages(plan.frames, space="hounsfield")
    source.values[...] = 0
    labels = with_blocks(LARGE).astype(np.uint8) + 2 * with_blocks(SMALL).astype(np.uint8)
    outputs: dict[str, NDArray[Any]] = {"MASK": labels, "PROBABILITY": np.array([0.9], np.float32)}
    (finding,) = interpret(device, {"ct": plan}, outputs, {"ct": source}).findings
    assert finding.measurements[0].value == 3.0


def test_the_threshold_is_compared_in_the_precision_of_the_model() -> None:
    device = head_device()
    device = changed(device, presence=device.findings[0].presence.model_copy(update={"threshold": 0.7}))
    # 0.7 as float32 is 0.69999999; a model that answers exactly its threshold says present.
    assert read(device, 0.7, with_blocks(LARGE)).findings[0].presence is Presence.PRESENT
    assert read(device, 0.699, empty()).findings[0].presence is Presence.ABSENT


def test_an_absent_finding_has_neither_segment_nor_measurement() -> None:
    result = read(head_device(), 0.03, empty())
    (finding,) = result.findings
    assert (finding.presence, finding.probability) == (Presence.ABSENT, 0.03)
    assert (finding.measurements, finding.locations, result.segments) == ((), (), ())
    assert result.quality_flags == ()


def test_a_high_probability_with_an_empty_mask_is_present_and_says_so() -> None:
    result = read(head_device(), 0.9, empty())
    assert result.findings[0].presence is Presence.PRESENT
    assert result.segments == ()
    assert [flag.code for flag in result.quality_flags] == ["PRESENCE_WITHOUT_MASK"]


def test_a_mask_with_a_low_probability_is_absent_and_says_so() -> None:
    result = read(head_device(), 0.2, with_blocks(LARGE))
    assert result.findings[0].presence is Presence.ABSENT
    assert result.segments == ()
    assert [flag.code for flag in result.quality_flags] == ["MASK_WITHOUT_PRESENCE"]


def test_what_the_geometry_needed_is_said_in_the_language_of_the_device() -> None:
    spacings = [*evenly(14, 2.5), *(25.0 + 7.5 * number for number in range(8))]
    frames = tilted(spacings, 20)
    plan = plan_tensor(head_device().inputs[0], frames)
    assert isinstance(plan, VolumePlan)
    result = read(head_device(), 0.1, np.zeros(plan.grid.shape, np.bool_), frames)
    flags = {flag.code: flag.message for flag in result.quality_flags}
    assert set(flags) == {"TILTED", "VARIABLE_SPACING"}
    assert "20,0°" in flags["TILTED"]


def test_texts_name_what_was_found_and_never_say_normal() -> None:
    present, absent = read(head_device(), 0.92, with_blocks(LARGE)), read(head_device(), 0.03, empty())
    title = "гиперденсный участок внутри черепа"
    assert [(text.kind, text.text) for text in present.texts] == [
        (
            TextKind.FINDINGS,
            f"Обнаружено: {title}, объём 3,0 мл, максимальный диаметр 25,8 мм, вероятность 0,92.",
        ),
        (TextKind.CONCLUSION, f"Обнаружено: {title}."),
    ]
    assert [(text.kind, text.text) for text in absent.texts] == [
        (TextKind.FINDINGS, f"Целевая патология не выявлена: {title}, вероятность 0,03."),
        (TextKind.CONCLUSION, f"Целевая патология не выявлена: {title}."),
    ]


def test_texts_of_an_english_device_are_english() -> None:
    device = head_device().model_copy(update={"language": "en"})
    texts = [text.text for text in read(device, 0.92, with_blocks(LARGE)).texts]
    assert texts[0].startswith("Found: hyperdense region inside the skull, volume 3.0 ml")
    assert texts[1] == "Found: hyperdense region inside the skull."


def test_a_box_comes_back_to_the_pixels_of_the_image() -> None:
    # Half size and 128 pixels to the right: 228 in the tensor is (228 - 128) * 2 = 200 in the image.
    result = boxed(0.8, [228.0, 50.0, 278.0, 100.0])
    (finding,) = result.findings
    assert finding.locations == (Box(sop_instance_uid="2.25.5", left=200.0, top=100.0, right=300.0, bottom=200.0),)
    assert result.quality_flags == ()


def test_a_box_is_cut_at_the_border_of_the_image() -> None:
    (finding,) = boxed(0.8, [100.0, -20.0, 278.0, 600.0]).findings
    assert finding.locations == (Box(sop_instance_uid="2.25.5", left=0.0, top=0.0, right=300.0, bottom=1024.0),)


@pytest.mark.parametrize("box", [[0.0, 0.0, 0.0, 0.0], [10.0, 10.0, 100.0, 100.0], [278.0, 50.0, 228.0, 100.0]])
def test_a_box_without_extent_or_beside_the_image_is_no_place(box: list[float]) -> None:
    result = boxed(0.8, box)
    assert result.findings[0].presence is Presence.PRESENT
    assert result.findings[0].locations == ()
    assert [flag.code for flag in result.quality_flags] == ["PRESENCE_WITHOUT_BOX"]


def test_the_box_of_an_absent_finding_is_not_shown() -> None:
    result = boxed(0.2, [228.0, 50.0, 278.0, 100.0])
    assert result.findings[0].locations == ()
    assert result.quality_flags == ()


def test_an_element_beyond_the_output_is_a_failure() -> None:
    device = head_device()
    device = changed(device, probability=device.findings[0].probability.model_copy(update={"index": 1}))
    with pytest.raises(RunFailedError, match="no element 1") as failed:
        read(device, 0.9, empty())
    assert failed.value.reason is Reason.RESULT_IMPOSSIBLE
