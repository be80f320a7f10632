"""A process that is killed at the worst moment has neither lost nor doubled anything when it is back."""

import asyncio
import os
import signal
import sys

import pytest
from nats.js.api import ConsumerConfig

from integration.udckit_core.ledger_service.facts import entries
from integration.udckit_core.waiting import stored_messages
from udckit import subjects
from udckit.bus import Bus
from udckit.database import opened
from udckit.testing import NatsServer

pytestmark = [pytest.mark.connected, pytest.mark.faults]

COUNT = 40


async def run(database_url: str, nats_url: str, *, crash_at: str | None) -> int:
    """Run the ledger until it ends or dies; return its exit code."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("UDC_CRASH_AT", None)
    if crash_at is not None:
        environment["UDC_CRASH_AT"] = crash_at
    ledger = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "integration.udckit_core.ledger_service"),
        *(database_url, nats_url, str(COUNT)),
        env=environment,
    )
    try:
        return await asyncio.wait_for(ledger.wait(), 60)
    finally:
        if ledger.returncode is None:
            ledger.kill()
            await ledger.wait()


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
    durable = (await bus.js.consumer_info(subjects.STREAM_EVENTS, subjects.DURABLE_ARCHIVER_RESULTS)).config
    patient_for_a_second: ConsumerConfig = durable.evolve(ack_wait=1.0)
    await bus.js.add_consumer(subjects.STREAM_EVENTS, patient_for_a_second)

    assert await run(database_url, nats_server.url, crash_at=point) == -signal.SIGKILL
    assert await run(database_url, nats_server.url, crash_at=None) == 0

    names = [f"entry-{number:03}" for number in range(COUNT)]
    async with opened(database_url) as database:
        assert await database.read(entries) == names + [f"heard:{name}" for name in names]
    told = [headers for _, headers in await stored_messages(bus, subjects.STREAM_EVENTS)]
    assert sorted(int(headers["ce-udcseq"]) for headers in told) == list(range(1, COUNT + 1))
    assert {headers["ce-subject"] for headers in told} == {f"entries/{name}" for name in names}
