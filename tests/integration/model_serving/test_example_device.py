"""A reference device on a phantom, through a real archive and a real inference server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integration.model_serving.world import World, a_world, add_example, stack_of
from model_serving.domain.run import Inferred
from udckit.testing import Orthanc, Triton
from udcmodel.grant import ArchiveRecord
from udcmodel.result import unpack_mask
from udcmodel.vocabulary import Presence
from udcphantom.ct import render_ct
from udcphantom.geometry import evenly, scan
from udcphantom.heads import LEFT_BLEED, head
from unit.model_serving.stand_ins import granted

pytestmark = pytest.mark.connected


@pytest.fixture
async def world(triton: Triton, orthanc: Orthanc) -> AsyncIterator[World]:
    async with a_world(triton) as world:
        world.secrets["pacs"] = ":".join(orthanc.credentials)
        world.registry.archives["pacs"] = ArchiveRecord(
            archive="pacs", dicomweb_url=orthanc.dicomweb_url, credentials="pacs", profile="air"
        )
        yield world


@pytest.mark.parametrize("is_bleeding", [True, False])
async def test_the_brain_device_measures_the_bleed_of_a_phantom(
    world: World, orthanc: Orthanc, triton: Triton, tmp_path: Path, *, is_bleeding: bool
) -> None:
    geometry = scan(evenly(72, spacing=2.5), rows=128, columns=128, pixel_mm=(1.8, 1.8))
    study = render_ct(head([LEFT_BLEED] if is_bleeding else []), geometry)
    await orthanc.store(study.write(tmp_path))
    manifest, digest = add_example(triton.model_repository, "ct-brain-hyperdensity")
    stack = stack_of(study, study.series[0])

    ending = await world.run_job(granted(manifest, digest, [stack], world.registry, world.artefacts))

    assert isinstance(ending, Inferred)
    result = world.artefacts.results[ending.result_digest]
    (finding,) = result.findings
    assert finding.presence is (Presence.PRESENT if is_bleeding else Presence.ABSENT)
    assert len(result.sources) == 72
    assert [timing.stage for timing in result.timings] == ["retrieve", "prepare", "infer", "interpret"]
    assert world.fallbacks == []
    measured_ml = sum(
        unpack_mask(frame.packed_mask, rows=128, columns=128).sum() * 1.8 * 1.8 * 2.5 / 1000.0
        for segment in result.segments
        for frame in segment.frames
    )
    truth_ml = sum(lesion.volume_ml for lesion in study.truth.lesions)
    assert measured_ml == pytest.approx(truth_ml, rel=0.15)
