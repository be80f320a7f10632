"""What every transaction promises, on SQLite and on PostgreSQL alike."""

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy.exc
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, inspect, select, text, update

from udckit.database import Connection, Database, UtcTime, opened
from udckit.errors import InvalidRequestError, NotFoundError, PreconditionError, UpstreamUnavailableError
from udckit.testing import PostgreSQL

pytestmark = pytest.mark.connected

MIGRATIONS = "integration.udckit_core.ledger_service.migrations"
METADATA = MetaData()
ENTRIES = Table("entries", METADATA, Column("id", String, primary_key=True), Column("amount", Integer))
MOMENTS = Table("moments", METADATA, Column("at", UtcTime))


def booking(entry: str, amount: int = 1) -> Callable[[Connection], str]:
    def work(connection: Connection) -> str:
        connection.execute(insert(ENTRIES).values(id=entry, amount=amount))
        return entry

    return work


def entries(connection: Connection) -> list[str]:
    return list(connection.execute(select(ENTRIES.c.id).order_by(ENTRIES.c.id)).scalars())


async def test_what_was_transacted_can_be_read(database: Database) -> None:
    assert await database.transact(booking("a")) == "a"
    assert await database.read(entries) == ["a"]


async def test_an_error_undoes_its_own_work_only(database: Database) -> None:
    def failing(connection: Connection) -> None:
        booking("bad")(connection)
        raise NotFoundError("there is no such account")

    outcomes = await asyncio.gather(
        *(database.transact(booking(f"good-{number}")) for number in range(5)),
        database.transact(failing),
        *(database.transact(booking(f"late-{number}")) for number in range(5)),
        return_exceptions=True,
    )

    assert [type(outcome) for outcome in outcomes if isinstance(outcome, Exception)] == [NotFoundError]
    assert await database.read(entries) == sorted(outcome for outcome in outcomes if isinstance(outcome, str))
    assert len(await database.read(entries)) == 10


async def test_work_that_runs_out_of_an_iterator_is_answered_as_all_others_are(database: Database) -> None:
    def running_out(_: Connection) -> str:
        return next(iter(()))

    async with asyncio.timeout(30):
        outcomes = await asyncio.gather(
            *(database.transact(booking(f"good-{number}")) for number in range(5)),
            database.transact(running_out),
            *(database.transact(booking(f"late-{number}")) for number in range(5)),
            database.read(running_out),
            return_exceptions=True,
        )

    failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert [type(error.__cause__) for error in failed] == [StopIteration, StopIteration]
    assert len(await database.read(entries)) == 10


async def test_a_violated_constraint_fails_only_the_one_who_violates_it(database: Database) -> None:
    await database.transact(booking("taken"))

    outcomes = await asyncio.gather(
        *(database.transact(booking(entry)) for entry in ("a", "taken", "b", "taken", "c")), return_exceptions=True
    )

    assert [isinstance(outcome, sqlalchemy.exc.IntegrityError) for outcome in outcomes] == [
        False,
        True,
        False,
        True,
        False,
    ]
    assert await database.read(entries) == ["a", "b", "c", "taken"]


async def test_two_who_insert_the_same_row_at_once_leave_it_once(database: Database) -> None:
    outcomes = await asyncio.gather(*(database.transact(booking("same")) for _ in range(40)), return_exceptions=True)

    assert sum(outcome == "same" for outcome in outcomes) == 1
    assert await database.read(entries) == ["same"]


async def test_work_that_waits_together_is_committed_together(database: Database) -> None:
    commits = 0

    def count_commit() -> None:
        nonlocal commits
        commits += 1

    database.listen(count_commit)
    await asyncio.gather(*(database.transact(booking(f"entry-{number}")) for number in range(256)))

    assert len(await database.read(entries)) == 256
    assert commits < 64


