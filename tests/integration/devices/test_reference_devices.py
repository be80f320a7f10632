"""The demonstration devices do the computation they document, in a real Triton, on pictures of known truth."""

import asyncio
from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient, InferInput

from region.models import build_models, reference_devices
from udckit.testing.triton import Triton
from udcphantom import (
    LEFT_BLEED,
    LEFT_LOWER,
    RIGHT_BLEED,
    RIGHT_UPPER,
    Lesion,
    Shadow,
    evenly,
    head,
    render_chest,
    render_ct,
    scan,
)

pytestmark = pytest.mark.connected

SPACING_MM = (2.5, 1.0, 1.0)
VOXEL_ML = 0.0025


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InferenceServerClient]:
    """A Triton with every reference model loaded."""
    repository = tmp_path_factory.mktemp("models")
    build_models(repository)
    triton = Triton(tmp_path_factory.mktemp("triton"), repository)
    asyncio.run(triton.start())
    try:
        with InferenceServerClient(triton.grpc_address) as client:
            for manifest in reference_devices().values():
                client.load_model(manifest.model.name)
            yield client
    finally:
        asyncio.run(triton.aclose())


def infer(client: InferenceServerClient, device: str, tensor: NDArray[np.float32]) -> Mapping[str, NDArray[np.generic]]:
    manifest = reference_devices()[device]
    given = InferInput(manifest.inputs[0].tensor.name, list(tensor.shape), "FP32")
    given.set_data_from_numpy(tensor)
    answer = client.infer(manifest.model.name, [given], client_timeout=60)
    return {output.name: answer.as_numpy(output.name) for output in manifest.outputs}


def head_volume(lesions: tuple[Lesion, ...], *, noise_hu: float) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return Hounsfield units (z up, y back, x left) and the position of the first voxel, mm."""
    geometry = scan(evenly(70, spacing=2.5), rows=240, columns=240, pixel_mm=(1.0, 1.0))
    study = render_ct(head(lesions), geometry, seed=5, noise_hu=noise_hu)
    slices = sorted((item.read() for item in study.series[0].instances), key=lambda d: d.ImagePositionPatient[2])
    planes = [item.pixel_array * float(item.RescaleSlope) + float(item.RescaleIntercept) for item in slices]
    return np.stack(planes).astype(np.float32), np.array(slices[0].ImagePositionPatient, dtype=np.float64)


@pytest.mark.parametrize("noise_hu", [4.0, 8.0])
@pytest.mark.parametrize("lesions", [(LEFT_BLEED,), (RIGHT_BLEED,), (LEFT_BLEED, RIGHT_BLEED)], ids=["l", "r", "both"])
def test_a_bleed_is_found_at_its_place_with_its_volume(
    served: InferenceServerClient, lesions: tuple[Lesion, ...], noise_hu: float
) -> None:
    volume, origin = head_volume(lesions, noise_hu=noise_hu)

    answer = infer(served, "ct-brain-hyperdensity", volume)

    mask = answer["MASK"]
    assert mask.shape == volume.shape
    truth_ml = sum(lesion.volume_ml for lesion in lesions)
    assert np.count_nonzero(mask) * VOXEL_ML == pytest.approx(truth_ml, rel=0.05)
    z, y, x = (axis.mean() for axis in np.nonzero(mask))
    found_mm = origin + np.array([x * SPACING_MM[2], y * SPACING_MM[1], z * SPACING_MM[0]])
    true_mm = sum(lesion.volume_ml * np.array(lesion.centroid_mm) for lesion in lesions) / truth_ml
    assert np.abs(found_mm - true_mm).max() < 1.0
    assert answer["PROBABILITY"][0] == pytest.approx(truth_ml / (truth_ml + 0.5), abs=0.02)


def test_a_healthy_head_has_an_empty_mask(served: InferenceServerClient) -> None:
    volume, _ = head_volume((), noise_hu=8.0)

    answer = infer(served, "ct-brain-hyperdensity", volume)

    assert not answer["MASK"].any()
    assert answer["PROBABILITY"][0] == 0


def chest(shadows: tuple[Shadow, ...]) -> tuple[NDArray[np.float32], tuple[float, float, float, float] | None]:
    study = render_chest(shadows, rows=512, columns=512, seed=9)
    picture = study.series[0].instances[0].read().pixel_array / np.float32(4095)
    box = study.truth.opacities[0].box if study.truth.opacities else None
    return picture.astype(np.float32)[None, None], box


@pytest.mark.parametrize("shadow", [RIGHT_UPPER, LEFT_LOWER], ids=lambda shadow: shadow.name)
def test_an_opacity_is_found_where_it_is(served: InferenceServerClient, shadow: Shadow) -> None:
    picture, truth = chest((shadow,))

    answer = infer(served, "cxr-opacity", picture)

    assert answer["PROBABILITY"][0, 0] > 0.5
    left, top, right, bottom = map(float, answer["BOX"][0])
    assert truth is not None
    width = min(right, truth[2]) - max(left, truth[0])
    height = min(bottom, truth[3]) - max(top, truth[1])
    common = max(0.0, width) * max(0.0, height)
    both = (right - left) * (bottom - top) + (truth[2] - truth[0]) * (truth[3] - truth[1]) - common
    # This device is a demonstration: it must point at the opacity, not measure it.
    assert common / both > 0.25


def test_a_clear_chest_has_a_low_probability(served: InferenceServerClient) -> None:
    picture, _ = chest(())

    assert infer(served, "cxr-opacity", picture)["PROBABILITY"][0, 0] < 0.5
