"""Takes messages from a durable consumer and settles each exactly as its handling went."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import APIError
from opentelemetry.trace import SpanKind, StatusCode

from udckit import crash, envelope, inbox, telemetry
from udckit.bus import Bus
from udckit.consumer.breaker import Breaker
from udckit.consumer.burial import Undertaker
from udckit.consumer.contract import Settlement, Subscription
from udckit.consumer.gaps import GapWatch
from udckit.consumer.replay import Replayer
from udckit.consumer.work import Failure, Worker, in_inbox
from udckit.database import Database
from udckit.envelope import HEADER_ID, Event
from udckit.errors import InvalidRequestError, ServiceError
from udckit.publisher import publishing
from udckit.tasks import ended, is_asked_to_end

log: Final = structlog.get_logger()

_AGAIN_S: Final = 0.5
"""Well before whoever ends the consumer asks it again."""

_REPAIR_S: Final = 1.0
"""Pause after a fetch that failed for another reason than having found nothing."""

_SUBJECT_TOKENS: Final = 5
"""``udc.events.v1.<entity>.<past-tense>``; what follows are routing tokens, too many to name a span after."""

_events: Final = telemetry.meter().create_counter("udc.consumer.events", unit="{event}")


class Consumer:
    """The running loop of one subscription; made by ``consuming``.

    Attributes:
        stalled_by: Why nothing can be fetched now (the durable is missing, NATS is away), or None.
    """

    def __init__(self, bus: Bus, subscription: Subscription, database: Database, undertaker: Undertaker) -> None:
        policy = subscription.policy
        self.stalled_by: str | None = None
        self._bus = bus
        self._subscription = subscription
        self._policy = policy
        self._database = database
        self._breaker = Breaker(subscription.durable, shortest_s=policy.probe_s[0], longest_s=policy.probe_s[1])
        self._worker = Worker(database, subscription)
        self._undertaker = undertaker
        self._in_flight: dict[asyncio.Task[None], Msg] = {}
        self._event_ids: set[str] = set()
        self._freed = asyncio.Event()

    @property
    def breaker_open(self) -> bool:
        """Whether a dependency is away, so that nothing is fetched; for readiness."""
        return self._breaker.is_open

    @property
    def breaker_reason(self) -> str | None:
        """Reason of the error that opened the breaker, or None while it is closed."""
        return self._breaker.reason

    async def run(self) -> None:
        """Take work until cancelled."""
        replayer = Replayer(self._database, self._subscription, self._worker, self._undertaker)
        loops = [self._take_for_ever, self._beat_for_ever, replayer.run]
        if self._policy.notice_gaps is not None:
            loops.append(GapWatch(self._database, self._subscription.durable, self._policy.notice_gaps).run)
        tasks = [asyncio.create_task(self._keep_running(loop)) for loop in loops]
        try:
            await asyncio.wait(tasks)
        finally:
            # A task group asks its members to end only once, and one of them may not hear it: see ``ended``.
            await ended(*tasks, again_s=_AGAIN_S)

    async def _keep_running(self, loop: Callable[[], Awaitable[None]]) -> None:
        """A bug in a loop is shown and ends neither it nor the others: its messages come again."""
        while True:
            try:
                await loop()
            except (Exception, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and is_asked_to_end():
                    raise
                self.stalled_by = type(error).__qualname__
                log.exception("consumer.crashed", consumer=self._subscription.durable)
            await asyncio.sleep(_REPAIR_S)

    async def _take_for_ever(self) -> None:
        pulling = await self._bus.js.pull_subscribe_bind(
            durable=self._subscription.durable, stream=self._subscription.stream
        )
        try:
            while True:
                await self._take(pulling)
        finally:
            if not self._bus.nc.is_closed:
                await pulling.unsubscribe()

    async def _take(self, pulling: JetStreamContext.PullSubscription) -> None:
        """Fetch what there is room for and begin to work on it."""
        if self._breaker.is_open:
            await self._breaker.probe_due()
            room = 1
        else:
            room = await self._room()
        messages = await self._fetch(pulling, min(room, self._policy.batch))
        if not messages:
            return
        try:
            settled = await self._settled_before(messages)
        except ServiceError as error:  # the database is away: nobody can say what is done with
            self._breaker.trip(error.reason, by_probe=self._breaker.is_open)
            for message in messages:
                await self._nak(message, self._breaker.pause_s)
            return
        if self._breaker.is_open:
            probe, *rest = messages
            for message in rest:
                await self._nak(message, self._breaker.pause_s)
            await asyncio.wait([self._begin(probe, settled, is_probe=True)])
        else:
            for message in messages:
                self._begin(message, settled, is_probe=False)

    async def _room(self) -> int:
        while len(self._in_flight) >= self._policy.concurrency:
            self._freed.clear()
            await self._freed.wait()
        # One group commit frees many places at once, a moment apart.
        await asyncio.sleep(0)
        return self._policy.concurrency - len(self._in_flight)

    async def _fetch(self, pulling: JetStreamContext.PullSubscription, count: int) -> Sequence[Msg]:
        try:
            messages = await pulling.fetch(count, timeout=self._policy.fetch_s)
        except TimeoutError:  # nats.errors.TimeoutError is one: nothing to do
            messages = []
        except (APIError, nats.errors.Error) as error:
            if self.stalled_by is None:
                log.error(  # noqa: TRY400 the type says all, and this repeats for as long as it lasts
                    "consumer.cannot_fetch",
                    consumer=self._subscription.durable,
                    error_type=type(error).__qualname__,
                    error=str(error),
                )
            self.stalled_by = type(error).__qualname__
            await asyncio.sleep(_REPAIR_S)
            return []
        self.stalled_by = None
        return messages

    async def _settled_before(self, messages: Sequence[Msg]) -> frozenset[str]:
        """Return the ids of those events that are done with."""
        event_ids = [_event_id(message) for message in messages]
        return await self._database.read(
            partial(inbox.settled, consumer=self._subscription.durable, event_ids=event_ids)
        )

    def _begin(self, message: Msg, settled: frozenset[str], *, is_probe: bool) -> asyncio.Task[None]:
        # A context of its own: the spans of one message must not become children of another's.
        task = asyncio.create_task(
            self._work_on(message, settled, is_probe=is_probe),
            name=f"event:{self._subscription.durable}",
            context=contextvars.Context(),
        )
        self._in_flight[task] = message
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[None]) -> None:
        del self._in_flight[task]
        self._freed.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("consumer.broken", exc_info=task.exception())  # a bug of this loop: the message comes again

    async def _work_on(self, message: Msg, settled: frozenset[str], *, is_probe: bool) -> None:
        event_id = _event_id(message)
        structlog.contextvars.bind_contextvars(consumer=self._subscription.durable, event_id=event_id)
        if event_id in self._event_ids:
            # The broker gave it up for lost, or it was published twice; its first copy is being worked on.
            await self._nak(message, self._policy.heartbeat_s)
            return
        self._event_ids.add(event_id)
        try:
            await self._settle(message, event_id, is_settled=event_id in settled, is_probe=is_probe)
        finally:
            self._event_ids.discard(event_id)

    async def _settle(self, message: Msg, event_id: str, *, is_settled: bool, is_probe: bool) -> None:
        if is_settled:
            await self._ack(message, "duplicate")
            return
        try:
            event = envelope.parse(message.headers or {}, message.data)
        except InvalidRequestError as error:
            malformed = Failure(Settlement.DEAD_LETTER, "MALFORMED", error.message)
            await self._give_up(message, event_id, None, malformed, attempts=0, is_probe=is_probe)
            return
        if event.type not in self._subscription.handlers and self._policy.notice_gaps is None:
            log.debug("event.unknown", event_type=event.type)
            await self._ack(message, "unknown")
            return
        failure = await self._attempt(message, event)
        if is_probe and (failure is None or failure.settlement is not Settlement.WAIT):
            self._breaker.close()
        if failure is None:
            await self._ack(message, "handled")
            crash.point("consumer.after_ack")
        elif failure.settlement is Settlement.WAIT:
            await self._wait(message, failure, is_probe=is_probe)
        else:
            await self._retry_or_give_up(message, event, failure, is_probe=is_probe)

    async def _attempt(self, message: Msg, event: Event) -> Failure | None:
        template = ".".join(message.subject.split(".")[:_SUBJECT_TOKENS])
        with telemetry.span(
            f"process {template}",
            kind=SpanKind.CONSUMER,
            context=telemetry.remote_context(message.headers),
            attributes={
                "messaging.system": "nats",
                "messaging.operation.type": "process",
                "messaging.destination.template": template,
                "messaging.consumer.group.name": self._subscription.durable,
                "messaging.message.id": event.id,
            },
        ) as span:
            failure = await self._worker.attempt(event, in_inbox(self._subscription, event.id, event))
            if failure is not None:
                span.set_attribute("error.type", failure.reason)
                span.set_status(StatusCode.ERROR)
            return failure

    async def _retry_or_give_up(self, message: Msg, event: Event, failure: Failure, *, is_probe: bool) -> None:
        try:
            attempts = await self._database.transact(
                partial(inbox.count_attempt, consumer=self._subscription.durable, event_id=event.id)
            )
        except ServiceError as error:
            await self._wait(message, _waiting(error), is_probe=is_probe)
            return
        if failure.settlement is Settlement.DEAD_LETTER or attempts > len(self._policy.backoff_s):
            await self._give_up(message, event.id, event, failure, attempts=attempts, is_probe=is_probe)
        else:
            await self._nak(message, self._policy.backoff_s[attempts - 1])
            self._count("retried")

    async def _give_up(
        self, message: Msg, event_id: str, event: Event | None, failure: Failure, *, attempts: int, is_probe: bool
    ) -> None:
        try:
            await self._undertaker.bury(
                event_id=event_id,
                event=event,
                subject=message.subject,
                headers=message.headers or {},
                body=message.data,
                failure=failure,
                attempts=attempts,
            )
        except ServiceError as error:
            await self._wait(message, _waiting(error), is_probe=is_probe)
            return
        await self._tell(message.term)
        self._count("dead")

    async def _wait(self, message: Msg, failure: Failure, *, is_probe: bool) -> None:
        self._breaker.trip(failure.reason, by_probe=is_probe)
        await self._nak(message, self._breaker.pause_s)
        self._count("waiting")

    async def _ack(self, message: Msg, outcome: str) -> None:
        await self._tell(message.ack)
        self._count(outcome)

    async def _nak(self, message: Msg, delay_s: float) -> None:
        await self._tell(partial(message.nak, delay=delay_s))

    async def _tell(self, settle: Callable[[], Awaitable[None]]) -> None:
        """Tell the broker; if it does not hear it, it delivers again, and the inbox knows."""
        try:
            await settle()
        except nats.errors.Error as error:
            log.info("consumer.not_told", error_type=type(error).__qualname__)

    def _count(self, outcome: str) -> None:
        _events.add(1, {"udc.consumer": self._subscription.durable, "udc.outcome": outcome})

    async def _beat_for_ever(self) -> None:
        """Tell the broker that work goes on, so that it does not give it to another replica."""
        while True:
            await asyncio.sleep(self._policy.heartbeat_s)
            for message in tuple(self._in_flight.values()):
                await self._tell(message.in_progress)

    async def drain(self) -> None:
        """Let work that is under way finish for a while; the rest is cancelled and left unsettled for the broker."""
        if not self._in_flight:
            return
        _, unfinished = await asyncio.wait(tuple(self._in_flight), timeout=self._policy.drain_s)
        if unfinished:
            log.warning("consumer.left_unsettled", consumer=self._subscription.durable, count=len(unfinished))
            await ended(*unfinished)


def _event_id(message: Msg) -> str:
    """Return the id of the event in ``message``; one made of its place if the message is no event."""
    metadata = message.metadata
    return (message.headers or {}).get(HEADER_ID) or f"{metadata.stream}:{metadata.sequence.stream}"


def _waiting(error: ServiceError) -> Failure:
    return Failure(Settlement.WAIT, error.reason, error.message)


@asynccontextmanager
async def consuming(bus: Bus, database: Database, subscription: Subscription) -> AsyncIterator[Consumer]:
    """Consume while the block runs.

    At the end no more is fetched, and work that is under way gets ``policy.drain_s`` to finish.

    Args:
        bus: The connection.
        database: Holds the inbox and takes the effects.
        subscription: What to consume and how.
    """
    async with publishing(bus) as publisher:
        consumer = Consumer(bus, subscription, database, Undertaker(database, publisher, subscription))
        running = asyncio.create_task(
            consumer.run(), name=f"consume:{subscription.durable}", context=contextvars.Context()
        )
        try:
            yield consumer
        finally:
            await ended(running)
            await consumer.drain()
