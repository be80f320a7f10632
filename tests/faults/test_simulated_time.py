"""An hour without what the platform needs, and ten minutes after its work is done, by the clock that all rules read.

The services are real processes on PostgreSQL, the servers are really gone; only time passes faster for the services
(``faults.leaping`` says what runs on that clock and what does not): the hour goes by in leaps of five seconds, shorter
than any lease. A job is allowed one attempt, so that an attempt which an outage used up ends it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from faults.devices import Device, attach
from faults.jobs import dead_letters, is_running, jobs_of, until
from faults.leaping import Leaps
from faults.region_under_fault import RegionUnderFault, small_study
from faults.regions import add_archive, running
from region.commands import udc
from region.service import ServiceProcess
from region.stack import ORGANISATION, Region
from udc.events.v1 import job_pb2, study_pb2
from udckit import subjects
from udckit.security.files import write_private
from udckit.testing import Orthanc, PostgreSQL
from udckit.testing.process import Server

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

DEVICE = "steady-device"
CENTRAL = "central-archive"
HOUR_S = 3600.0
LEAP_S = 5.0
LEAP_EVERY_S = 0.05
SETTINGS = {
    "STUDY_ROUTER_MAX_ATTEMPTS": "1",
    # The archive's clock does not leap: by the router's, whatever comes to it is old.
    "STUDY_ROUTER_FEED_TOLERANCE_S": "1e6",
    "MODEL_SERVING_SLOTS": "3",
}


@pytest.fixture(scope="module")
def leaps(tmp_path_factory: pytest.TempPathFactory) -> Leaps:
    """The time of the region's services."""
    return Leaps(tmp_path_factory.mktemp("time") / "ahead")


@pytest.fixture(scope="module")
def database(directory_for_everybody: Path) -> Iterator[PostgreSQL]:
    """The database server of all services."""
    server = PostgreSQL(directory_for_everybody / "postgresql-of-a-region")
    asyncio.run(server.start())
    yield server
    asyncio.run(server.aclose())


