"""Events are told exactly when they are true, numbered without gaps, whatever happens to NATS or to the relay."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from threading import Event, Semaphore

import pytest
from nats.js.api import DiscardPolicy
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import func, select, update

from integration.udckit_core.ledger_service import ENTRIES
from integration.udckit_core.ledger_service.facts import book, booked, entries
from integration.udckit_core.waiting import stored_messages, until
from udckit import outbox, subjects, telemetry
from udckit.bus import Bus
from udckit.database import Connection, Database, Work
from udckit.envelope import OutgoingEvent
from udckit.errors import NotFoundError, PreconditionError
from udckit.plumbing_tables import OUTBOX
from udckit.relay import Producer, relaying
from udckit.testing import NatsServer

pytestmark = pytest.mark.connected

LEDGER = Producer(source="/services/ledger", region="r77")


async def book_all(database: Database, names: list[str]) -> None:
    await asyncio.gather(*(database.transact(partial(book, entry=name)) for name in names))


async def is_relayed(database: Database) -> bool:
    return not await database.read(outbox.is_waiting)


async def told(bus: Bus) -> list[dict[str, str]]:
    return [headers for _, headers in await stored_messages(bus, subjects.STREAM_EVENTS)]


async def announced(database: Database) -> list[str]:
    """Return of what the events in the outbox tell, in their order."""
    query = select(OUTBOX.c.about).order_by(OUTBOX.c.position)
    return list(await database.read(lambda connection: connection.execute(query).scalars().all()))


@asynccontextmanager
async def waiting_together(database: Database) -> AsyncIterator[None]:
    """Let what is handed in within the block wait until its end, so that it shares transactions then."""
    busy, may_go_on = Semaphore(0), Event()

    def occupying(_: Connection) -> None:
        busy.release()
        may_go_on.wait(10)

    occupied = []
    for _ in range(1 if database.is_exclusive else 2):
        occupied.append(asyncio.create_task(database.transact(occupying)))
        await asyncio.to_thread(busy.acquire)
    try:
        yield
        await asyncio.sleep(0)
    finally:
        may_go_on.set()
        await asyncio.gather(*occupied)


async def transact_together(database: Database, works: Sequence[Work[None]]) -> list[BaseException | None]:
    """Hand in ``works`` in their order, to be done in shared transactions; return how each ended."""
    async with waiting_together(database):
        tasks = [asyncio.create_task(database.transact(work)) for work in works]
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_same_fact_is_announced_once(database: Database) -> None:
    def announcing_twice(connection: Connection) -> None:
        outbox.announce(connection, booked("a"))
        outbox.announce(connection, booked("a"))

    await database.transact(announcing_twice)
    await database.transact(announcing_twice)

    assert await database.read(outbox.backlog) == 1


async def test_a_member_of_a_group_that_fails_loses_only_its_own_events(database: Database) -> None:
    def failing(connection: Connection) -> None:
        book(connection, "undone")
        raise NotFoundError("changed my mind")

    names = [f"entry-{number}" for number in range(12)]
    works: list[Work[None]] = [partial(book, entry=name) for name in names]
    ended = await transact_together(database, [*works[:6], failing, *works[6:]])

    assert [type(one) for one in ended if one is not None] == [NotFoundError]
    assert await database.read(entries) == sorted(names)
    assert sorted(await announced(database)) == sorted(f"entries/{name}" for name in names)


async def test_an_event_that_cannot_be_stored_undoes_the_work_that_announced_it_and_no_other(
    database: Database,
) -> None:
    def announcing_a_naive_time(connection: Connection) -> None:
        book(connection, "undone")
        naive = datetime(2026, 3, 1, 12, 0)  # noqa: DTZ001 that is the point
        outbox.announce(connection, replace(booked("naive"), occurred_at=naive))

    ended = await transact_together(
        database, [partial(book, entry="before"), announcing_a_naive_time, partial(book, entry="after")]
    )

    assert [one is None for one in ended] == [True, False, True]
    assert "no time zone" in str(ended[1])
    assert await database.read(entries) == ["after", "before"]
    assert sorted(await announced(database)) == ["entries/after", "entries/before"]


@pytest.mark.parametrize("somebody_fails", [False, True])
async def test_what_one_transaction_announces_keeps_its_order(database: Database, somebody_fails: bool) -> None:
    def telling(names: Sequence[str], connection: Connection) -> None:
        for name in names:
            outbox.announce(connection, booked(name))

    def failing(connection: Connection) -> None:
        telling(["undone"], connection)
        raise NotFoundError("changed my mind")

    stories = [[f"{story}{number}" for number in (3, 1, 2)] for story in "zax"]
    works: list[Work[None]] = [partial(telling, story) for story in stories]
    await transact_together(database, [*works, failing] if somebody_fails else works)

    told = await announced(database)
    for story in stories:
        assert [name for name in told if name[-2] == story[0][0]] == [f"entries/{name}" for name in story]


async def test_works_that_race_announce_once_each(database: Database) -> None:
    for entry in ("left", "right"):
        await database.transact(partial(book, entry=entry))

    def raising(number: int, connection: Connection) -> None:
        outbox.announce(connection, booked(f"raise-{number}"))
        for entry in ("left", "right") if number % 2 else ("right", "left"):
            connection.execute(update(ENTRIES).where(ENTRIES.c.id == entry).values(amount=ENTRIES.c.amount + 1))

    await asyncio.gather(*(database.transact(partial(raising, number)) for number in range(120)))

    told = [name for name in await announced(database) if name.startswith("entries/raise")]
    assert sorted(told) == sorted(f"entries/raise-{number}" for number in range(120))


async def test_nothing_is_announced_where_it_could_be_lost(database: Database) -> None:
    def in_a_savepoint(connection: Connection) -> None:
        with connection.begin_nested():
            outbox.announce(connection, booked("a"))

    with pytest.raises(PreconditionError, match="savepoint"):
        await database.transact(in_a_savepoint)
    with pytest.raises(PreconditionError, match="only by a work"):
        await database.read(lambda connection: outbox.announce(connection, booked("a")))
    assert await announced(database) == []


async def test_what_was_rolled_back_is_never_told(database: Database, bus: Bus) -> None:
    def failing(connection: Connection) -> None:
        book(connection, "undone")
        raise NotFoundError("changed my mind")

    async with relaying(database, bus, LEDGER):
        with pytest.raises(NotFoundError):
            await database.transact(failing)
        await book_all(database, ["done"])
        await until(lambda: is_relayed(database))

    assert [headers["ce-subject"] for headers in await told(bus)] == ["entries/done"]


async def test_an_event_is_told_as_it_was_announced(database: Database, bus: Bus) -> None:
    quarter_to_nine = datetime(2026, 3, 1, 8, 45, 0, 123456, tzinfo=timezone(timedelta(hours=3)))
    event = OutgoingEvent(
        id="an-id",
        type="udc.test.v1.Told",
        subject=subjects.RESULT_ACCEPTED,
        about='entries/"a\\b"',
        organisation="1.2.643.5.1.13.13.12.2.77.1",
        occurred_at=quarter_to_nine,
        body=bytes(range(256)),
    )

    await database.transact(lambda connection: outbox.announce(connection, event))
    async with relaying(database, bus, LEDGER):
        await until(lambda: is_relayed(database))

    message = await bus.js.get_msg(subjects.STREAM_EVENTS, 1)
    headers = message.headers or {}
    assert message.data == event.body
    assert message.subject == event.subject
    assert (headers["ce-id"], headers["ce-type"]) == (event.id, event.type)
    assert (headers["ce-subject"], headers["ce-udcorg"]) == (event.about, event.organisation)
    assert headers["ce-time"] == "2026-03-01T05:45:00.123456+00:00"


async def test_many_events_are_told_in_the_order_of_their_gapless_numbers(database: Database, bus: Bus) -> None:
    names = [f"entry-{number:04}" for number in range(700)]

    async with relaying(database, bus, LEDGER):
        await book_all(database, names)
        await until(lambda: is_relayed(database))

    headers = await told(bus)
    assert [int(one["ce-udcseq"]) for one in headers] == list(range(1, 701))
    assert {one["ce-subject"] for one in headers} == {f"entries/{name}" for name in names}
    assert {one["Nats-Msg-Id"] == one["ce-id"] for one in headers} == {True}
    assert {(one["ce-source"], one["ce-udcregion"]) for one in headers} == {("/services/ledger", "r77")}


async def test_an_event_carries_the_trace_in_which_it_became_true(database: Database, bus: Bus) -> None:
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("booking") as span:
        await book_all(database, ["traced"])
    async with relaying(database, bus, LEDGER):
        await until(lambda: is_relayed(database))

    (headers,) = await told(bus)
    carried = trace.get_current_span(telemetry.remote_context(headers)).get_span_context()
    assert carried.trace_id == span.get_span_context().trace_id
    assert carried.span_id == span.get_span_context().span_id


async def test_a_batch_that_jetstream_knows_in_part_is_told_once(database: Database, bus: Bus) -> None:
    await book_all(database, ["a", "b", "c"])
    already = booked("b")
    await bus.js.publish(already.subject, already.body, headers={"Nats-Msg-Id": already.id, "ce-subject": "known"})

    async with relaying(database, bus, LEDGER):
        await until(lambda: is_relayed(database))

    assert sorted(headers["ce-subject"] for headers in await told(bus)) == ["entries/a", "entries/c", "known"]


async def test_a_stream_without_atomic_batches_gets_single_messages(database: Database, bus: Bus) -> None:
    config = (await bus.js.stream_info(subjects.STREAM_EVENTS)).config
    await bus.js.update_stream(config.evolve(allow_atomic=False))
    await book_all(database, ["a", "b", "c"])

    async with relaying(database, bus, LEDGER):
        await until(lambda: is_relayed(database))

    assert len(await told(bus)) == 3


async def test_a_full_stream_makes_events_wait_and_loses_none(database: Database, bus: Bus) -> None:
    config = (await bus.js.stream_info(subjects.STREAM_EVENTS)).config
    assert config.discard == DiscardPolicy.NEW
    await bus.js.update_stream(config.evolve(max_msgs=2))
    names = [f"entry-{number}" for number in range(5)]

    async with relaying(database, bus, LEDGER) as relay:
        await book_all(database, names)
        await until(lambda: relay.stalled_by == "STREAM_FULL")
        assert await database.read(outbox.backlog) == 5
        await bus.js.update_stream(config.evolve(max_msgs=100))
        await until(lambda: is_relayed(database))
        assert relay.stalled_by is None

    assert {headers["ce-subject"] for headers in await told(bus)} == {f"entries/{name}" for name in names}


@pytest.mark.faults
async def test_killing_nats_again_and_again_loses_nothing(
    database: Database, bus: Bus, nats_server: NatsServer
) -> None:
    names = [f"entry-{number:04}" for number in range(1200)]

    async def kill_three_times() -> None:
        for _ in range(3):
            await asyncio.sleep(0.15)
            nats_server.kill()
            await asyncio.sleep(0.1)
            await nats_server.start()

    async with relaying(database, bus, LEDGER):
        killing = asyncio.create_task(kill_three_times())
        for start in range(0, len(names), 100):
            await book_all(database, names[start : start + 100])
            await asyncio.sleep(0.05)
        await killing
        await until(lambda: is_relayed(database), within_s=60)

    headers = await told(bus)
    assert {one["ce-subject"] for one in headers} == {f"entries/{name}" for name in names}
    numbers = {one["ce-id"]: int(one["ce-udcseq"]) for one in headers}
    assert sorted(numbers.values()) == list(range(1, 1201))
    assert len(headers) == 1200


async def test_two_relays_of_one_outbox_do_not_tell_twice(database: Database, bus: Bus) -> None:
    async with relaying(database, bus, LEDGER), relaying(database, bus, LEDGER):
        await book_all(database, [f"entry-{number}" for number in range(50)])
        await until(lambda: is_relayed(database))

    assert [int(one["ce-udcseq"]) for one in await told(bus)] == list(range(1, 51))


async def test_events_are_told_again_under_the_same_ids(database: Database, bus: Bus) -> None:
    async with relaying(database, bus, LEDGER) as relay:
        await book_all(database, [f"entry-{number}" for number in range(10)])
        await until(lambda: is_relayed(database))
        assert await relay.republish(3, 5) == 3

    headers = await told(bus)
    again = headers[10:]
    assert {one["ce-udcseq"] for one in again} == {"3", "4", "5"}
    assert {one["ce-id"] for one in again} == {one["ce-id"] for one in headers[2:5]}


@pytest.mark.parametrize(("first", "last"), [(0, 1), (2, 4), (4, 4)])
async def test_events_that_are_not_there_cannot_be_told_again(
    database: Database, bus: Bus, first: int, last: int
) -> None:
    async with relaying(database, bus, LEDGER) as relay:
        await book_all(database, ["a", "b", "c"])
        await until(lambda: is_relayed(database))
        with pytest.raises(NotFoundError, match="kept are 1 to 3"):
            await relay.republish(first, last)


async def test_only_old_events_that_have_been_told_are_deleted(database: Database, bus: Bus) -> None:
    async with relaying(database, bus, LEDGER):
        await book_all(database, ["told"])
        await until(lambda: is_relayed(database))
    await book_all(database, ["untold"])

    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    assert await database.transact(lambda connection: outbox.prune(connection, older_than=an_hour_ago)) == 0
    assert await database.transact(lambda connection: outbox.prune(connection, older_than=in_an_hour)) == 1
    assert await database.transact(lambda connection: outbox.prune(connection, older_than=in_an_hour)) == 0
    assert await announced(database) == ["entries/untold"]


async def test_the_relay_deletes_what_it_no_longer_keeps(database: Database, bus: Bus) -> None:
    async with relaying(database, bus, LEDGER):
        await book_all(database, ["a", "b"])
        await until(lambda: is_relayed(database))
    async with relaying(database, bus, LEDGER, kept_for=timedelta(0)):
        await until(lambda: _is_empty(database))

    assert await database.read(entries) == ["a", "b"]


async def _is_empty(database: Database) -> bool:
    return not await database.read(
        lambda connection: connection.execute(select(func.count()).select_from(OUTBOX)).scalar_one()
    )
