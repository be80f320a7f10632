"""Stacks from a real archive, in every form an image can have."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from integration.model_serving.retrieval import Retrieval, a_retrieval
from integration.model_serving.scripted_archive import head as head_of_answer
from integration.model_serving.scripted_archive import scripted_archive, sending
from integration.model_serving.world import stack_of
from model_serving.domain.failure import Reason, RunFailedError
from udckit.testing import Orthanc
from udcmodel.stack import StackFrame
from udcphantom.ct import Numbering, render_ct
from udcphantom.enhanced import render_enhanced_ct
from udcphantom.geometry import Geometry, evenly, scan
from udcphantom.heads import head
from udcphantom.pixels import PixelForm
from udcphantom.rendering import render_plane
from udcphantom.study import Study
from unit.model_serving.multipart_bytes import answer

pytestmark = pytest.mark.connected

GEOMETRY = scan(evenly(12, spacing=5.0), rows=48, columns=40)
FAST = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
COMPRESSED = (RLELossless, JPEG2000Lossless, JPEGLSLossless, JPEGLosslessSV1)
UNUSUAL = (DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian)
"""Senders and archives like to recode these on the way, so they are served byte by byte."""
FORMS = {
    "12 bits unsigned": PixelForm(),
    "16 bits signed": PixelForm(bits_stored=16, signed=True, intercept=0.0),
    "12 bits signed": PixelForm(signed=True, intercept=0.0),
    "another slope in every slice": PixelForm(slope=0.5, bits_stored=16, rescale_varies=True),
    "padding": PixelForm(bits_stored=16, signed=True, intercept=0.0, padding=-2000),
    "overlay bits": PixelForm(overlay=True),
    "a window table": PixelForm(voi_lut=True),
}


@pytest.fixture
async def retrieval(orthanc: Orthanc) -> AsyncIterator[Retrieval]:
    async with a_retrieval(secret=":".join(orthanc.credentials)) as retrieval:
        yield retrieval


def truth_of(geometry: Geometry, form: PixelForm) -> NDArray[np.float32]:
    """What the slices hold, from the scene and the rule of storing, never from a file."""
    slices = []
    for index, plane in enumerate(geometry.planes):
        slope, intercept = form.rescale(index)
        stored = form.stored(render_plane(head(), plane), index=index)
        values = stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
        if form.padding is not None:
            row, column = np.ogrid[: plane.rows, : plane.columns]
            away = (row - (plane.rows - 1) / 2) ** 2 + (column - (plane.columns - 1) / 2) ** 2
            values[away > (min(plane.rows, plane.columns) / 2) ** 2] = np.nan
        slices.append(values)
    return np.stack(slices)


def a_study(form: PixelForm, transfer_syntax: str, *, geometry: Geometry = GEOMETRY) -> Study:
    return render_ct(
        head(),
        geometry,
        noise_hu=0.0,
        pixels=form,
        numbering=Numbering.SHUFFLED,
        transfer_syntax=transfer_syntax,
        odd_headers=True,
    )


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
async def test_every_voxel_is_that_of_the_phantom(
    retrieval: Retrieval, orthanc: Orthanc, tmp_path: Path, form: PixelForm
) -> None:
    study = a_study(form, ExplicitVRLittleEndian)
    await orthanc.store(study.write(tmp_path))
    stack = stack_of(study, study.series[0])

    values = await retrieval.values(stack, orthanc.dicomweb_url, credentials="pacs")

    np.testing.assert_array_equal(values, truth_of(GEOMETRY, form))
    assert set(retrieval.fallbacks) == ({"voi-lut"} if form.voi_lut else set())


async def test_every_transfer_syntax_gives_the_same_voxels(
    retrieval: Retrieval, orthanc: Orthanc, tmp_path: Path
) -> None:
    form = FORMS["12 bits signed"]
    for seed, syntax in enumerate((*FAST, *COMPRESSED)):
        study = render_ct(head(), GEOMETRY, noise_hu=0.0, pixels=form, transfer_syntax=syntax, seed=seed)
        await orthanc.store(study.write(tmp_path / syntax))
        stack = stack_of(study, study.series[0])
        retrieval.fallbacks.clear()

        values = await retrieval.values(stack, orthanc.dicomweb_url, credentials="pacs")

        np.testing.assert_array_equal(values, truth_of(GEOMETRY, form), err_msg=syntax.name)
        assert retrieval.fallbacks == ([] if syntax in FAST else [syntax.keyword] * 12)


@pytest.mark.parametrize("syntax", UNUSUAL)
async def test_a_transfer_syntax_that_nobody_uses_any_more_gives_the_same_voxels(
    retrieval: Retrieval, syntax: UID
) -> None:
    form = FORMS["12 bits signed"]
    study = render_ct(head(), GEOMETRY, noise_hu=0.0, pixels=form, transfer_syntax=syntax)
    async with scripted_archive() as archive:
        archive.script = sending(head_of_answer() + answer(instance.encoded for instance in study.instances))
        values = await retrieval.values(stack_of(study, study.series[0]), archive.url)
    np.testing.assert_array_equal(values, truth_of(GEOMETRY, form))
    assert retrieval.fallbacks == [syntax.keyword] * 12


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEG2000Lossless])
async def test_the_frames_of_an_enhanced_image_are_a_volume_like_any_other(
    retrieval: Retrieval, orthanc: Orthanc, tmp_path: Path, syntax: UID
) -> None:
    study = render_enhanced_ct(head(), GEOMETRY, noise_hu=0.0, transfer_syntax=syntax)
    await orthanc.store(study.write(tmp_path))
    (instance,) = study.instances
    frames = [
        StackFrame(
            sop_class_uid=instance.sop_class_uid,
            sop_instance_uid=instance.sop_instance_uid,
            frame_number=number,
            rows=plane.rows,
            columns=plane.columns,
            position=plane.position,
            row_direction=plane.row,
            column_direction=plane.column,
            pixel_spacing=plane.spacing,
        )
        for number, plane in enumerate(GEOMETRY.planes, start=1)
    ]
    stack = replace(stack_of(study, study.series[0]), frames=tuple(frames), instance_count=1)

    values = await retrieval.values(stack, orthanc.dicomweb_url, credentials="pacs")

    np.testing.assert_array_equal(values, truth_of(GEOMETRY, PixelForm()))
    assert len(retrieval.fallbacks) == 1


async def test_images_of_another_stack_in_the_series_are_left_out(
    retrieval: Retrieval, orthanc: Orthanc, tmp_path: Path
) -> None:
    study = a_study(PixelForm(), ExplicitVRLittleEndian)
    await orthanc.store(study.write(tmp_path))
    whole = stack_of(study, study.series[0])
    # The lower half stands for a stack of its own, a wide gap away from the upper one.
    lower = replace(whole, frames=whole.frames[:6])

    with pytest.raises(RunFailedError) as failure:
        await retrieval.values(lower, orthanc.dicomweb_url, credentials="pacs")
    assert failure.value.reason is Reason.FRAME_UNEXPECTED

    apart = scan(evenly(6, spacing=5.0), rows=48, columns=40, centre=(4.0, -13.0, 237.0))
    both = Geometry((*GEOMETRY.planes, *apart.planes))
    study = render_ct(head(), both, noise_hu=0.0, seed=7)
    await orthanc.store(study.write(tmp_path / "apart"))
    whole = stack_of(study, study.series[0])
    values = await retrieval.values(replace(whole, frames=whole.frames[:12]), orthanc.dicomweb_url, credentials="pacs")
    np.testing.assert_array_equal(values, truth_of(GEOMETRY, PixelForm()))


async def test_a_slice_that_the_archive_lost_is_noticed(retrieval: Retrieval, orthanc: Orthanc, tmp_path: Path) -> None:
    study = a_study(PixelForm(), ExplicitVRLittleEndian)
    await orthanc.store(study.write(tmp_path)[:-1])
    with pytest.raises(RunFailedError) as failure:
        await retrieval.values(stack_of(study, study.series[0]), orthanc.dicomweb_url, credentials="pacs")
    assert failure.value.reason is Reason.FRAME_MISSING


async def test_a_series_that_the_archive_does_not_have_is_gone(retrieval: Retrieval, orthanc: Orthanc) -> None:
    study = a_study(PixelForm(), ExplicitVRLittleEndian)
    with pytest.raises(RunFailedError) as failure:
        await retrieval.values(stack_of(study, study.series[0]), orthanc.dicomweb_url, credentials="pacs")
    assert failure.value.reason is Reason.SERIES_GONE
