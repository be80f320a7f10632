"""A router that dies while it hears a modality has answered nothing, and hears the repeat; in a process of its own."""

import asyncio
from pathlib import Path

import pytest

from integration.study_router.world import World, region, until
from modality import Modality
from udc.events.v1 import study_pb2
from udc.router.v1 import studies_pb2
from udckit.security.ca import files_in
from udckit.security.identity import Service
from udckit.testing import Orthanc
from udcphantom.ct import render_ct
from udcphantom.geometry import evenly, scan
from udcphantom.heads import head
from udcphantom.study import Study

pytestmark = [
    pytest.mark.connected,
    pytest.mark.usefixtures("sockets_collected"),
    # The calling side of the library leaves its socket to the collector where the other side dies.
    pytest.mark.filterwarnings("ignore:unclosed <:ResourceWarning"),
]

STEP = "1.2.643.9.1"
LONG = {"input_quiet_s": "120", "study_quiet_s": "3600"}


def images(study: Study) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for dataset in study.datasets():
        named.setdefault(dataset.SeriesInstanceUID, []).append(dataset.SOPInstanceUID)
    return named


async def restart(world: World, *, dying_at: str = "") -> None:
    world.router.kill()
    world.router.environment_changes = {"UDC_CRASH_AT": dying_at} if dying_at else {}
    await world.router.start()


async def test_what_was_not_kept_was_not_answered_and_its_repeat_closes_the_study(
    tmp_path: Path, orthanc: Orthanc, port: int
) -> None:
    study = render_ct(head(), scan(evenly(12, spacing=8.0)))
    async with region(tmp_path / "region", dimse_port=str(port), dimse_peers='["CT1"]', **LONG) as world:
        tls = files_in(world.installation.directory, Service.CLI).client_context()
        modality = Modality(port=port, tls=tls)
        await world.add_archive("hospital", orthanc)
        await world.attach_device("hospital")
        await orthanc.store(study.write(tmp_path / "study"))

        async def died() -> bool:
            return not world.router.running

        for place in ("router.before_statement", "router.after_statement") * 3:
            await restart(world, dying_at=place)
            assert await asyncio.to_thread(modality.begin, STEP, study.uid) is None
            await until(died, what=f"death at {place}")
        await restart(world, dying_at="router.before_statement")
        assert await asyncio.to_thread(modality.end, STEP, images(study)) is None
        await until(died, what="death at the end of the step")
        await restart(world)
        assert (await world.study(study.uid) or studies_pb2.Study()).state != studies_pb2.STUDY_STATE_CLOSED

        assert await asyncio.to_thread(modality.begin, STEP, study.uid) == 0x0000
        for _ in range(2):
            assert await asyncio.to_thread(modality.end, STEP, images(study)) == 0x0000
        await world.closed(study.uid)

        async def completed() -> list[study_pb2.StudyCompleted]:
            return world.heard.of(study_pb2.StudyCompleted)

        [event] = await until(completed, what="study.completed")
        assert list(event.evidence) == ["MPPS COMPLETED names 12 images, all are here", "the index equals the archive"]