async def test_racing_changes_of_the_same_rows_all_succeed(database: Database) -> None:
    for entry in ("left", "right"):
        await database.transact(booking(entry, 0))

    def raising(first: str, second: str) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            for entry in (first, second):
                connection.execute(update(ENTRIES).where(ENTRIES.c.id == entry).values(amount=ENTRIES.c.amount + 1))

        return work

    async def race(work: Callable[[Connection], None]) -> None:
        for _ in range(20):
            await database.transact(work)

    await asyncio.gather(
        *(race(raising("left", "right")) for _ in range(6)), *(race(raising("right", "left")) for _ in range(6))
    )

    amounts = await database.read(lambda connection: connection.execute(select(ENTRIES.c.amount)).scalars().all())
    assert amounts == [240, 240]


async def test_a_read_sees_one_snapshot_and_cannot_write(database: Database) -> None:
    seen_first, may_go_on = threading.Event(), threading.Event()

    def looking_twice(connection: Connection) -> tuple[int, int]:
        first = len(entries(connection))
        seen_first.set()
        may_go_on.wait(10)
        return first, len(entries(connection))

    looking = asyncio.create_task(database.read(looking_twice))
    await asyncio.to_thread(seen_first.wait, 10)
    await database.transact(booking("meanwhile"))
    may_go_on.set()

    assert await looking == (0, 0)
    with pytest.raises((sqlalchemy.exc.OperationalError, sqlalchemy.exc.InternalError)):
        await database.read(booking("written by a reader"))
    assert await database.read(entries) == ["meanwhile"]


async def test_the_caller_s_context_holds_in_its_work(database: Database) -> None:
    trace: ContextVar[str] = ContextVar("trace")
    trace.set("of the caller")

    assert await database.transact(lambda _: trace.get()) == "of the caller"
    assert await database.read(lambda _: trace.get()) == "of the caller"


async def test_work_whose_caller_has_gone_before_it_began_is_not_done(database: Database) -> None:
    busy, may_go_on = threading.Event(), threading.Event()

    def occupying(_: Connection) -> None:
        busy.set()
        may_go_on.wait(10)

    occupied = [asyncio.create_task(database.transact(occupying)) for _ in range(1 if database.is_exclusive else 2)]
    await asyncio.to_thread(busy.wait, 10)
    leaving = asyncio.create_task(database.transact(booking("abandoned")))
    await asyncio.sleep(0)
    leaving.cancel()
    staying = asyncio.create_task(database.transact(booking("wanted")))
    await asyncio.sleep(0)
    may_go_on.set()
    await asyncio.gather(*occupied, staying)

    assert "wanted" in await database.read(entries)
    assert "abandoned" not in await database.read(entries) or not database.is_exclusive


async def test_work_that_ends_the_transaction_itself_fails_and_harms_nobody_else(database: Database) -> None:
    with pytest.raises(sqlalchemy.exc.InvalidRequestError):
        await database.transact(lambda connection: connection.commit())

    assert await database.transact(booking("a")) == "a"


async def test_work_that_wants_to_end_the_program_only_fails(database: Database) -> None:
    def ending(_: Connection) -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        await database.transact(ending)
    assert await database.transact(booking("a")) == "a"


async def test_a_listener_hears_of_commits_until_it_stops(database: Database) -> None:
    heard: list[str] = []
    stop = database.listen(lambda: heard.append("commit"))

    await database.transact(booking("a"))
    assert heard == ["commit"]
    stop()
    await database.transact(booking("b"))
    assert heard == ["commit"]


async def test_moments_keep_their_instant_and_their_order(database: Database) -> None:
    moscow = timezone(timedelta(hours=3))
    noon = datetime(2026, 3, 1, 12, 0, tzinfo=moscow)
    moments = [noon, noon + timedelta(microseconds=1), noon.astimezone(UTC) - timedelta(hours=1)]

    def storing(connection: Connection) -> list[datetime]:
        MOMENTS.create(connection)
        connection.execute(insert(MOMENTS), [{"at": moment} for moment in moments])
        return [row.at for row in connection.execute(select(MOMENTS).order_by(MOMENTS.c.at))]

    stored = await database.transact(storing)

    assert stored == sorted(moments)
    assert {moment.tzinfo for moment in stored} == {UTC}


