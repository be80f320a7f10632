"""Whether the frames that came are the stack that was matched."""

import random
from dataclasses import replace

import pytest

from model_serving.domain.assembly import Assembly
from model_serving.domain.failure import Reason, RunFailedError
from udcmodel.stack import StackDescriptor, StackFrame


def frame(number: int, *, z_mm: float | None = None, uid: str | None = None) -> StackFrame:
    return StackFrame(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid=uid or f"1.2.3.{number}",
        rows=64,
        columns=32,
        position=(-10.0, -20.0, 5.0 * number if z_mm is None else z_mm),
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, 1.0, 0.0),
        pixel_spacing=(0.5, 0.5),
    )


FRAMES = tuple(frame(number) for number in range(8))


def stack(frames: tuple[StackFrame, ...] = FRAMES) -> StackDescriptor:
    return StackDescriptor(
        archive="pacs",
        study_instance_uid="1.2",
        series_instance_uid="1.2.3",
        modality="CT",
        frame_of_reference_uid="1.2.4",
        frames=frames,
        instance_count=len(frames),
    )


def reason_of(assembly: Assembly, arrived: StackFrame) -> Reason:
    with pytest.raises(RunFailedError) as failure:
        assembly.slot_of(arrived)
    return failure.value.reason


def test_frames_in_any_order_find_their_places() -> None:
    assembly = Assembly(stack())
    order = random.Random(3).sample(range(8), 8)  # noqa: S311 an order, no secret
    assert [assembly.slot_of(FRAMES[number]) for number in order] == order
    assembly.finish()


def test_a_missing_frame_is_named() -> None:
    assembly = Assembly(stack())
    for number in (0, 1, 2, 4, 5, 6, 7):
        assembly.slot_of(FRAMES[number])
    with pytest.raises(RunFailedError, match=r"1 of 8 frames .* frame 4") as failure:
        assembly.finish()
    assert failure.value.reason is Reason.FRAME_MISSING


def test_a_frame_that_comes_twice_is_refused() -> None:
    assembly = Assembly(stack())
    assembly.slot_of(FRAMES[3])
    assert reason_of(assembly, FRAMES[3]) is Reason.FRAME_REPEATED


@pytest.mark.parametrize(
    "changed",
    [
        replace(FRAMES[3], rows=65),
        replace(FRAMES[3], columns=33),
        replace(FRAMES[3], position=(-10.0, -20.0, 15.02)),
        replace(FRAMES[3], position=None),
        replace(FRAMES[3], row_direction=(0.9999, 0.0141, 0.0)),
        replace(FRAMES[3], column_direction=(0.0, -1.0, 0.0)),
        replace(FRAMES[3], pixel_spacing=(0.5, 0.502)),
        replace(FRAMES[3], pixel_spacing=None),
        replace(FRAMES[3], sop_class_uid="1.2.840.10008.5.1.4.1.1.4"),
    ],
)
def test_a_frame_that_is_not_as_it_was_matched_is_refused(changed: StackFrame) -> None:
    assert reason_of(Assembly(stack()), changed) is Reason.FRAME_CHANGED


def test_numbers_that_the_archive_wrote_differently_are_the_same() -> None:
    rewritten = replace(FRAMES[3], position=(-10.0004, -20.0, 14.9996), pixel_spacing=(0.50001, 0.5))
    assert Assembly(stack()).slot_of(rewritten) == 3


@pytest.mark.parametrize("z_mm", [2.5, 17.0, -5.0, 40.0, 42.0])
def test_a_frame_that_belongs_to_the_stack_and_was_not_matched_is_refused(z_mm: float) -> None:
    assert reason_of(Assembly(stack()), frame(99, z_mm=z_mm)) is Reason.FRAME_UNEXPECTED


@pytest.mark.parametrize(
    "other",
    [
        frame(99, z_mm=100.0),
        frame(99, z_mm=15.0),
        replace(frame(99, z_mm=17.0), rows=512),
        replace(frame(99, z_mm=17.0), column_direction=(0.0, 0.0, -1.0)),
        replace(frame(99, z_mm=17.0), pixel_spacing=(0.4, 0.4)),
        replace(frame(99), position=None, row_direction=None, column_direction=None),
    ],
    ids=["far away", "another time at the same place", "matrix", "orientation", "spacing", "projection"],
)
def test_a_frame_of_another_stack_is_left_out(other: StackFrame) -> None:
    assert Assembly(stack()).slot_of(other) is None


def test_a_single_projection_is_a_stack() -> None:
    projection = replace(FRAMES[0], position=None, row_direction=None, column_direction=None)
    assembly = Assembly(stack((projection,)))
    assert assembly.slot_of(replace(projection, sop_instance_uid="1.2.9")) is None
    assert assembly.slot_of(projection) == 0
    assembly.finish()


def test_other_frames_of_a_multi_frame_image_are_left_out() -> None:
    frames = tuple(replace(frame(0, z_mm=5.0 * number), frame_number=number) for number in range(1, 5))
    assembly = Assembly(stack(frames))
    assert assembly.slot_of(replace(frame(0, z_mm=7.0), frame_number=9)) is None
    assert assembly.slot_of(frames[2]) == 2
