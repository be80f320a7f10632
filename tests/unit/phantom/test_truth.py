"""What the scene says is what the pixels show."""

import numpy as np
import pytest

from oracle.geometry import half_gap_extents, slices_of
from udcphantom import (
    GEOMETRIES,
    HEAD_CENTRE,
    LEFT_BLEED,
    RIGHT_BLEED,
    Geometry,
    Lesion,
    Phantom,
    Shadow,
    Side,
    Tissue,
    evenly,
    head,
    lesion,
    render_chest,
    render_ct,
    scan,
)
from udcphantom.radiograph import draw_chest
from udcphantom.rendering import render_plane
from udcphantom.solids import Box, Common, Ellipsoid

BROKEN = {"gap", "duplicate-position"}
"""Geometries in which half-gap extents are not the thickness that was scanned."""


def alone(one: Lesion) -> Phantom:
    """The lesion with value 1 in a void of value 0, so that a pixel's value is its covered part."""
    return Phantom((Tissue("void", Box(HEAD_CENTRE, (1, 1, 1)), 0.0),), (Lesion(one.name, one.ellipsoid, 1.0),))


@pytest.mark.parametrize("one", [LEFT_BLEED, RIGHT_BLEED], ids=lambda one: one.name)
@pytest.mark.parametrize("tilt_deg", [0.0, 25.0])
def test_volume_and_centroid_equal_a_fine_voxel_count_within_half_a_percent(one: Lesion, tilt_deg: float) -> None:
    step = 1.5
    geometry = scan(
        evenly(70, spacing=step),
        rows=100,
        columns=100,
        pixel_mm=(step, step),
        tilt_deg=tilt_deg,
        centre=one.centroid_mm,
    )
    covered, moment = 0.0, np.zeros(3)
    rows, columns = np.meshgrid(np.arange(100.0), np.arange(100.0), indexing="ij")
    for plane in geometry.planes:
        image = render_plane(alone(one), plane, background=0.0)
        covered += float(image.sum())
        moment += (image[..., None] * plane.at(rows, columns)).sum(axis=(0, 1))
    volume_ml = covered * step * step * step * np.cos(np.deg2rad(tilt_deg)) / 1000
    assert volume_ml == pytest.approx(one.volume_ml, rel=0.005)
    assert np.linalg.norm(moment / covered - one.centroid_mm) < 0.1


@pytest.mark.parametrize("name", sorted(set(GEOMETRIES) - BROKEN))
def test_a_threshold_on_noiseless_files_finds_the_volume_and_place_of_a_lesion(name: str) -> None:
    prone = "prone" in name
    study = render_ct(head([LEFT_BLEED], prone=prone), GEOMETRIES[name], noise_hu=0.0)
    datasets = list(study.datasets())
    slices = slices_of(datasets)
    extents = half_gap_extents(slices)
    volume, moment = 0.0, np.zeros(3)
    for dataset, plane in zip(datasets, slices, strict=True):
        hu = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        every = plane.points(np.ones(plane.shape, dtype=np.bool_)).reshape(*plane.shape, 3)
        near = np.linalg.norm(every - LEFT_BLEED.centroid_mm, axis=-1) < 24.0  # keeps skull edges out
        found = near & (hu > (35 + LEFT_BLEED.value) / 2) & (hu < 200)
        voxel = plane.spacing[0] * plane.spacing[1] * extents[plane.key]
        volume += voxel * found.sum()
        moment += voxel * plane.points(found).sum(axis=0)
    # Whole voxels of 3.6 × 3.6 × 5 mm or more against an ellipsoid of 28 × 40 × 32 mm.
    assert volume / 1000 == pytest.approx(LEFT_BLEED.volume_ml, rel=0.06)
    assert np.linalg.norm(moment / volume - LEFT_BLEED.centroid_mm) < 0.8


@pytest.mark.parametrize("name", ["axial", "tilted-two-spacings", "oblique", "non-square-pixels", "feet-first-prone"])
def test_pixels_well_inside_or_outside_have_the_value_of_the_scene(name: str) -> None:
    geometry: Geometry = GEOMETRIES[name]
    scene = head(prone="prone" in name)
    for plane in geometry.planes[::5]:
        image = render_plane(scene, plane)
        rows, columns = np.meshgrid(np.arange(float(plane.rows)), np.arange(float(plane.columns)), indexing="ij")
        corners = [
            plane.at(rows + up, columns + right) + through * plane.normal * plane.thickness
            for up in (-0.5, 0.5)
            for right in (-0.5, 0.5)
            for through in (-0.5, 0.5)
        ]
        centres = plane.at(rows, columns)
        values = np.stack([scene.value_at(corner) for corner in (centres, *corners)])
        uniform = np.ptp(values, axis=0) == 0
        # A thin ventricle may still pass between the corners of a pixel; nearly all pixels are truly uniform.
        agree = np.abs(image - values[0])[uniform] < 0.01
        assert uniform.mean() > 0.6
        assert agree.mean() > 0.98


def test_membership_is_that_of_the_ellipsoid() -> None:
    scene = head()
    assert scene.inside(np.array([LEFT_BLEED.centroid_mm, RIGHT_BLEED.centroid_mm, HEAD_CENTRE])).tolist() == [
        True,
        True,
        False,
    ]


def test_sides_are_those_of_the_patient() -> None:
    scene = head()
    assert [scene.side_of(one) for one in scene.lesions] == [Side.LEFT, Side.RIGHT]


def test_lesions_that_overlap_are_refused() -> None:
    near = lesion("near", at=(27, 8, 6), semi_axes=(8, 8, 8))
    with pytest.raises(ValueError, match="overlap"):
        head([LEFT_BLEED, near])


@pytest.mark.parametrize(
    "solid",
    [
        Ellipsoid((3, -2, 5), (9, 14, 6), (20, -35, 50)),
        Box((1, 2, 3), (8, 5, 11)),
        Common(Ellipsoid((0, 0, 0), (12, 12, 12)), Box((0, 8, 0), (6, 6, 6))),
    ],
    ids=lambda solid: type(solid).__name__,
)
def test_chords_agree_with_membership(solid: Ellipsoid | Box | Common) -> None:
    random = np.random.default_rng(5)
    origins = random.uniform(-12, 12, (400, 3))
    direction = np.array([0.48, -0.6, 0.64])
    enter, leave = solid.chords(origins, direction)
    assert (leave > enter).sum() > 40
    for distance in np.linspace(-40, 40, 81):
        # A point within rounding of the surface may fall on either side.
        clear = np.minimum(np.abs(distance - enter), np.abs(distance - leave)) > 1e-6
        inside = solid.inside(origins + distance * direction)
        between = (enter < distance) & (distance < leave)
        assert np.array_equal(inside[clear], between[clear])


def test_the_box_of_an_opacity_is_where_it_has_half_its_strength() -> None:
    shadow = Shadow("spot", centre=(0.3, 0.4), radii=(0.1, 0.06))
    rows, columns = 400, 300
    added = draw_chest((shadow,), rows, columns) - draw_chest((), rows, columns)
    half = np.argwhere(added >= shadow.strength / 2)
    (top, left), (bottom, right) = half.min(axis=0), half.max(axis=0) + 1
    assert shadow.opacity(rows, columns).box == pytest.approx((left, top, right, bottom), abs=1.0)


def test_a_clear_chest_has_no_opacity() -> None:
    assert render_chest(()).truth.opacities == ()
