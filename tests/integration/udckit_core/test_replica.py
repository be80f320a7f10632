"""Readers of a replicated table know what its writer wrote, or that they cannot know."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from integration.udckit_core.waiting import until
from udckit import subjects
from udckit.bus import Bus
from udckit.errors import InvalidRequestError, Kind
from udckit.replica import Replica, ReplicaRow, ReplicaWriter, StaleReplicaError, replica_writer, replicating
from udckit.testing import NatsServer

pytestmark = pytest.mark.connected

BUCKET = subjects.BUCKET_REGISTRY


def row(key: str, revision: int, body: bytes | None) -> ReplicaRow:
    return ReplicaRow(key=key, revision=revision, body=body)


@asynccontextmanager
async def beating(writer: ReplicaWriter) -> AsyncIterator[None]:
    async def nothing_pending() -> Sequence[ReplicaRow]:
        return ()

    async def nothing_written(_: Sequence[ReplicaRow]) -> None:
        """Never called."""

    async def keep() -> None:
        while True:
            try:
                await writer.keep_written(nothing_pending, nothing_written, woken=asyncio.Event(), every_s=0.2)
            except Exception:  # noqa: BLE001 the server is killed on purpose
                await asyncio.sleep(0.1)

    task = asyncio.create_task(keep())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
async def writer(bus: Bus) -> AsyncIterator[ReplicaWriter]:
    async with replica_writer(bus, BUCKET) as writer:
        yield writer


@pytest.fixture
async def replica(bus: Bus) -> AsyncIterator[Replica]:
    async with replicating(bus, BUCKET) as replica:
        yield replica


async def fresh(replica: Replica) -> None:
    await until(lambda: not replica.is_stale)


async def test_a_reader_knows_the_rows_from_before_and_from_now(bus: Bus, writer: ReplicaWriter) -> None:
    await writer.put(row("devices/a", 1, b"before"))
    async with beating(writer), replicating(bus, BUCKET) as replica:
        await fresh(replica)
        assert replica.get("devices/a") == b"before"
        await writer.put(row("devices/a", 2, b"now"))
        await writer.put(row("sites/b", 1, b"b"))
        await until(lambda: replica.get("sites/b") == b"b")
        assert replica.get("devices/a") == b"now"
        assert replica.items("devices/") == {"devices/a": b"now"}
        assert replica.get("devices/none") is None


async def test_a_lower_revision_never_replaces_a_higher(writer: ReplicaWriter, replica: Replica) -> None:
    assert await writer.put(row("a", 5, b"five")) is True
    assert await writer.put(row("a", 4, b"four")) is False
    assert await writer.put(row("a", 5, b"another five")) is False

    async with beating(writer):
        await fresh(replica)
        assert replica.get("a") == b"five"


async def test_a_deleted_row_stays_deleted(writer: ReplicaWriter, replica: Replica) -> None:
    await writer.put(row("a", 1, b"one"))
    await writer.put(row("a", 2, None))
    assert await writer.put(row("a", 1, b"one")) is False

    async with beating(writer):
        await fresh(replica)
        assert replica.get("a") is None
        assert replica.items() == {}


async def test_many_writers_leave_the_highest_revision(writer: ReplicaWriter, replica: Replica) -> None:
    await asyncio.gather(*(writer.put(row("a", revision, str(revision).encode())) for revision in (3, 1, 5, 2, 4)))
    async with beating(writer):
        await fresh(replica)
        await until(lambda: replica.get("a") == b"5")


async def test_without_a_sign_of_life_there_is_no_answer(writer: ReplicaWriter, replica: Replica) -> None:
    await writer.put(row("a", 1, b"one"))
    with pytest.raises(StaleReplicaError) as refusal:
        replica.get("a")
    assert refusal.value.kind is Kind.UNAVAILABLE

    async with beating(writer):
        await fresh(replica)
        assert replica.get("a") == b"one"
    await until(lambda: replica.is_stale, within_s=4)
    with pytest.raises(StaleReplicaError):
        replica.items()


async def test_a_sign_of_life_from_the_past_does_not_count(bus: Bus, writer: ReplicaWriter) -> None:
    await writer.beat()
    async with replicating(bus, BUCKET) as replica:
        await asyncio.sleep(1)
        assert replica.is_stale


async def test_a_change_is_known_within_a_fraction_of_a_second(writer: ReplicaWriter, replica: Replica) -> None:
    changes: list[ReplicaRow] = []
    replica.listen(changes.append)
    async with beating(writer):
        await fresh(replica)
        begun = time.monotonic()
        await writer.put(row("kill/a", 1, b"stop"))
        await until(lambda: bool(changes))
        assert time.monotonic() - begun < 0.5


async def test_what_is_pending_is_written_before_the_writer_says_it_lives(
    writer: ReplicaWriter, replica: Replica
) -> None:
    pending = [row("a", 1, b"one"), row("b", 1, b"two")]
    noted: list[ReplicaRow] = []

    async def take() -> Sequence[ReplicaRow]:
        return tuple(pending)

    async def note(rows: Sequence[ReplicaRow]) -> None:
        noted.extend(rows)
        pending.clear()

    task = asyncio.create_task(writer.keep_written(take, note, woken=asyncio.Event(), every_s=0.2))
    await fresh(replica)
    task.cancel()

    assert [one.key for one in noted] == ["a", "b"]
    assert replica.items() == {"a": b"one", "b": b"two"}


async def test_the_sign_of_life_has_a_key_of_its_own(writer: ReplicaWriter) -> None:
    with pytest.raises(InvalidRequestError):
        await writer.put(row("heartbeat", 1, b""))


@pytest.mark.faults
async def test_a_restart_of_nats_makes_the_copy_stale_and_then_fresh_at_once(
    nats_server: NatsServer, writer: ReplicaWriter, replica: Replica
) -> None:
    async with beating(writer):
        await writer.put(row("a", 1, b"one"))
        await fresh(replica)
        nats_server.kill()
        await until(lambda: replica.is_stale)
        await nats_server.start()
        begun = time.monotonic()
        await fresh(replica)
        assert time.monotonic() - begun < 4
        await writer.put(row("a", 2, b"two"))
        await until(lambda: replica.get("a") == b"two", within_s=1)
