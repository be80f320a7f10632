"""The frames of a multi-frame image are read, kept and put in stacks like images of their own."""

import json
from dataclasses import replace

import numpy as np
import pytest
from pydicom.dataset import Dataset

from study_router.adapters.headers import seen_instance
from study_router.adapters.rows import header_from_json, header_to_json
from study_router.domain.instances import Header
from udcphantom.enhanced import render_enhanced_ct
from udcphantom.geometry import Geometry, Steps, evenly, in_groups, scan
from udcphantom.heads import head
from unit.study_router.phantoms import stacks_of


def placed(steps: Steps, *, tilt_deg: float = 0.0) -> Geometry:
    return scan(steps, rows=8, columns=6, pixel_mm=(30.0, 40.0), tilt_deg=tilt_deg)


def enhanced_header(geometry: Geometry) -> Header:
    [dataset] = render_enhanced_ct(head(), geometry).datasets()
    return header_of(dataset)


def header_of(dataset: Dataset) -> Header:
    dataset.pop("PixelData", None)
    seen = seen_instance(json.loads(dataset.to_json()))
    assert seen is not None
    return seen.header


def test_every_frame_lies_where_it_was_scanned() -> None:
    geometry = placed(in_groups((5, 2.5), (5, 7.5)), tilt_deg=12.0)
    images = enhanced_header(geometry).images()
    assert [image.frame_number for image in images] == list(range(1, 11))
    for image, plane in zip(images, geometry.planes, strict=True):
        assert np.allclose(image.position or (), plane.position)
        assert np.allclose(image.row_direction or (), plane.row)
        assert np.allclose(image.column_direction or (), plane.column)
        assert (image.pixel_spacing, image.slice_thickness) == (plane.spacing, plane.thickness)
        assert (image.kernel, image.kvp, image.image_type[0]) == ("SOFT", 120.0, "ORIGINAL")


def test_frames_in_reverse_become_a_stack_along_the_normal_that_names_them() -> None:
    study = render_enhanced_ct(head(), placed(evenly(10, spacing=5.0)).reversed())
    [stack] = stacks_of(study)
    descriptor = stack.descriptor()
    assert [frame.frame_number for frame in descriptor.frames] == list(range(10, 0, -1))
    assert descriptor.instance_count == 1
    assert {frame.sop_instance_uid for frame in descriptor.frames} == {study.instances[0].sop_instance_uid}
    assert stack.geometry.spacing_mm == pytest.approx(5.0)


def test_what_is_kept_in_the_database_is_what_was_read() -> None:
    header = enhanced_header(placed(in_groups((3, 2.5), (3, 7.5))))
    assert header.frames
    assert header_from_json(json.loads(json.dumps(header_to_json(header)))) == header


def test_a_region_that_is_only_coded_is_a_body_part() -> None:
    [dataset] = render_enhanced_ct(head(), placed(evenly(3, spacing=5.0))).datasets()
    del dataset.BodyPartExamined
    assert header_of(dataset).body_part == "HEAD"


def test_frames_that_are_too_few_or_without_a_place_stay_one_image() -> None:
    header = enhanced_header(placed(evenly(4, spacing=5.0)))
    nowhere = (replace(header.frames[0], position=None), *header.frames[1:])
    for broken in (replace(header, frames=header.frames[1:]), replace(header, frames=nowhere)):
        assert broken.images() == (broken,)


def test_a_single_image_is_its_own_only_frame() -> None:
    header = Header(sop_class_uid="1", sop_instance_uid="2", series_instance_uid="3")
    [image] = header.images()
    assert image == header
    assert "frames" not in header_to_json(header)
