"""Each service dies at each place it passes, three times, with a device that never answers the same.

The deaths of one service follow each other: at the next place it dies while it catches up with what the death before
left. Every death has a study of its own. Only when the last is over the service runs on, and every study is judged.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from cli.connection import connected
from e2e.watching import until_dead
from faults.another_builder import DESCRIPTION
from faults.devices import VERSION, attach, fickle
from faults.places import PLACES, deaths_at
from faults.region_under_fault import RegionUnderFault
from faults.regions import add_archive, redeliver_after, running
from region.commands import CommandFailedError, udc
from region.service import ServiceProcess
from region.story import counted_outcomes, studies_of
from udc.router.v1 import devices_pb2, studies_pb2
from udckit.security.identity import Service
from udckit.testing.process import ServerFailedError

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]

DEVICE = "fickle-device"
BACKFILL = "router.before_backfill"
OLD = range(10, 13)
"""Seeds of studies from before the device was attached: only a backfill brings them to it."""
FIRST_SEED = {service: 1000 * number for number, service in enumerate(PLACES, start=1)}
REDELIVERY_S = 3.0


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in which the device notes each probability that it answers for a patient."""
    return tmp_path_factory.mktemp("answers") / "probabilities.txt"


@pytest.fixture(scope="module")
def old_studies() -> list[str]:
    """Studies that were closed before the device was attached; filled by ``under_fault``."""
    return []


@pytest.fixture(scope="module")
def under_fault(
    tmp_path_factory: pytest.TempPathFactory, answers: Path, old_studies: list[str]
) -> Iterator[RegionUnderFault]:
    """A region with the fickle device alone, and studies that are older than its attachment."""
    with running(tmp_path_factory.mktemp("region")) as region:
        # A worker that died keeps its slots until its jobs are delivered again.
        region.serving.environment_changes["MODEL_SERVING_SLOTS"] = "6"
        asyncio.run(restarted(region.serving))
        redeliver_after(region, REDELIVERY_S)
        add_archive(region)
        under_fault = RegionUnderFault(region, tmp_path_factory.mktemp("studies"), attachments=1, device=DEVICE)
        old_studies += asyncio.run(send_and_close(under_fault))
        device = fickle(DEVICE, answers)
        attach(region, DEVICE, device.write(region.models, region.state))
        yield under_fault


async def restarted(process: ServiceProcess) -> None:
    await process.stop()
    await process.start()


async def send_and_close(under_fault: RegionUnderFault) -> list[str]:
    uids = [await under_fault.send(seed, description=DEVICE) for seed in OLD]
    await under_fault.watcher.until(uids, lambda study: study.state == studies_pb2.STUDY_STATE_CLOSED)
    return uids


async def start_to_die(process: ServiceProcess, death: str) -> None:
    """Start a service that will die; it may be so quick to do so that it was never ready."""
    process.kill()
    process.environment_changes["UDC_CRASH_AT"] = death
    with contextlib.suppress(ServerFailedError):
        await process.start()


async def order_backfill(under_fault: RegionUnderFault, uids: list[str]) -> None:
    """Ask for older studies; the router dies as soon as it begins with them, so the answer may not come."""
    async with connected(under_fault.watcher.settings()) as services:
        listed = await services.attachments.ListAttachments(devices_pb2.ListAttachmentsRequest())
    (attachment,) = listed.attachments
    studies = [option for uid in uids for option in ("--study", uid)]
    with contextlib.suppress(CommandFailedError):
        await asyncio.to_thread(udc, under_fault.region, "study", "backfill", attachment.attachment, *studies)


