"""A role is acted in by one process at a time, and a process that was frozen cannot write when it wakes up."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from integration.udckit_core.ledger_service.facts import book_what_was_told, entries
from integration.udckit_core.waiting import until
from udckit.database import Connection, Database, opened
from udckit.errors import UpstreamUnavailableError
from udckit.plumbing_tables import LEASES
from udckit.roles import Lease, LostLeaseError, guard, holding

pytestmark = pytest.mark.connected

MIGRATIONS = "integration.udckit_core.ledger_service.migrations"
LEASE_S = 0.8


class Actor:
    """Acts until it is told to stop, and remembers under which leases it did."""

    def __init__(self) -> None:
        self.leases: list[Lease] = []
        self.acting = False
        self.stops = 0

    async def __call__(self, lease: Lease) -> None:
        self.leases.append(lease)
        self.acting = True
        try:
            await asyncio.Event().wait()
        finally:
            self.acting = False
            self.stops += 1


def writing(lease: Lease, entry: str) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        guard(connection, lease)
        book_what_was_told(connection, entry)

    return work


def stealing(connection: Connection) -> None:
    connection.execute(update(LEASES).values(holder="another", epoch=LEASES.c.epoch + 1))


async def test_a_role_that_fails_is_run_again_whatever_the_facts_of_its_error_are_called(database: Database) -> None:
    runs = 0

    async def act(_: Lease) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise UpstreamUnavailableError("the archive is away", role="a", reason="b", error="c", event="d")

    async with holding(database, "feed", act) as task, asyncio.timeout(30):
        await task
    assert runs == 2


async def test_only_one_of_two_acts_and_the_other_takes_over(database: Database) -> None:
    first, second = Actor(), Actor()
    async with holding(database, "feed", first, lease_s=LEASE_S):
        await until(lambda: first.acting)
        async with holding(database, "feed", second, lease_s=LEASE_S):
            await asyncio.sleep(2 * LEASE_S)
            assert not second.acting
            assert len(first.leases) == 1
    async with holding(database, "feed", second, lease_s=LEASE_S):
        await until(lambda: second.acting)

    assert second.leases[0].epoch == first.leases[0].epoch + 1
    assert not first.acting


async def test_different_roles_do_not_hinder_each_other(database: Database) -> None:
    feed, sweep = Actor(), Actor()
    async with holding(database, "feed", feed, lease_s=LEASE_S), holding(database, "sweep", sweep, lease_s=LEASE_S):
        await until(lambda: feed.acting and sweep.acting)


async def test_a_guarded_write_succeeds_while_the_lease_is_held(database: Database) -> None:
    actor = Actor()
    async with holding(database, "feed", actor, lease_s=LEASE_S):
        await until(lambda: actor.acting)
        await database.transact(writing(actor.leases[0], "a"))

    assert await database.read(entries) == ["a"]


async def test_a_guarded_write_of_a_former_holder_is_refused(database: Database) -> None:
    actor = Actor()
    async with holding(database, "feed", actor, lease_s=60):
        await until(lambda: actor.acting)
        await database.transact(stealing)
        with pytest.raises(LostLeaseError):
            await database.transact(writing(actor.leases[0], "a"))

    assert await database.read(entries) == []


async def test_without_the_guard_a_former_holder_still_writes(database: Database) -> None:
    """The control: it is the guard that refuses, not the loss of the lease."""
    actor = Actor()
    async with holding(database, "feed", actor, lease_s=60):
        await until(lambda: actor.acting)
        await database.transact(stealing)
        await database.transact(lambda connection: book_what_was_told(connection, "a"))

    assert await database.read(entries) == ["a"]


async def test_whoever_loses_the_lease_stops_acting(database: Database) -> None:
    actor = Actor()
    async with holding(database, "feed", actor, lease_s=LEASE_S):
        await until(lambda: actor.acting)
        await database.transact(stealing)
        await until(lambda: len(actor.leases) == 2)
        assert actor.stops == 1

    assert actor.leases[1].epoch > actor.leases[0].epoch


async def test_work_that_fails_is_begun_again(database: Database) -> None:
    times = 0

    async def failing_once(_: Lease) -> None:
        nonlocal times
        times += 1
        if times == 1:
            raise UpstreamUnavailableError("the archive is away")

    async with holding(database, "feed", failing_once, lease_s=LEASE_S) as finished:
        await asyncio.wait_for(finished, 10)

    assert times == 2


async def test_work_that_a_library_gives_up_is_begun_again(database: Database) -> None:
    times = 0

    async def given_up_once(_: Lease) -> None:
        nonlocal times
        times += 1
        if times == 1:
            raise asyncio.CancelledError

    async with holding(database, "feed", given_up_once, lease_s=LEASE_S) as finished:
        await asyncio.wait_for(finished, 10)

    assert times == 2


async def test_a_database_that_answers_wrong_once_costs_no_role_for_ever(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Actor()
    transact = database.transact
    wrong = 2

    async def wrong_at_first(work: Callable[[Connection], object]) -> object:
        nonlocal wrong
        if wrong:
            wrong -= 1
            raise OperationalError("SELECT", {}, Exception("canceling statement due to statement timeout"))
        return await transact(work)

    monkeypatch.setattr(database, "transact", wrong_at_first)
    async with holding(database, "feed", actor, lease_s=LEASE_S):
        await until(lambda: actor.acting)
        wrong = 1
        await asyncio.sleep(LEASE_S)
        assert actor.acting
        wrong = 1

    assert len(actor.leases) == 1


async def test_after_a_restart_an_exclusive_database_does_not_wait_for_the_old_lease(database_url: str) -> None:
    async with opened(database_url, migrations=MIGRATIONS) as database:
        actor = Actor()
        async with holding(database, "feed", actor, lease_s=3):
            await until(lambda: actor.acting)
            # As a killed process leaves it: held, and not given up.
            await database.transact(
                lambda connection: connection.execute(update(LEASES).values(epoch=LEASES.c.epoch + 1))
            )
    async with opened(database_url, migrations=MIGRATIONS) as database:
        successor = Actor()
        async with holding(database, "feed", successor, lease_s=3):
            await asyncio.sleep(0.5)
            assert successor.acting is database.is_exclusive
            await until(lambda: successor.acting)
