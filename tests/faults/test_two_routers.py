"""Two routers on one PostgreSQL database: one acts, the other stands by and takes over."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select

from integration.study_router.world import World, region, until
from region.service import ServiceProcess
from udc.events.v1 import job_pb2, study_pb2
from udc.router.v1 import jobs_pb2
from udckit.plumbing_tables import LEASES
from udckit.testing import Orthanc
from udcphantom import Identity, Study, evenly, head, render_ct, scan

pytestmark = [pytest.mark.connected, pytest.mark.faults]

ROLES = {
    "relay", "registry", "manifests", "intake", "evaluation", "dispatch", "backfill", "watchdog", "measures",
}  # fmt: skip
LEASE_S = 3.0

Holders = Mapping[str, tuple[str, int]]
"""Process and epoch of the holder of each role."""


def studies(*numbers: int) -> list[Study]:
    return [
        render_ct(
            head(),
            scan(evenly(12, spacing=8.0)),
            identity=Identity(patient_id=f"TWO-{number}", accession_number=f"TWO{number}"),
            seed=number,
        )
        for number in numbers
    ]


def holders(database_url: str) -> Holders:
    """Return who holds the roles, as the database has it."""
    engine = create_engine(database_url)
    try:
        with engine.connect() as connection:
            rows = connection.execute(select(LEASES)).all()
    finally:
        engine.dispose()
    return {row.role: (row.holder.partition("/")[0], row.epoch) for row in rows}


@asynccontextmanager
async def two_routers(
    folder: Path, database_url: str, orthanc: Orthanc
) -> AsyncIterator[tuple[World, ServiceProcess, Holders]]:
    """Start a region with one archive and one device, and a second router once the first has every role."""
    async with region(folder, database_url=database_url, lease_s=f"{LEASE_S:g}") as world:

        async def all_held() -> Holders | None:
            held = holders(database_url)
            return held if held.keys() == ROLES else None

        held = await until(all_held, what="the first router taking every role")
        async with world.another_router("2") as second:
            await world.add_archive("hospital", orthanc)
            await world.attach_device("hospital")
            yield world, second, held


async def dispatched(world: World, made: Sequence[Study]) -> Counter[str]:
    """Wait until every study has a job that was dispatched; return how often each job was."""
    for study in made:
        await world.job_in(study.uid, jobs_pb2.JOB_STATE_DISPATCHED)
    jobs = [job.job for study in made for job in await world.jobs_of(study.uid)]
    assert len(jobs) == len(made)

    async def heard() -> bool:
        return {event.job for event in world.heard.of(job_pb2.JobDispatched)} >= set(jobs)

    await until(heard, what="job.dispatched of every job")
    return Counter(event.job for event in world.heard.of(job_pb2.JobDispatched))


async def test_when_the_router_that_acts_is_killed_the_other_goes_on_and_every_study_has_one_job(
    tmp_path: Path, orthanc: Orthanc, postgresql_url: str
) -> None:
    before, during = studies(1), studies(2, 3)
    async with two_routers(tmp_path / "region", postgresql_url, orthanc) as (world, second, held):
        await orthanc.store([path for study in before for path in study.write(tmp_path / study.uid)])
        assert set((await dispatched(world, before)).values()) == {1}
        # The control: while the first lives, the second has none of the roles.
        assert holders(postgresql_url) == held
        assert len({process for process, _ in held.values()}) == 1

        await orthanc.store([path for study in during for path in study.write(tmp_path / study.uid)])
        for study in during:
            await until(partial(world.study, study.uid), what="finding the study")
        world.router.kill()
        world.router = second

        async def taken_over() -> Holders | None:
            now = holders(postgresql_url)
            return now if {process for process, _ in now.values()}.isdisjoint(process_of(held)) else None

        taken = await until(taken_over, what="the second router taking every role")
        assert len(process_of(taken)) == 1
        assert {role: epoch for role, (_, epoch) in taken.items()} == {
            role: epoch + 1 for role, (_, epoch) in held.items()
        }
        assert set((await dispatched(world, during)).values()) == {1}
        for study in (*before, *during):
            await world.closed(study.uid)

        async def all_completed() -> bool:
            return len(world.heard.of(study_pb2.StudyCompleted)) >= len(before) + len(during)

        await until(all_completed, what="study.completed of every study")
        completed = Counter(event.study for event in world.heard.of(study_pb2.StudyCompleted))
        assert len(completed) == len(before) + len(during)
        assert set(completed.values()) == {1}


async def test_a_router_that_was_frozen_and_wakes_up_does_nothing_twice(
    tmp_path: Path, orthanc: Orthanc, postgresql_url: str
) -> None:
    made = studies(5, 6)
    async with two_routers(tmp_path / "region", postgresql_url, orthanc) as (world, second, held):
        first, world.router = world.router, second
        await orthanc.store([path for study in made for path in study.write(tmp_path / study.uid)])
        await until(partial(world.study, made[0].uid), what="finding the first study")
        first.freeze()
        try:
            assert set((await dispatched(world, made)).values()) == {1}

            async def taken_over() -> bool:
                return process_of(holders(postgresql_url)).isdisjoint(process_of(held))

            await until(taken_over, what="the second router taking every role")
        finally:
            first.thaw()
        for study in made:
            await world.closed(study.uid)
        assert process_of(holders(postgresql_url)).isdisjoint(process_of(held))
        assert [len(await world.jobs_of(study.uid)) for study in made] == [1, 1]
        assert set(Counter(event.job for event in world.heard.of(job_pb2.JobDispatched)).values()) == {1}


def process_of(held: Holders) -> set[str]:
    return {process for process, _ in held.values()}
