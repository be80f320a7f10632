"""The geometry of stacks, against positions written down by hand or by trigonometry."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udckit.errors import InvalidRequestError
from udcmodel.geometry import (
    Geometry,
    GeometryPolicy,
    GeometryReason,
    Orientation,
    diagnose,
    objections,
)
from udcmodel.planes import slice_thickness_mm_of, to_indices, to_patient, voxel_volume_mm3_of
from udcmodel.stack import StackFrame, Vector
from udcmodel.vocabulary import ErrorCategory

ROUTINE = GeometryPolicy(
    tilt="shear",
    max_tilt_deg=30,
    spacing="resample",
    gap="refuse",
    duplicates="refuse",
    min_frames=8,
    max_frames=1200,
    max_spacing_mm=10,
    min_coverage_mm=60,
)
TWO_SPACINGS = [*np.arange(0, 20, 2.5), *(22.5 + np.arange(0, 75, 7.5))]
"""Eight thin slices, then ten thick ones, 5 mm from the last thin one."""


def frame(position: Vector | None, **changes: object) -> StackFrame:
    plain = StackFrame(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid="2.25.1",
        rows=4,
        columns=6,
        position=position,
        row_direction=(1.0, 0.0, 0.0) if position else None,
        column_direction=(0.0, 1.0, 0.0) if position else None,
        pixel_spacing=(0.5, 0.4),
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]  # a test may set any field


def axial(levels: Sequence[float]) -> list[StackFrame]:
    return [frame((-10.0, -20.0, float(level))) for level in levels]


def tilted(levels: Sequence[float], *, degrees: float) -> list[StackFrame]:
    """A gantry tilted about x: the planes are inclined, the table still moves along z."""
    angle = math.radians(degrees)
    inclined = (0.0, math.cos(angle), math.sin(angle))
    return [frame((0.0, 0.0, float(level)), column_direction=inclined) for level in levels]


def reasons(geometry: Geometry, policy: GeometryPolicy = ROUTINE) -> list[GeometryReason]:
    return [objection.reason for objection in objections(geometry, policy)]


def test_a_regular_stack_is_what_it_looks_like() -> None:
    geometry = diagnose(axial([0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55]))
    assert geometry.order == tuple(range(12))
    assert geometry.gaps_mm == pytest.approx([5.0] * 11)
    assert geometry.spacing_mm == pytest.approx(5.0)
    assert geometry.coverage_mm == pytest.approx(60.0)
    assert geometry.orientation is Orientation.AXIAL
    assert (geometry.tilt_deg, geometry.drift_mm) == pytest.approx((0.0, 0.0))
    assert reasons(geometry) == []


def test_frames_are_ordered_along_the_normal_however_they_come() -> None:
    assert diagnose(axial([10, 0, 5])).order == (1, 2, 0)


def test_the_normal_of_a_patient_lying_feet_first_points_to_the_feet() -> None:
    turned = [dataclasses.replace(one, row_direction=(-1.0, 0.0, 0.0)) for one in axial([10, 0, 5])]
    geometry = diagnose(turned)
    assert geometry.normal == pytest.approx((0.0, 0.0, -1.0))
    assert geometry.order == (0, 2, 1)


@pytest.mark.parametrize("degrees", [-25.0, 12.5, 25.0])
def test_a_tilted_gantry_is_measured_and_shrinks_the_distance_by_its_cosine(degrees: float) -> None:
    geometry = diagnose(tilted(np.arange(0, 100, 5.0).tolist(), degrees=degrees))
    assert geometry.tilt_deg == pytest.approx(abs(degrees))
    assert geometry.spacing_mm == pytest.approx(5.0 * math.cos(math.radians(degrees)))
    assert geometry.drift_mm == pytest.approx(0.0, abs=1e-9)
    assert geometry.orientation is Orientation.AXIAL
    assert reasons(geometry) == []
    assert reasons(geometry, dataclasses.replace(ROUTINE, tilt="refuse")) == [GeometryReason.TILT]
    assert reasons(geometry, dataclasses.replace(ROUTINE, max_tilt_deg=10)) == [GeometryReason.TILT]


def test_two_spacings_are_variable_spacing_and_not_a_gap() -> None:
    geometry = diagnose(axial(TWO_SPACINGS))
    assert geometry.gaps == ()
    assert geometry.spacings_mm == pytest.approx([2.5, 5.0, 7.5])
    assert reasons(geometry) == []
    assert reasons(geometry, dataclasses.replace(ROUTINE, spacing="refuse")) == [GeometryReason.VARIABLE_SPACING]


def test_a_lost_frame_is_a_gap_and_not_variable_spacing() -> None:
    geometry = diagnose(axial([level for level in range(0, 100, 5) if level != 45]))
    assert geometry.gaps == (8,)
    assert geometry.spacings_mm == pytest.approx([5.0])
    (objection,) = objections(geometry, dataclasses.replace(ROUTINE, spacing="refuse"))
    assert objection.reason is GeometryReason.GAP
    assert objection.category is ErrorCategory.NUMBER_OF_IMAGES
    assert "10.00 mm" in objection.detail
    assert reasons(geometry, dataclasses.replace(ROUTINE, gap="accept")) == []


@pytest.mark.parametrize("lost", [3, 12])
def test_a_frame_lost_from_either_block_of_two_spacings_is_a_gap(lost: int) -> None:
    geometry = diagnose(axial(TWO_SPACINGS[:lost] + TWO_SPACINGS[lost + 1 :]))
    assert geometry.gaps == (lost - 1,)


def test_every_third_frame_lost_is_a_row_of_gaps() -> None:
    geometry = diagnose(axial([level for level in range(24) if level % 3]))
    assert len(geometry.gaps) == 7
    assert geometry.spacings_mm == pytest.approx([1.0])


def test_positions_rounded_to_a_tenth_are_one_spacing() -> None:
    geometry = diagnose(axial([round(index * 0.625, 1) for index in range(100)]))
    assert len(geometry.spacings_mm) == 1
    assert geometry.gaps == ()


def test_a_repeated_position_is_a_duplicate() -> None:
    geometry = diagnose(axial([*range(0, 80, 5), 40]))
    assert geometry.duplicates == ((8, 16),)
    assert geometry.repeats == 1
    assert len(geometry.distinct) == 16
    assert 16 not in geometry.distinct
    assert geometry.gaps_mm == pytest.approx([5.0] * 15)
    assert reasons(geometry) == [GeometryReason.DUPLICATES]
    assert reasons(geometry, dataclasses.replace(ROUTINE, duplicates="first")) == []


@pytest.mark.parametrize("lost", [0, 1])
def test_several_volumes_in_one_stack_are_not_taken_for_duplicates(lost: int) -> None:
    levels = [level for level in range(0, 80, 5) for _ in range(3)]
    geometry = diagnose(axial(levels[lost:]))
    assert geometry.repeats == 3
    assert geometry.duplicates == ()
    assert reasons(geometry, dataclasses.replace(ROUTINE, duplicates="first")) == [GeometryReason.SEVERAL_VOLUMES]


def test_frames_turned_against_each_other_are_not_a_volume() -> None:
    frames = axial([0, 5, 10])
    angle = math.radians(1.0)
    frames[1] = dataclasses.replace(frames[1], column_direction=(0.0, math.cos(angle), math.sin(angle)))
    geometry = diagnose(frames)
    assert geometry.not_parallel == (1,)
    assert geometry.normal is None
    assert reasons(geometry) == [GeometryReason.NOT_PARALLEL]


def test_directions_rounded_to_six_decimals_are_parallel() -> None:
    frames = axial([0, 5, 10])
    frames[1] = dataclasses.replace(frames[1], column_direction=(0.0, 1.0, 1e-6))
    assert diagnose(frames).not_parallel == ()


def test_a_position_beside_the_others_is_drift_and_not_tilt() -> None:
    frames = axial(range(0, 100, 5))
    frames[10] = dataclasses.replace(frames[10], position=(-5.0, -20.0, 50.0))
    geometry = diagnose(frames)
    assert geometry.drift_mm == pytest.approx(4.75, abs=0.02)
    assert reasons(geometry) == [GeometryReason.DRIFT]


@pytest.mark.parametrize(
    ("row", "column", "orientation"),
    [
        ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), Orientation.AXIAL),
        ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), Orientation.CORONAL),
        ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), Orientation.SAGITTAL),
        ((1.0, 0.0, 0.0), (0.0, math.sqrt(0.5), math.sqrt(0.5)), Orientation.OBLIQUE),
    ],
)
def test_the_orientation_is_named_after_the_plane_of_the_body(
    row: Vector, column: Vector, orientation: Orientation
) -> None:
    assert diagnose([frame((0.0, 0.0, 0.0), row_direction=row, column_direction=column)]).orientation is orientation


def test_a_projection_is_asked_for_its_number_only() -> None:
    geometry = diagnose([frame(None, pixel_spacing=None)])
    assert geometry.orientation is Orientation.PROJECTION
    assert reasons(geometry, GeometryPolicy(min_frames=1, max_frames=1)) == []
    assert reasons(geometry, GeometryPolicy(min_frames=2)) == [GeometryReason.TOO_FEW_FRAMES]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"position": None}, GeometryReason.UNPLACED),
        ({"column_direction": (0.0, 0.9, 0.0)}, GeometryReason.UNPLACED),
        ({"column_direction": (0.5, 0.8, 0.0)}, GeometryReason.UNPLACED),
        ({"position": (0.0, 0.0, math.nan)}, GeometryReason.UNPLACED),
        ({"pixel_spacing": None}, GeometryReason.UNCALIBRATED),
        ({"pixel_spacing": (0.0, 0.4)}, GeometryReason.UNCALIBRATED),
        ({"rows": 5}, GeometryReason.NOT_UNIFORM),
        ({"pixel_spacing": (0.5, 0.5)}, GeometryReason.NOT_UNIFORM),
    ],
)
def test_no_policy_accepts_a_frame_that_does_not_fit_a_volume(
    changes: dict[str, object], reason: GeometryReason
) -> None:
    frames = axial([0, 5, 10])
    frames[1] = dataclasses.replace(frames[1], **changes)  # type: ignore[arg-type]  # a test may set any field
    assert reason in reasons(diagnose(frames), GeometryPolicy(gap="accept", duplicates="first"))


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (GeometryPolicy(min_frames=21), GeometryReason.TOO_FEW_FRAMES),
        (GeometryPolicy(max_frames=19), GeometryReason.TOO_MANY_FRAMES),
        (GeometryPolicy(max_spacing_mm=4.9), GeometryReason.SPACING_TOO_WIDE),
        (GeometryPolicy(min_coverage_mm=101), GeometryReason.COVERAGE_TOO_SMALL),
    ],
)
def test_limits_are_kept(policy: GeometryPolicy, reason: GeometryReason) -> None:
    assert reasons(diagnose(axial(range(0, 100, 5))), policy) == [reason]


def test_a_frame_reaches_half_way_to_its_neighbours() -> None:
    extents = slice_thickness_mm_of(axial([0, 7.5, 2.5, 15]))
    assert extents == pytest.approx([2.5, 6.25, 3.75, 7.5])
    assert voxel_volume_mm3_of(axial([0, 7.5, 2.5, 15])) == pytest.approx(extents * 0.5 * 0.4)


def test_a_tilted_voxel_is_the_parallelepiped_of_pixel_and_table_step() -> None:
    frames = tilted([0, 5, 10], degrees=25)
    down = math.radians(25)
    edges = np.array([[0.4, 0, 0], [0, 0.5 * math.cos(down), 0.5 * math.sin(down)], [0, 0, 5]])
    assert voxel_volume_mm3_of(frames) == pytest.approx([abs(np.linalg.det(edges))] * 3)


def test_extents_of_repeated_or_single_positions_are_refused() -> None:
    for levels in ([0, 5, 5], [0]):
        with pytest.raises(InvalidRequestError):
            slice_thickness_mm_of(axial(levels))


def test_the_centre_of_a_pixel_lies_where_the_header_says() -> None:
    # Row 2 and column 3: 2 * 0.5 mm down the column, 3 * 0.4 mm along the row.
    point = to_patient(axial([7])[0], np.array(2.0), np.array(3.0))
    assert point == pytest.approx([-10 + 1.2, -20 + 1.0, 7])


@given(
    angles=st.tuples(*[st.floats(-math.pi, math.pi)] * 2),
    index=st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(-1e2, 1e2)),
)
def test_indices_come_back_from_the_patient(angles: tuple[float, float], index: tuple[float, float, float]) -> None:
    first, second = angles
    row = np.array([math.cos(first), math.sin(first), 0.0])
    column = np.array([-math.sin(first) * math.cos(second), math.cos(first) * math.cos(second), math.sin(second)])
    placed = frame((12.0, -3.0, 800.0), row_direction=tuple(row), column_direction=tuple(column))
    off_plane = to_patient(placed, np.array(index[0]), np.array(index[1])) + index[2] * np.cross(row, column)
    assert to_indices(placed, off_plane) == pytest.approx(index, abs=1e-6)
