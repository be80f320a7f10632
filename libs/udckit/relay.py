"""The relay: publishes what the outbox holds, in order, numbered without gaps, as often as it takes."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from uuid import uuid4

import structlog
from sqlalchemy import Connection

from udckit import crash, inbox, outbox, roles, telemetry
from udckit.bus import Bus
from udckit.database import Database
from udckit.envelope import HEADER_MESSAGE_ID, headers_of
from udckit.errors import PASSING, ServiceError
from udckit.outbox import Announcement
from udckit.publisher import Message, Publisher, PublishRefusedError, publishing
from udckit.roles import Lease, LostLeaseError

log: Final = structlog.get_logger()

ROLE: Final = "relay"
BATCH: Final = 256
POLL_S: Final = 0.5
"""Other replicas' events are found by looking; this process's own wake the relay."""

_PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
_HOUSEKEEPING_S: Final = 3600.0
_CHUNKS: Final = 40

KEPT_FOR: Final = timedelta(days=30)
"""How long a published event can be published again, and how long an event is remembered as handled."""

_published: Final = telemetry.meter().create_counter("udc.outbox.published", unit="{event}")
_stalls: Final = telemetry.meter().create_counter("udc.outbox.stalls", unit="{stall}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Producer:
    """Who speaks.

    Attributes:
        source: ``ce-source`` such as ``/services/study-router``; what the numbers belong to.
        region: Region code.
    """

    source: str
    region: str


class Relay:
    """Publishes one database's outbox; made by ``relaying``.

    Attributes:
        stalled_by: Reason of the error that keeps events from being published now, or None.
    """

    def __init__(self, database: Database, publisher: Publisher, producer: Producer, *, kept_for: timedelta) -> None:
        self.stalled_by: str | None = None
        self._database = database
        self._publisher = publisher
        self._producer = producer
        self._kept_for = kept_for
        self._woken = asyncio.Event()

    @property
    def source(self) -> str:
        """What the numbers belong to: ``ce-source`` of the events."""
        return self._producer.source

    def wake(self) -> None:
        """Look for new events now."""
        self._woken.set()

    async def republish(self, first: int, last: int) -> int:
        """Publish the events numbered ``first`` to ``last`` once more, for consumers that missed them.

        They keep their event ids, by which consumers recognise what they have, and get new message ids, because
        JetStream would drop what it remembers.

        Returns:
            How many were published.

        Raises:
            NotFoundError: some have not been published yet, or are no longer kept.
            StreamFullError: the stream is full.
            UpstreamUnavailableError: the database or NATS is away.
        """
        await self._database.read(lambda connection: outbox.require_kept(connection, first=first, last=last))
        again = uuid4().hex
        for start in range(first, last + 1, BATCH):
            end = min(start + BATCH - 1, last)
            batch = await self._database.read(partial(outbox.between, first=start, last=end, count=BATCH))
            await self._publish_singly([self._message(announcement, suffix=f":{again}") for announcement in batch])
        return last - first + 1

    async def run(self, lease: Lease) -> None:
        """Publish for as long as the lease is ours; never returns."""
        failures = 0
        published: int | None = None
        cleans_at = 0.0
        while True:
            self._woken.clear()
            try:
                if time.monotonic() >= cleans_at:
                    await self._keep_house(lease)
                    cleans_at = time.monotonic() + _HOUSEKEEPING_S
                published = await self._relay_batch(lease, published)
            except LostLeaseError:
                raise
            except ServiceError as error:
                published = None
                self._stall(error)
                await asyncio.sleep(_PAUSES_S[min(failures, len(_PAUSES_S) - 1)])
                failures += 1
                continue
            self.stalled_by = None
            failures = 0
            if published is None:
                await self._wait_for_work()

    async def _relay_batch(self, lease: Lease, published: int | None) -> int | None:
        """Publish what comes after ``published``; return its last number, or None when there is nothing to do."""
        if published is None and not await self._database.read(outbox.is_waiting):
            return None
        batch = await self._database.transact(lambda connection: self._take(connection, lease, published))
        if not batch:
            return None
        crash.point("relay.after_number")
        await self._publish(batch)
        crash.point("relay.after_publish")
        _published.add(len(batch))
        return batch[-1].sequence

    def _stall(self, error: ServiceError) -> None:
        """Nothing is lost: the events stay where they are, and work goes on."""
        self.stalled_by = error.reason
        _stalls.add(1)
        level = log.warning if error.kind in PASSING else log.error
        level("relay.stalled", reason=error.reason, error=error.message, facts=error.facts)

    async def _keep_house(self, lease: Lease) -> None:
        """Delete what is older than it is kept, a limited amount at a time."""
        older_than = datetime.now(UTC) - self._kept_for

        def prune(connection: Connection) -> int:
            roles.guard(connection, lease)
            return outbox.prune(connection, older_than=older_than) + inbox.prune(connection, older_than=older_than)

        for _ in range(_CHUNKS):
            if await self._database.transact(prune) == 0:
                return

    def _take(self, connection: Connection, lease: Lease, published: int | None) -> Sequence[Announcement]:
        roles.guard(connection, lease)
        return outbox.take(connection, published=published, count=BATCH)

    async def _wait_for_work(self) -> None:
        try:
            async with asyncio.timeout(POLL_S):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _publish(self, batch: Sequence[Announcement]) -> None:
        messages = [self._message(announcement) for announcement in batch]
        try:
            await self._publisher.publish_atomically(messages)
        except PublishRefusedError as error:
            # Usually because one of them is known already: a relay died between publishing and moving its cursor.
            log.info("relay.batch_refused", size=len(messages), facts=error.facts)
            await self._publish_singly(messages)

    async def _publish_singly(self, messages: Sequence[Message]) -> None:
        results = await asyncio.gather(
            *(self._publisher.publish(message) for message in messages), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def _message(self, announcement: Announcement, *, suffix: str = "") -> Message:
        headers = headers_of(
            announcement.event,
            source=self._producer.source,
            region=self._producer.region,
            sequence=announcement.sequence,
            trace=announcement.trace,
        )
        headers[HEADER_MESSAGE_ID] += suffix
        return Message(subject=announcement.event.subject, headers=headers, body=announcement.event.body)


@asynccontextmanager
async def relaying(
    database: Database, bus: Bus, producer: Producer, *, kept_for: timedelta = KEPT_FOR, lease_s: float = roles.LEASE_S
) -> AsyncIterator[Relay]:
    """Relay ``database``'s outbox while the block runs, whenever this process holds the role ``relay``.

    Args:
        database: With the tables of ``udckit.plumbing_tables``.
        bus: Where to publish.
        producer: Who speaks.
        kept_for: How long published events and the memory of handled ones are kept.
        lease_s: How long a process that vanished keeps others from relaying.
    """
    async with publishing(bus) as publisher:
        relay = Relay(database, publisher, producer, kept_for=kept_for)
        stop_listening = database.listen(relay.wake)
        try:
            async with roles.holding(database, ROLE, relay.run, lease_s=lease_s):
                yield relay
        finally:
            stop_listening()
