"""Regions for fault tests: real servers and services, short quiet times, devices made for the test."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from region.commands import ARCHIVE, udc
from region.stack import ARCHIVE_SECRET, ORGANISATION, POOL, Region, Times
from udckit import subjects
from udckit.bus import Bus, BusSettings, connected
from udckit.security.ca import files_in
from udckit.security.identity import Service
from udckit.topology import DURABLES

TIMES = Times(input_quiet_s=1.0, study_quiet_s=3.0)


@contextmanager
def running(state: Path, *, times: Times = TIMES) -> Iterator[Region]:
    """Run a region in which nothing is attached yet."""
    region = Region(state, times=times, say=print)
    asyncio.run(region.__aenter__())
    try:
        yield region
    finally:
        # An orderly stop of all of them takes many seconds, and nobody will read what they leave.
        services = (region.reporter, region.archiver, region.serving, region.router)
        for server in (*services, region.triton, region.orthanc, region.nats):
            server.kill()
        asyncio.run(region.__aexit__())


def add_archive(region: Region) -> None:
    """Log in and make the archive known to the region."""
    udc(region, "login")
    udc(
        region, "archive", "add", ARCHIVE,
        "--dicomweb-url", region.orthanc.dicomweb_url,
        "--orthanc-url", region.orthanc.rest_url,
        "--organisation", ORGANISATION,
        "--credentials", ARCHIVE_SECRET,
    )  # fmt: skip


def provisioner(region: Region) -> BusSettings:
    """Return how the only user connects who may see and change everything on the broker."""
    tls = files_in(region.security, Service.PROVISIONER).client_context()
    return BusSettings(servers=[region.nats_url], name=str(Service.PROVISIONER), tls=tls)


def redeliver_after(region: Region, seconds: float) -> None:
    """Let the broker deliver again what a dead process had after ``seconds``; it is patient for half a minute."""

    async def change(bus: Bus) -> None:
        for durable in (*(known.name for known in DURABLES), subjects.durable_serving_jobs(POOL)):
            found = await bus.js.consumer_info(subjects.STREAM_EVENTS, durable)
            await bus.js.add_consumer(subjects.STREAM_EVENTS, found.config.evolve(ack_wait=seconds))

    async def connect_and_change() -> None:
        async with connected(provisioner(region)) as bus:
            await change(bus)

    asyncio.run(connect_and_change())