async def test_a_moment_without_a_zone_is_refused(database: Database) -> None:
    naive = datetime(2026, 3, 1, 12, 0)  # noqa: DTZ001 that is the point

    with pytest.raises(sqlalchemy.exc.StatementError, match="no time zone"):
        await database.transact(lambda connection: connection.execute(select(MOMENTS).where(MOMENTS.c.at == naive)))


async def test_every_table_is_made_once_and_opening_again_finds_it(database_url: str) -> None:
    for _ in range(2):
        async with opened(database_url, migrations=MIGRATIONS) as database:
            tables = await database.read(lambda connection: set(inspect(connection).get_table_names()))
            assert tables >= {
                "outbox",
                "relay_cursor",
                "inbox",
                "producer_positions",
                "dead_letters",
                "leases",
                "audit",
                "entries",
            }


async def test_a_closed_database_says_so(database_url: str) -> None:
    async with opened(database_url, migrations=MIGRATIONS) as database:
        await database.transact(booking("a"))

    with pytest.raises(PreconditionError):
        await database.transact(booking("b"))
    with pytest.raises(PreconditionError):
        await database.read(entries)


async def test_work_handed_in_before_the_end_is_still_done(database_url: str) -> None:
    async with opened(database_url, migrations=MIGRATIONS) as database:
        booked = [asyncio.create_task(database.transact(booking(f"entry-{number:03}"))) for number in range(200)]
        await asyncio.sleep(0)

    assert len(await asyncio.gather(*booked)) == 200


async def test_a_second_process_is_told_who_uses_the_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    async with opened(url, migrations=MIGRATIONS):
        other = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            f"import asyncio\nfrom udckit.database import opened\n"
            f"async def main():\n async with opened({url!r}): pass\nasyncio.run(main())",
            stderr=asyncio.subprocess.PIPE,
        )
        _, complaint = await other.communicate()

    assert other.returncode != 0
    assert b"is in use by process" in complaint
    async with opened(url):
        """The file is free again."""


async def test_sqlite_is_set_up_for_safety(tmp_path: Path) -> None:
    def settings(connection: Connection) -> dict[str, object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint", "query_only")
        return {name: connection.execute(text(f"PRAGMA {name}")).scalar_one() for name in names}

    async with opened(f"sqlite:///{tmp_path}/ledger.db") as database:
        writer, reader = await database.transact(settings), await database.read(settings)

    assert (writer["journal_mode"], writer["synchronous"], writer["foreign_keys"]) == ("wal", 2, 1)
    assert (reader["wal_autocheckpoint"], reader["query_only"]) == (0, 1)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://host/db", "postgresql://host/db"])
async def test_a_database_that_could_not_keep_the_promises_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequestError):
        async with opened(url):
            """Never reached."""


@pytest.mark.faults
async def test_an_outage_of_postgresql_is_told_and_ends_by_itself(
    tmp_path: Path, directory_for_everybody: Path
) -> None:
    server = PostgreSQL(directory_for_everybody / tmp_path.name)
    async with server:
        url = await server.create_database("ledger")
        async with opened(url, migrations=MIGRATIONS) as database:
            await database.transact(booking("before"))
            server.kill()

            begun = time.monotonic()
            with pytest.raises(UpstreamUnavailableError):
                await database.transact(booking("during"))
            with pytest.raises(UpstreamUnavailableError):
                await database.read(entries)
            assert time.monotonic() - begun < 15

            waiting = asyncio.create_task(database.transact(booking("after")))
            await server.start()
            assert await waiting == "after"
            assert await database.read(entries) == ["after", "before"]