@pytest.fixture(scope="module")
def under_fault(
    tmp_path_factory: pytest.TempPathFactory, leaps: Leaps, database: PostgreSQL
) -> Iterator[RegionUnderFault]:
    """A region on PostgreSQL whose services follow ``leaps``."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in SETTINGS.items():
            environment.setenv(name, value)
        with running(tmp_path_factory.mktemp("region")) as region:
            for process in services_of(region):
                asyncio.run(move(process, leaps, database))
            add_archive(region)
            device = Device(name=DEVICE, behaviour="time.sleep(1.5)\nreturn 0.75")
            attach(region, DEVICE, device.write(region.models, region.state))
            yield RegionUnderFault(region, tmp_path_factory.mktemp("studies"), attachments=1, device=DEVICE)


def services_of(region: Region) -> list[ServiceProcess]:
    return [region.router, region.serving, region.archiver, region.reporter]


async def move(process: ServiceProcess, leaps: Leaps, database: PostgreSQL) -> None:
    """Start a service anew on PostgreSQL and on another time; it has not done anything yet."""
    await process.stop()
    name = process.service.replace("-", "_")
    process.environment_changes[f"{name.upper()}_DATABASE_URL"] = await database.create_database(name)
    leaps.govern(process)
    await process.start()


@asynccontextmanager
async def away_for_an_hour(server: Server, leaps: Leaps) -> AsyncIterator[None]:
    """Kill a server, run the block, and start it again an hour later."""
    server.kill()
    yield
    await leaps.pass_by(HOUR_S, each_s=LEAP_S, every_s=LEAP_EVERY_S)
    await server.start()


@pytest.mark.parametrize(("name", "seed"), [("orthanc", 100), ("triton", 200), ("nats", 300), ("database", 400)])
def test_an_hour_away_uses_up_no_attempt(
    under_fault: RegionUnderFault, leaps: Leaps, database: PostgreSQL, name: str, seed: int
) -> None:
    region = under_fault.region
    servers = {"orthanc": region.orthanc, "triton": region.triton, "nats": region.nats, "database": database}
    pids = [service.pid for service in services_of(region)]

    async def story() -> tuple[list[datetime], list[str], list[str]]:
        uids = [await under_fault.send(seed + number, description=DEVICE) for number in range(4)]
        await until(under_fault, uids, is_running)
        async with away_for_an_hour(servers[name], leaps):
            if name != "orthanc":
                uids += [await under_fault.send(seed + number, description=DEVICE) for number in range(4, 6)]
        complaints = await under_fault.faults(uids)
        ended = [job.ended_at.ToDatetime(UTC) for job in await jobs_of(under_fault, uids)]
        return ended, complaints, await dead_letters(under_fault)

    began = datetime.now(UTC) + timedelta(seconds=leaps.ahead_s)
    ended, complaints, letters = asyncio.run(story())
    assert complaints == []
    assert letters == []
    assert [service.pid for service in services_of(region)] == pids
    assert any(at > began + timedelta(seconds=HOUR_S) for at in ended), "it held nothing up, so nothing is shown"


@dataclass(frozen=True)
class Known:
    """What must not grow any more once a result is in the archive."""

    revision: int
    jobs: int
    completed: int
    dispatched: int


async def known_of(under_fault: RegionUnderFault, uid: str) -> Known:
    study = (await under_fault.settled([uid]))[uid]
    jobs = {job.job for job in await under_fault.watcher.jobs(study)}
    completed = await under_fault.events(subjects.STUDY_COMPLETED, study_pb2.StudyCompleted)
    dispatched = await under_fault.events(f"{subjects.JOB_DISPATCHED}.>", job_pb2.JobDispatched)
    return Known(
        revision=study.revision,
        jobs=len(jobs),
        completed=sum(event.study == study.study for event in completed),
        dispatched=sum(event.job in jobs for event in dispatched),
    )


def add_central_archive(region: Region, central: Orthanc) -> None:
    """Make a second archive known, which holds copies."""
    write_private(region.secrets / CENTRAL, ":".join(central.credentials).encode())
    udc(
        region, "archive", "add", CENTRAL,
        "--dicomweb-url", central.dicomweb_url,
        "--orthanc-url", central.rest_url,
        "--organisation", ORGANISATION,
        "--credentials", CENTRAL,
    )  # fmt: skip


async def copy_everything(source: Orthanc, target: Orthanc) -> None:
    """Copy every instance from one archive to another, as archives do that exchange what they hold."""
    async with (
        httpx.AsyncClient(base_url=source.rest_url, auth=source.credentials, timeout=30) as reading,
        httpx.AsyncClient(base_url=target.rest_url, auth=target.credentials, timeout=30) as writing,
    ):
        for instance in (await reading.get("/instances")).raise_for_status().json():
            file = (await reading.get(f"/instances/{instance}/file")).raise_for_status()
            (await writing.post("/instances", content=file.content)).raise_for_status()


def test_a_result_that_comes_back_through_another_archive_is_no_news(
    under_fault: RegionUnderFault, leaps: Leaps, tmp_path: Path
) -> None:
    region = under_fault.region
    study = small_study(500, description=DEVICE)
    *first, last = study.write(tmp_path / "study")
    central = Orthanc(tmp_path / "central", ae_title="CENTRAL")

    async def ten_minutes() -> None:
        await leaps.pass_by(10 * 60.0, each_s=LEAP_S, every_s=LEAP_EVERY_S)

    async def story() -> tuple[list[str], list[Known], Known]:
        await region.orthanc.store(first)
        complaints = await under_fault.faults([study.uid])
        known = [await known_of(under_fault, study.uid)]
        await ten_minutes()
        await region.router.stop()
        await region.router.start()
        known.append(await known_of(under_fault, study.uid))
        async with central:
            await asyncio.to_thread(add_central_archive, region, central)
            await copy_everything(region.orthanc, central)
            await under_fault.watcher.until([study.uid], lambda known: CENTRAL in known.archives)
            await ten_minutes()
            known.append(await known_of(under_fault, study.uid))
            await central.store([last])
            await under_fault.watcher.until([study.uid], lambda now: now.revision > known[0].revision)
            return complaints, known, await known_of(under_fault, study.uid)

    complaints, known, afterwards = asyncio.run(story())
    assert complaints == []
    assert known == [known[0]] * 3
    # The control: an image that is news is taken for news, also when it comes through the other archive alone.
    assert afterwards.revision == known[0].revision + 1
    assert afterwards.completed == known[0].completed + 1
    assert afterwards.jobs == known[0].jobs + 1
