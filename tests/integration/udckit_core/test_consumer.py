"""Every event has its effect once, whatever fails, and what cannot be handled is told and kept."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from integration.udckit_core.ledger_service import ENTRIES
from integration.udckit_core.ledger_service.facts import BOOKED, booked, entries, entry_of
from integration.udckit_core.waiting import pending, stored_messages, until
from udckit import dead_letters, subjects
from udckit.bus import Bus
from udckit.consumer import Effect, Handler, Policy, Subscription, consuming
from udckit.consumer.gaps import GapWatch
from udckit.database import Connection, Database, opened
from udckit.dead_letters import DeadLetterState
from udckit.envelope import Event, headers_of
from udckit.errors import (
    ConflictError,
    DeniedError,
    InternalError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PreconditionError,
    ServiceError,
    TimedOutError,
    UpstreamUnavailableError,
)
from udckit.plumbing_tables import INBOX
from udckit.testing import NatsServer, PostgreSQL

pytestmark = pytest.mark.connected

DURABLE = subjects.DURABLE_ARCHIVER_RESULTS
FAST = Policy(backoff_s=(0.05, 0.1), probe_s=(0.1, 0.4), fetch_s=0.5, replay_look_s=0.1, heartbeat_s=0.3, drain_s=2.0)


@dataclass
class Ledger:
    """Books what it is told, unless ``trouble`` raises."""

    trouble: Callable[[str, int], None] = lambda _entry, _time: None
    work: Callable[[str], Awaitable[None]] | None = None
    handled: list[str] = field(default_factory=list)

    async def __call__(self, event: Event) -> Effect:
        entry = entry_of(event)
        self.handled.append(entry)
        if self.work is not None:
            await self.work(entry)
        self.trouble(entry, self.handled.count(entry))
        return lambda connection: booking(connection, entry)


def booking(connection: Connection, entry: str) -> None:
    connection.execute(insert(ENTRIES).values(id=entry, amount=1))


def reporting(event: Event, reason: str, _detail: str) -> Effect:
    return lambda connection: booking(connection, f"failed:{entry_of(event)}:{reason}")


def subscription(handler: Handler, policy: Policy = FAST) -> Subscription:
    return Subscription(
        stream=subjects.STREAM_EVENTS,
        durable=DURABLE,
        handlers={BOOKED: handler},
        policy=policy,
        on_dead_letter=reporting,
    )


async def tell(bus: Bus, *names: str, copy: str = "", first: int = 1) -> None:
    """Publish the events of ``names`` as a relay does."""
    for number, name in enumerate(names, start=first):
        event = booked(name)
        headers = headers_of(event, source="/services/ledger", region="r77", sequence=number, trace={})
        headers["Nats-Msg-Id"] += copy
        await bus.js.publish(event.subject, event.body, headers=headers)


async def are_booked(database: Database, *names: str) -> bool:
    return await database.read(entries) == sorted(names)


async def all_settled(bus: Bus) -> bool:
    if await pending(bus, subjects.STREAM_EVENTS, DURABLE) != (0, 0):
        return False
    # The server counts a message for its consumer a moment after it has stored it.
    await asyncio.sleep(0.1)
    return await pending(bus, subjects.STREAM_EVENTS, DURABLE) == (0, 0)


async def test_every_event_has_its_effect_and_is_settled(database: Database, bus: Bus) -> None:
    names = [f"entry-{number:03}" for number in range(200)]
    await tell(bus, *names)
    ledger = Ledger()

    async with consuming(bus, database, subscription(ledger)):
        await until(lambda: all_settled(bus))

    assert await are_booked(database, *names)
    assert sorted(ledger.handled) == names


async def test_a_duplicate_never_reaches_the_handler(database: Database, bus: Bus) -> None:
    ledger = Ledger()
    async with consuming(bus, database, subscription(ledger)):
        await tell(bus, "a", "b")
        await until(lambda: all_settled(bus))
        await tell(bus, "a", "b", "c", copy=":again")
        await until(lambda: all_settled(bus))

    assert sorted(ledger.handled) == ["a", "b", "c"]
    assert await are_booked(database, "a", "b", "c")


async def test_an_event_that_arrives_twice_at_once_has_one_effect(database: Database, bus: Bus) -> None:
    await tell(bus, "a")
    await tell(bus, "a", copy=":again")
    ledger = Ledger(work=lambda _: asyncio.sleep(0.2))

    async with consuming(bus, database, subscription(ledger)):
        await until(lambda: all_settled(bus))

    assert ledger.handled == ["a"]
    assert await are_booked(database, "a")


async def test_two_replicas_give_one_effect(database: Database, bus: Bus) -> None:
    names = [f"entry-{number:03}" for number in range(100)]
    left, right = Ledger(), Ledger()

    async with (
        consuming(bus, database, subscription(left, Policy(fetch_s=0.5, batch=5))),
        consuming(bus, database, subscription(right, Policy(fetch_s=0.5, batch=5))),
    ):
        await tell(bus, *names)
        await until(lambda: all_settled(bus))

    assert sorted(left.handled + right.handled) == names
    assert await are_booked(database, *names)


async def test_work_longer_than_the_brokers_patience_is_not_given_to_another(database: Database, bus: Bus) -> None:
    info = await bus.js.consumer_info(subjects.STREAM_EVENTS, DURABLE)
    await bus.js.add_consumer(subjects.STREAM_EVENTS, info.config.evolve(ack_wait=1.0))
    await tell(bus, "slow")
    ledger = Ledger(work=lambda _: asyncio.sleep(3))

    async with consuming(bus, database, subscription(ledger)):
        await until(lambda: all_settled(bus))

    assert ledger.handled == ["slow"]
    info = await bus.js.consumer_info(subjects.STREAM_EVENTS, DURABLE)
    assert info.num_redelivered == 0
    assert info.delivered is not None
    assert info.delivered.consumer_seq == 1


async def test_events_of_unknown_type_are_passed_over(database: Database, bus: Bus) -> None:
    async with consuming(
        bus,
        database,
        Subscription(stream=subjects.STREAM_EVENTS, durable=DURABLE, handlers={}, policy=FAST),
    ):
        await tell(bus, "a")
        await until(lambda: all_settled(bus))

    assert await database.read(lambda connection: connection.execute(select(INBOX)).all()) == []


HOPELESS = [InvalidRequestError, NotFoundError, PreconditionError, DeniedError]


@pytest.mark.parametrize("error", HOPELESS)
async def test_what_no_repetition_can_help_is_dead_at_once(
    database: Database, bus: Bus, error: type[ServiceError]
) -> None:
    def trouble(_entry: str, _time: int) -> None:
        raise error("this can never work")

    await tell(bus, "a")
    ledger = Ledger(trouble=trouble)
    async with consuming(bus, database, subscription(ledger)):
        await until(lambda: all_settled(bus))

    assert ledger.handled == ["a"]
    assert await are_booked(database, f"failed:a:{error.reason}")
    (letter,) = await database.read(dead_letters.listed)
    assert (letter.consumer, letter.event_id, letter.reason) == (DURABLE, booked("a").id, error.reason)
    assert (letter.state, letter.attempts, letter.detail) == (DeadLetterState.DEAD, 1, "this can never work")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimedOutError("no answer"), "TIMED_OUT"),
        (InternalError("a bug"), "INTERNAL"),
        (RuntimeError("name of a patient"), "UNEXPECTED"),
    ],
)
async def test_failing_work_is_repeated_and_then_dead(
    database: Database, bus: Bus, error: Exception, reason: str
) -> None:
    def trouble(_entry: str, _time: int) -> None:
        raise error

    await tell(bus, "a")
    ledger = Ledger(trouble=trouble)
    async with consuming(bus, database, subscription(ledger)):
        await until(lambda: all_settled(bus))

    assert ledger.handled == ["a", "a", "a"]
    assert await are_booked(database, f"failed:a:{reason}")
    (letter,) = await database.read(dead_letters.listed)
    assert letter.attempts == 3
    assert "patient" not in letter.detail


async def test_work_that_fails_once_succeeds_the_second_time(database: Database, bus: Bus) -> None:
    def trouble(_entry: str, time: int) -> None:
        if time == 1:
            raise TimedOutError("no answer")

    await tell(bus, "a")
    async with consuming(bus, database, subscription(Ledger(trouble=trouble))):
        await until(lambda: all_settled(bus))

    assert await are_booked(database, "a")
    assert await database.read(dead_letters.listed) == []


async def test_an_effect_that_breaks_does_not_harm_its_neighbours(database: Database, bus: Bus) -> None:
    await database.transact(lambda connection: booking(connection, "taken"))
    await tell(bus, "a", "taken", "b")

    async with consuming(bus, database, subscription(Ledger())):
        await until(lambda: all_settled(bus))

    assert await are_booked(database, "a", "b", "failed:taken:UNEXPECTED", "taken")


@dataclass
class Counting:
    """Books, and counts what is durable."""

    entry: str
    counted: list[str]

    def __call__(self, connection: Connection) -> None:
        booking(connection, self.entry)

    def committed(self) -> None:
        self.counted.append(self.entry)


async def test_an_effect_is_told_when_it_is_durable_and_only_then(database: Database, bus: Bus) -> None:
    counted: list[str] = []

    async def handle(event: Event) -> Effect:
        return Counting(entry_of(event), counted)

    await database.transact(lambda connection: booking(connection, "taken"))
    await tell(bus, "a", "taken", "b")
    async with consuming(bus, database, subscription(handle)):
        await until(lambda: all_settled(bus))

    assert sorted(counted) == ["a", "b"]


async def test_a_conflict_is_repeated_at_once(database: Database, bus: Bus) -> None:
    def trouble(_entry: str, time: int) -> None:
        if time <= 3:
            raise ConflictError("changed meanwhile")

    await tell(bus, "a")
    ledger = Ledger(trouble=trouble)
    async with consuming(bus, database, subscription(ledger, Policy(fetch_s=0.5, backoff_s=(60.0,)))):
        await until(lambda: all_settled(bus), within_s=5)

    assert ledger.handled == ["a"] * 4
    assert await are_booked(database, "a")


async def test_a_handler_that_hangs_is_ended(database: Database, bus: Bus) -> None:
    await tell(bus, "a")
    policy = Policy(fetch_s=0.5, backoff_s=(), limit_s=0.2)

    async with consuming(bus, database, subscription(Ledger(work=lambda _: asyncio.sleep(3600)), policy)):
        await until(lambda: all_settled(bus))

    assert await are_booked(database, "failed:a:TIMED_OUT")


@pytest.mark.parametrize("error", [UpstreamUnavailableError, OverloadedError])
async def test_an_outage_stops_fetching_costs_no_attempt_and_ends_by_itself(
    database: Database, bus: Bus, error: type[ServiceError]
) -> None:
    outage = True

    def trouble(_entry: str, _time: int) -> None:
        if outage:
            raise error("away")

    names = [f"entry-{number:03}" for number in range(40)]
    ledger = Ledger(trouble=trouble)
    async with consuming(
        bus, database, subscription(ledger, Policy(fetch_s=0.3, batch=4, probe_s=(0.1, 0.2)))
    ) as consumer:
        await tell(bus, *names)
        await until(lambda: consumer.breaker_open)
        await asyncio.sleep(1.5)
        assert len(ledger.handled) < 30
        outage = False
        await until(lambda: all_settled(bus))
        assert not consumer.breaker_open

    assert await are_booked(database, *names)
    assert await database.read(dead_letters.listed) == []
    attempts = await database.read(lambda connection: connection.execute(select(INBOX.c.attempts)).scalars().all())
    assert set(attempts) == {0}


async def test_a_message_that_is_no_event_is_kept_as_a_dead_letter(database: Database, bus: Bus) -> None:
    ack = await bus.js.publish(subjects.RESULT_ACCEPTED, b"?", headers={"Nats-Msg-Id": "x", "ce-type": "?"})

    async with consuming(bus, database, subscription(Ledger())):
        await until(lambda: all_settled(bus))

    (letter,) = await database.read(dead_letters.listed)
    assert (letter.event_id, letter.reason, letter.body) == (f"EVENTS:{ack.seq}", "MALFORMED", b"?")


async def test_a_dead_letter_is_copied_with_its_reason(database: Database, bus: Bus) -> None:
    def trouble(_entry: str, _time: int) -> None:
        raise PreconditionError("no")

    await tell(bus, "a")
    async with consuming(bus, database, subscription(Ledger(trouble=trouble))):
        await until(lambda: all_settled(bus))

    ((subject, headers),) = await stored_messages(bus, subjects.STREAM_DEAD_LETTERS)
    assert subject == f"dlq.{subjects.RESULT_ACCEPTED}"
    assert headers["ce-id"] == booked("a").id
    assert (headers["udc-dead-at"], headers["udc-dead-because"]) == (DURABLE, "FAILED_PRECONDITION")


async def test_a_full_dead_letter_stream_loses_no_dead_letter(database: Database, bus: Bus) -> None:
    config = (await bus.js.stream_info(subjects.STREAM_DEAD_LETTERS)).config
    await bus.js.update_stream(config.evolve(max_msgs=1))
    await bus.js.publish("dlq.filler", b"")

    def trouble(_entry: str, _time: int) -> None:
        raise PreconditionError("no")

    await tell(bus, "a")
    async with consuming(bus, database, subscription(Ledger(trouble=trouble))) as consumer:
        await until(lambda: consumer.breaker_open)
        assert await database.read(dead_letters.listed) == []
        await bus.js.update_stream(config.evolve(max_msgs=10))
        await until(lambda: all_settled(bus))

    assert len(await database.read(dead_letters.listed)) == 1


async def test_a_dead_letter_whose_report_fails_is_kept_all_the_same(database: Database, bus: Bus) -> None:
    def trouble(_entry: str, _time: int) -> None:
        raise PreconditionError("no")

    await database.transact(lambda connection: booking(connection, "failed:a:FAILED_PRECONDITION"))
    await tell(bus, "a")
    async with consuming(bus, database, subscription(Ledger(trouble=trouble))):
        await until(lambda: all_settled(bus))

    assert len(await database.read(dead_letters.listed)) == 1


async def test_a_dead_letter_is_replayed_on_request_and_only_once(database: Database, bus: Bus) -> None:
    broken = True

    def trouble(_entry: str, _time: int) -> None:
        if broken:
            raise PreconditionError("not yet")

    await tell(bus, "a")
    ledger = Ledger(trouble=trouble)
    async with consuming(bus, database, subscription(ledger)):
        await until(lambda: all_settled(bus))
        (letter,) = await database.read(dead_letters.listed)

        broken = False
        await database.transact(lambda connection: dead_letters.request_replay(connection, letter.id))
        await until(lambda: is_in(database, letter.id, DeadLetterState.REPLAYED))

    assert await are_booked(database, "a", "failed:a:FAILED_PRECONDITION")
    assert ledger.handled == ["a", "a"]
    with pytest.raises(PreconditionError):
        await database.transact(lambda connection: dead_letters.request_replay(connection, letter.id))


async def test_a_replay_that_fails_leaves_the_letter_dead_with_the_new_reason(database: Database, bus: Bus) -> None:
    def trouble(_entry: str, time: int) -> None:
        raise PreconditionError("no") if time == 1 else NotFoundError("gone")

    await tell(bus, "a")
    async with consuming(bus, database, subscription(Ledger(trouble=trouble))):
        await until(lambda: all_settled(bus))
        (letter,) = await database.read(dead_letters.listed)
        await database.transact(lambda connection: dead_letters.request_replay(connection, letter.id))
        await until(lambda: is_in(database, letter.id, DeadLetterState.DEAD))

    letter = await database.read(lambda connection: dead_letters.get(connection, letter.id))
    assert (letter.reason, letter.attempts) == ("NOT_FOUND", 2)


async def test_a_replay_during_an_outage_waits_for_its_end(database: Database, bus: Bus) -> None:
    def trouble(_entry: str, time: int) -> None:
        if time == 1:
            raise PreconditionError("no")
        if time < 4:
            raise UpstreamUnavailableError("away")

    await tell(bus, "a")
    ledger = Ledger(trouble=trouble)
    async with consuming(bus, database, subscription(ledger)):
        await until(lambda: all_settled(bus))
        (letter,) = await database.read(dead_letters.listed)
        await database.transact(lambda connection: dead_letters.request_replay(connection, letter.id))
        await until(lambda: is_in(database, letter.id, DeadLetterState.REPLAYED))

    assert len(ledger.handled) == 4


async def is_in(database: Database, letter: str, state: DeadLetterState) -> bool:
    found = await database.read(lambda connection: dead_letters.get(connection, letter))
    return found.state is state


async def test_an_unknown_dead_letter_cannot_be_replayed(database: Database) -> None:
    with pytest.raises(NotFoundError):
        await database.transact(lambda connection: dead_letters.request_replay(connection, "none"))


async def test_stopping_lets_work_finish(database: Database, bus: Bus) -> None:
    begun = asyncio.Event()

    async def work(_: str) -> None:
        begun.set()
        await asyncio.sleep(0.3)

    await tell(bus, "a")
    async with consuming(bus, database, subscription(Ledger(work=work))):
        await begun.wait()

    assert await are_booked(database, "a")
    assert await all_settled(bus)


async def test_work_that_does_not_finish_in_time_is_left_unsettled(database: Database, bus: Bus) -> None:
    begun = asyncio.Event()

    async def work(_: str) -> None:
        begun.set()
        await asyncio.sleep(3600)

    await tell(bus, "a")
    async with consuming(bus, database, subscription(Ledger(work=work), Policy(fetch_s=0.5, drain_s=0.1))):
        await begun.wait()

    assert await are_booked(database)
    assert await pending(bus, subjects.STREAM_EVENTS, DURABLE) == (0, 1)


async def test_a_missing_durable_is_seen_and_recovered_from(database: Database, bus: Bus) -> None:
    info = await bus.js.consumer_info(subjects.STREAM_EVENTS, DURABLE)
    await bus.js.delete_consumer(subjects.STREAM_EVENTS, DURABLE)

    async with consuming(bus, database, subscription(Ledger())) as consumer:
        await until(lambda: consumer.stalled_by is not None)
        await bus.js.add_consumer(subjects.STREAM_EVENTS, info.config)
        await tell(bus, "a")
        await until(lambda: are_booked(database, "a"))
        assert consumer.stalled_by is None


@pytest.mark.faults
async def test_an_outage_of_the_database_costs_no_attempt(
    tmp_path: Path, directory_for_everybody: Path, bus: Bus
) -> None:
    async with PostgreSQL(directory_for_everybody / tmp_path.name) as server:
        url = await server.create_database("ledger")
        ledger = Ledger()
        async with (
            opened(url, migrations="integration.udckit_core.ledger_service.migrations") as database,
            consuming(bus, database, subscription(ledger)) as consumer,
        ):
            server.kill()
            await tell(bus, "a", "b")
            await until(lambda: consumer.breaker_open)
            await server.start()
            await until(lambda: all_settled(bus))
            assert await are_booked(database, "a", "b")
            assert sorted(ledger.handled) == ["a", "b"]


@pytest.mark.faults
async def test_killing_nats_in_the_middle_leaves_every_effect_once(
    database: Database, bus: Bus, nats_server: NatsServer
) -> None:
    names = [f"entry-{number:04}" for number in range(600)]
    await tell(bus, *names)
    info = await bus.js.consumer_info(subjects.STREAM_EVENTS, DURABLE)
    await bus.js.add_consumer(subjects.STREAM_EVENTS, info.config.evolve(ack_wait=1.0))

    async with consuming(bus, database, subscription(Ledger(work=lambda _: asyncio.sleep(0.01)))):
        for _ in range(3):
            await asyncio.sleep(0.1)
            nats_server.kill()
            await asyncio.sleep(0.1)
            await nats_server.start()
        await until(lambda: are_booked(database, *names), within_s=60)
        await until(lambda: all_settled(bus), within_s=30)


async def test_a_gap_is_noticed_and_asked_for(database: Database, bus: Bus) -> None:
    asked: list[tuple[str, int, int]] = []

    async def ask_again(source: str, first: int, last: int) -> None:
        asked.append((source, first, last))

    watch = GapWatch(database, DURABLE, ask_again)
    policy = Policy(fetch_s=0.5, notice_gaps=ask_again)
    async with consuming(bus, database, subscription(Ledger(), policy)):
        await tell(bus, "1", "2", "3", first=1)
        await tell(bus, "6", first=6)
        await until(lambda: all_settled(bus))
        await watch.look()
        assert asked == []
        await watch.look()
        assert asked == [("/services/ledger", 4, 5)]

        await tell(bus, "4", "5", first=4)
        await until(lambda: all_settled(bus))
        await watch.look()
        await watch.look()
        assert len(asked) == 1


async def test_what_the_source_no_longer_keeps_is_given_up(database: Database, bus: Bus) -> None:
    asked = 0

    async def ask_again(_source: str, _first: int, _last: int) -> None:
        nonlocal asked
        asked += 1
        raise NotFoundError("no longer kept")

    watch = GapWatch(database, DURABLE, ask_again)
    async with consuming(bus, database, subscription(Ledger(), Policy(fetch_s=0.5, notice_gaps=ask_again))):
        await tell(bus, "5", first=5)
        await until(lambda: all_settled(bus))
        for _ in range(4):
            await watch.look()

    assert asked == 1
