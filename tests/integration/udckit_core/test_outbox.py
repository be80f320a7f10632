"""Events are told exactly when they are true, numbered without gaps, whatever happens to NATS or to the relay."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from nats.js.api import DiscardPolicy
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import func, select

from integration.udckit_core.ledger_service.facts import book, booked, entries
from integration.udckit_core.waiting import stored_messages, until
from udckit import outbox, subjects, telemetry
from udckit.bus import Bus
from udckit.database import Connection, Database
from udckit.errors import NotFoundError
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


async def test_the_same_fact_is_announced_once(database: Database) -> None:
    def announcing(connection: Connection) -> bool:
        return outbox.announce(connection, booked("a"))

    assert await database.transact(announcing) is True
    assert await database.transact(announcing) is False
    assert await database.read(outbox.backlog) == 1


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
    assert await database.read(lambda connection: connection.execute(select(OUTBOX.c.about)).scalars().all()) == [
        "entries/untold"
    ]


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