async def die_everywhere(under_fault: RegionUnderFault, service: Service, old_studies: list[str]) -> Mapping[str, str]:
    """Kill a service at each of its places; return for each study where the service died as it came."""
    process = under_fault.process(service)
    came: dict[str, str] = {}
    for place in PLACES[service]:
        for number, death in enumerate(deaths_at(place)):
            _, uid = await asyncio.gather(
                start_to_die(process, death),
                under_fault.send(FIRST_SEED[service] + len(came), description=DEVICE),
            )
            came[uid] = death
            if place == BACKFILL and number == 0:
                await order_backfill(under_fault, old_studies)
                came |= dict.fromkeys(old_studies, place)
            await until_dead(process)
    del process.environment_changes["UDC_CRASH_AT"]
    await process.start()
    return came


@pytest.mark.parametrize("service", PLACES, ids=str)
def test_a_service_may_die_anywhere(
    under_fault: RegionUnderFault, old_studies: list[str], answers: Path, service: Service
) -> None:
    async def story() -> tuple[Mapping[str, str], list[str]]:
        came = await die_everywhere(under_fault, service, old_studies)
        return came, await under_fault.faults(list(came))

    answers.write_text("")
    came, complaints = asyncio.run(story())
    assert [
        f"{complaint} ({death})" for complaint in complaints for uid, death in came.items() if uid in complaint
    ] == []
    if service is Service.MODEL_SERVING:
        answered = answers.read_text().split()
        assert len(set(answered)) == len(answered)
        assert len(answered) > len(came), "no study was answered twice, so nothing is shown"


def test_the_reporter_has_counted_every_study_once(under_fault: RegionUnderFault) -> None:
    async def story() -> tuple[int, Mapping[tuple[str, str], int]]:
        async with connected(under_fault.watcher.settings()) as services:
            archived = sum(bool(study.outcomes) for study in (await studies_of(services)).values())
            async with asyncio.timeout(60.0):
                while True:
                    counted = await counted_outcomes(services)
                    if counted.total() >= archived:
                        break
                    await asyncio.sleep(0.3)
            return archived, counted

    archived, counted = asyncio.run(story())
    assert counted == {(f"{DEVICE} {VERSION}", "ARCHIVED"): archived}


def test_another_builder_between_two_stows_sends_what_was_built_first(under_fault: RegionUnderFault) -> None:
    archiver = under_fault.region.archiver

    async def story() -> tuple[Mapping[str, str], Mapping[str, str], Mapping[str, str], list[str]]:
        await start_to_die(archiver, "archiver.after_stow_seg")
        uid = await under_fault.send(9000, description=DEVICE)
        await until_dead(archiver)
        half = await series_in_archive(under_fault, uid)
        archiver.module = "faults.another_builder"
        archiver.environment_changes = {"PYTHONPATH": os.pathsep.join(sys.path)}
        try:
            await archiver.start()
            later = await under_fault.send(9001, description=DEVICE)
            complaints = await under_fault.faults([uid, later])
        finally:
            await archiver.stop()
            archiver.module = "result_archiver"
            await archiver.start()
        whole, other = await series_in_archive(under_fault, uid), await series_in_archive(under_fault, later)
        return half, whole, other, complaints

    half, whole, other, complaints = asyncio.run(story())
    assert complaints == []
    assert set(half) == {"SEG"}, "it did not die between two objects, so nothing is shown"
    assert set(whole) == set(other) == {"SEG", "OT", "SR"}
    assert set(whole.values()) == set(half.values())
    assert set(other.values()) == {DESCRIPTION} != set(whole.values())


async def series_in_archive(under_fault: RegionUnderFault, uid: str) -> Mapping[str, str]:
    """Return the Series Description of each series of results that the archive holds, by modality."""
    orthanc = under_fault.region.orthanc
    async with httpx.AsyncClient(auth=orthanc.credentials, timeout=30) as client:
        answer = await client.get(
            f"{orthanc.dicomweb_url}/studies/{uid}/series",
            params={"includefield": "0008103E"},
            headers={"Accept": "application/dicom+json"},
        )
        answer.raise_for_status()
    described = {series["00080060"]["Value"][0]: series["0008103E"]["Value"][0] for series in answer.json()}
    del described["CT"]
    return described
