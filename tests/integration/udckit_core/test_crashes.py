"""A process that is killed at the worst moment has neither lost nor doubled anything when it is back."""

import asyncio
import os
import signal
import sys

import pytest
from nats.js.api import ConsumerConfig

from integration.udckit_core.ledger_service.facts import doubled, entries
from integration.udckit_core.ledger_service.sabotage import BETWEEN
from integration.udckit_core.waiting import stored_messages
from udckit import subjects
from udckit.bus import Bus
from udckit.database import opened
from udckit.testing import NatsServer

pytestmark = [pytest.mark.connected, pytest.mark.faults]

COUNT = 40


async def run(database_url: str, nats_url: str, *, crash_at: str | None, without: str = "") -> int:
    """Run the ledger, perhaps without one of its guarantees, until it ends or dies; return its exit code."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("UDC_CRASH_AT", None)
    if crash_at is not None:
        environment["UDC_CRASH_AT"] = crash_at
    ledger = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "integration.udckit_core.ledger_service"),
        *(database_url, nats_url, str(COUNT), without),
        env=environment,
    )
    try:
        return await asyncio.wait_for(ledger.wait(), 60)
    finally:
        if ledger.returncode is None:
            ledger.kill()
            await ledger.wait()


async def redeliver_after_a_second(bus: Bus) -> None:
    """Let the broker not wait for half a minute until it delivers again what a dead process had."""
    durable = (await bus.js.consumer_info(subjects.STREAM_EVENTS, subjects.DURABLE_ARCHIVER_RESULTS)).config
    patient_for_a_second: ConsumerConfig = durable.evolve(ack_wait=1.0)
    await bus.js.add_consumer(subjects.STREAM_EVENTS, patient_for_a_second)


@pytest.mark.parametrize(
    "point",
    [
        "database.before_commit:9",
        "database.after_commit:9",
        "relay.after_number:2",
        "relay.after_publish:2",
        "consumer.before_effect:5",
        "consumer.after_commit:5",
        "consumer.after_ack:5",
    ],
)
async def test_nothing_is_lost_or_doubled(database_url: str, bus: Bus, nats_server: NatsServer, point: str) -> None:
    await redeliver_after_a_second(bus)

    assert await run(database_url, nats_server.url, crash_at=point) == -signal.SIGKILL
    assert await run(database_url, nats_server.url, crash_at=None) == 0

    names = [f"entry-{number:03}" for number in range(COUNT)]
    async with opened(database_url) as database:
        assert await database.read(entries) == names + [f"heard:{name}" for name in names]
        assert await database.read(doubled) == []
    told = [headers for _, headers in await stored_messages(bus, subjects.STREAM_EVENTS)]
    assert sorted(int(headers["ce-udcseq"]) for headers in told) == list(range(1, COUNT + 1))
    assert {headers["ce-subject"] for headers in told} == {f"entries/{name}" for name in names}


async def test_without_the_inbox_something_is_doubled(database_url: str, bus: Bus, nats_server: NatsServer) -> None:
    """The control: a crash between commit and acknowledgement shows when the consumer does not remember."""
    await redeliver_after_a_second(bus)

    crashed = await run(database_url, nats_server.url, crash_at="consumer.after_commit:5", without="inbox")
    await run(database_url, nats_server.url, crash_at=None, without="inbox")

    assert crashed == -signal.SIGKILL
    async with opened(database_url) as database:
        assert await database.read(doubled) != []


async def test_without_the_outbox_something_is_lost(database_url: str, bus: Bus, nats_server: NatsServer) -> None:
    """The control: a crash between commit and publishing shows when the event is not part of the transaction."""
    await redeliver_after_a_second(bus)

    crashed = await run(database_url, nats_server.url, crash_at=f"{BETWEEN}:9", without="outbox")
    await run(database_url, nats_server.url, crash_at=None, without="outbox")

    assert crashed == -signal.SIGKILL
    async with opened(database_url) as database:
        known = await database.read(entries)
    assert {f"heard:{name}" for name in known if not name.startswith("heard:")} - set(known) != set()
