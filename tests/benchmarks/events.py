"""Row c: from a commit to JetStream's acknowledgement, against a bare publisher on the same server."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.protobuf.wrappers_pb2 import StringValue
from nats.aio.client import Client
from nats.aio.msg import Msg
from sqlalchemy import Connection, insert

from benchmarks.figures import Conditions, Figure, Goal, MeasurementFailedError, Row, Timings, at_least
from integration.udckit_core.ledger_service import ENTRIES
from udckit import outbox, subjects
from udckit.bus import Bus, BusSettings, connected
from udckit.database import Database, opened
from udckit.envelope import OutgoingEvent, headers_of, outgoing
from udckit.relay import Producer, relaying
from udckit.testing import NatsServer, PostgreSQL
from udckit.topology import provision

WRITERS = 8
IN_FLIGHT = 256
BODY_BYTES = 512
LEDGER = Producer(source="/services/ledger", region="r77")
MIGRATIONS = "integration.udckit_core.ledger_service.migrations"
PATIENCE_S = 60.0
LOOK_S = 0.002
ENTER = insert(ENTRIES)
SYNC_SETTINGS = {
    "sqlite": ("PRAGMA", ("journal_mode", "synchronous")),
    "postgresql": ("SHOW", ("fsync", "synchronous_commit", "wal_sync_method")),
}
GOALS = {"PostgreSQL": at_least(0.8), "SQLite": at_least(1.5)}


async def measure(conditions: Conditions) -> list[Row]:
    """Measure events through either database."""
    count = 800 if conditions.is_quick else 4000
    timings = Timings()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="udc-bench-")))
        await asyncio.to_thread(folder.chmod, 0o711)  # PostgreSQL runs as another user
        server = await stack.enter_async_context(NatsServer(folder / "nats"))
        bus = await stack.enter_async_context(connected(BusSettings(servers=[server.url], name="bench")))
        await provision(bus, pools=["cpu"])
        cluster = await stack.enter_async_context(PostgreSQL(folder / "postgresql"))
        urls = {
            "PostgreSQL": await cluster.create_database("bench"),
            "SQLite": f"sqlite:///{folder}/bench.db",
        }
        databases = {
            name: await stack.enter_async_context(opened(url, migrations=MIGRATIONS)) for name, url in urls.items()
        }
        settings = [await _settings(database) for database in databases.values()]
        bare = await stack.enter_async_context(_bare_publisher(bus.nc))
        for number in range(conditions.rounds + 1):
            took = {"bare": await _publish(bare, number, count)}
            for name, database in databases.items():
                committed, acked = await _announce(database, bus, number, count)
                took |= {name: acked, f"{name} committed": committed}
            if number > 0:  # the first round warms up
                for name, seconds in took.items():
                    timings.add(name, seconds)
    return [
        Row(
            title="c. events from the commit to the acknowledgement",
            settings=[
                f"{count} events of {BODY_BYTES} bytes, {WRITERS} writers that each wait for their commit",
                "nats-server with sync_interval: always; one connection, one machine, one disk",
                *settings,
                f"bare publisher: nats-py, {IN_FLIGHT} in flight, the same headers and bodies",
            ],
            figures=[
                *(_against(timings, name, goal) for name, goal in GOALS.items()),
                Figure(what="bare publisher", unit="events/s", values=timings.rates("bare", count)),
                *(
                    Figure(what=f"{name}, {until}", unit="events/s", values=timings.rates(key, count))
                    for name in GOALS
                    for until, key in (("acknowledged", name), ("committed", f"{name} committed"))
                ),
            ],
        )
    ]


def _against(timings: Timings, name: str, goal: Goal) -> Figure:
    return Figure(
        what=f"speed against the bare publisher, {name}",
        unit="×",
        values=timings.speed_against(name, "bare"),
        goal=goal,
    )


async def _settings(database: Database) -> str:
    def ask(connection: Connection) -> str:
        ask_for, names = SYNC_SETTINGS[database.dialect]
        values = [connection.exec_driver_sql(f"{ask_for} {name}").scalar_one() for name in names]
        return ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))

    described = await database.transact(ask)
    return f"{database.dialect}: {described}" + (" (2 is FULL)" if database.dialect == "sqlite" else "")


def _event(source: str, round_number: int, number: int) -> OutgoingEvent:
    entry = f"{source}-{round_number}-{number}"
    return outgoing(
        StringValue(value=entry.ljust(BODY_BYTES, ".")),
        key=entry,
        subject=subjects.RESULT_ACCEPTED,
        about=f"entries/{entry}",
        occurred_at=datetime.now(UTC),
    )


async def _announce(database: Database, bus: Bus, round_number: int, count: int) -> tuple[float, float]:
    """Return the seconds until everything is committed, and until everything is acknowledged."""
    before = await _stored(bus)
    numbers = iter(range(count))

    async def write() -> None:
        for number in numbers:  # shared by all writers
            event = _event(database.dialect, round_number, number)

            def book(connection: Connection, event: OutgoingEvent = event) -> None:
                connection.execute(ENTER, {"id": event.about, "amount": 1})
                outbox.announce(connection, event)

            await database.transact(book)

    async with relaying(database, bus, LEDGER):
        await asyncio.sleep(0.5)  # the relay has its lease now
        began = time.perf_counter()
        await asyncio.gather(*(write() for _ in range(WRITERS)))
        committed = time.perf_counter() - began
        async with asyncio.timeout(PATIENCE_S):
            while await database.read(outbox.is_waiting):  # noqa: ASYNC110 - the relay tells nobody
                await asyncio.sleep(LOOK_S)
        acked = time.perf_counter() - began
    if (stored := await _stored(bus) - before) != count:
        raise MeasurementFailedError(f"{stored} events of {count} are in the stream")
    return committed, acked


async def _stored(bus: Bus) -> int:
    return int((await bus.js.stream_info(subjects.STREAM_EVENTS)).state.messages)


@dataclass(slots=True)
class _BarePublisher:
    """Publishes with many messages in flight and nothing else: no deadline, no reconnection, no reading of errors."""

    nc: Client
    inbox: str
    slots: asyncio.Semaphore
    refused: int = 0

    async def answered(self, answer: Msg) -> None:
        self.refused += b'"error"' in answer.data
        self.slots.release()

    async def publish(self, subject: str, body: bytes, headers: dict[str, Any]) -> None:
        await self.slots.acquire()
        await self.nc.publish(subject, body, reply=self.inbox, headers=headers)

    async def until_acked(self) -> None:
        for _ in range(IN_FLIGHT):
            await self.slots.acquire()
        for _ in range(IN_FLIGHT):
            self.slots.release()


@asynccontextmanager
async def _bare_publisher(nc: Client) -> AsyncIterator[_BarePublisher]:
    publisher = _BarePublisher(nc, nc.new_inbox(), asyncio.Semaphore(IN_FLIGHT))
    subscription = await nc.subscribe(publisher.inbox, cb=publisher.answered)
    yield publisher
    await subscription.unsubscribe()


async def _publish(publisher: _BarePublisher, round_number: int, count: int) -> float:
    prepared = []
    for number in range(count):
        event = _event("bare", round_number, number)
        headers = headers_of(event, source=LEDGER.source, region=LEDGER.region, sequence=number + 1, trace={})
        prepared.append((event.subject, event.body, headers))
    began = time.perf_counter()
    async with asyncio.timeout(PATIENCE_S):
        for subject, body, headers in prepared:
            await publisher.publish(subject, body, headers)
        await publisher.until_acked()
    took = time.perf_counter() - began
    if publisher.refused:
        raise MeasurementFailedError(f"the server refused {publisher.refused} messages")
    return took
