"""Intake of several archives, one of which makes our code or our database fail: the others do not notice."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from integration.study_router.routing import MOSCOW, REGION, Routing, slice_header
from integration.study_router.world import until
from study_router.adapters.asking import malformed
from study_router.adapters.loops import Intake
from study_router.domain.registry import Archive
from study_router.domain.studies import SeenInstance, Touched
from study_router.domain.sweeps import DEFAULT_TIERS
from study_router.ports import Page
from study_router.usecases.following import FollowFeed
from study_router.usecases.indexing import IndexSeries
from study_router.usecases.sweeping import SweepArchive
from udckit import roles
from udckit.database import Database

pytestmark = pytest.mark.connected


@dataclass
class Odd:
    """Two archives: the feed of ``odd`` raises what it is told to, that of ``hospital`` waits for news."""

    routing: Routing
    raises: Exception
    failures: int = 0
    thrice: asyncio.Event = field(default_factory=asyncio.Event)
    interrupted: int = 0
    unreadable: Mapping[str, Exception] = field(default_factory=dict)

    async def connector(self, archive: Archive) -> "Odd":
        assert archive.archive in {"hospital", "odd"}
        return self

    async def series(self, study_instance_uid: str, series_instance_uid: str) -> Sequence[SeenInstance]:
        if series_instance_uid in self.unreadable:
            self.failures += 1
            raise self.unreadable[series_instance_uid]
        return await self.routing.played.archives["hospital"].series(study_instance_uid, series_instance_uid)

    async def feed(self, archive: Archive) -> "OddFeed":
        return OddFeed(self, archive.archive)


@dataclass
class OddFeed:
    odd: Odd
    archive: str

    async def read(self, cursor: str) -> Page:
        assert not cursor
        if self.archive == "odd":
            self.odd.failures += 1
            if self.odd.failures == 3:
                self.odd.thrice.set()
            raise self.odd.raises
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.odd.interrupted += 1
            raise
        raise AssertionError("nothing ends the wait")


@asynccontextmanager
async def taking_in(routing: Routing, odd: Odd) -> AsyncIterator[None]:
    follow = FollowFeed(store=routing.store, connectors=odd, clock=routing.clock, pause_s=0.0, sweep_every_s=3600.0)  # type: ignore[arg-type]  # plays what is asked for here
    index = IndexSeries(
        store=routing.store,
        connectors=odd,  # type: ignore[arg-type]  # plays what is asked for here
        clock=routing.clock,
        region=REGION,
        begin_trace=lambda linked: linked,
        input_quiet_s=15.0,
    )
    sweep = SweepArchive(
        store=routing.store,
        connectors=odd,  # type: ignore[arg-type]  # plays what is asked for here
        clock=routing.clock,
        tiers=DEFAULT_TIERS,
        zone=MOSCOW,
        pause_s=0.0,
    )
    intake = Intake(
        store=routing.store,
        follow=follow,
        sweep=sweep,
        index=index,
        clock=routing.clock,
        poll_s=0.01,
        back_off_s=0.05,
    )
    async with roles.holding(routing.database, "intake", intake.run):
        yield


@pytest.mark.parametrize("raises", [KeyError("Changes"), malformed("odd", "it is no JSON")], ids=["bug", "malformed"])
async def test_an_archive_that_makes_us_fail_again_and_again_interrupts_no_other(
    database: Database, raises: Exception
) -> None:
    routing = Routing(database)
    for name in ("hospital", "odd"):
        await routing.add_archive(name)
    odd = Odd(routing, raises)
    async with taking_in(routing, odd):
        async with asyncio.timeout(30):
            await odd.thrice.wait()
        assert odd.interrupted == 0
    assert odd.interrupted == 1, "the test does not see it when the other archive is interrupted"


@pytest.mark.parametrize("raises", [OverflowError("int"), malformed("hospital", "no JSON")], ids=["bug", "malformed"])
async def test_a_series_that_cannot_be_read_holds_up_no_other_of_its_archive(
    database: Database, raises: Exception
) -> None:
    routing = Routing(database)
    archive = await routing.add_archive()
    archive.put("1.2", [slice_header(1, series="1.2.1")])
    now = routing.clock.now()
    # What came last is read first.
    touched = [Touched("1.2", "1.2.1", now - timedelta(seconds=1)), Touched("1.2", "1.2.2", now)]
    await routing.store.transact(lambda transaction: transaction.intake.touch("hospital", touched, now=now, pause_s=0))
    odd = Odd(routing, raises=KeyError("never"), unreadable={"1.2.2": raises})

    async def waiting() -> list[str]:
        now = routing.clock.now()
        found = await routing.store.read(lambda transaction: transaction.intake.arrivals("hospital", now, limit=10))
        return [item.series_instance_uid for item in found]

    async def is_read() -> bool:
        return bool(await routing.instances()) and odd.failures > 0 and not await waiting()

    async with taking_in(routing, odd):
        await until(is_read, what="reading the other series")
    routing.clock.pass_by(1)
    assert await waiting() == ["1.2.2"], "it is tried again later"
