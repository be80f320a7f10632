"""Publishes to JetStream with many messages in flight, and never leaves a caller waiting for ever.

The client's own ``publish_async`` loses refusals and never completes after a lost connection.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import nats.errors
from nats.aio.msg import Msg

from udckit.bus import Bus
from udckit.errors import InternalError, OverloadedError, ServiceError, TimedOutError, UpstreamUnavailableError

IN_FLIGHT: Final = 256
"""More brings nothing: the server's fsync is the limit."""

DEADLINE_S: Final = 5.0

STREAM_FULL: Final = 10077
DUPLICATE_IN_BATCH: Final = 10201


class StreamFullError(OverloadedError):
    """The stream has reached its size and keeps what it has; nothing was stored."""

    reason = "STREAM_FULL"


class PublishRefusedError(InternalError):
    """The server refused the message for what it is: its size, its headers or the set-up of the stream.

    The fact ``code`` is JetStream's error code.
    """

    reason = "PUBLISH_REFUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is published: subject, headers (``Nats-Msg-Id`` among them) and body."""

    subject: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """JetStream's word that a message is stored, or had been before.

    Attributes:
        sequence: Its number in the stream.
        is_duplicate: Whether a message of the same id was there already.
    """

    sequence: int
    is_duplicate: bool


class Publisher:
    """Publishes on one bus; made by ``publishing``."""

    def __init__(self, bus: Bus, *, deadline_s: float, in_flight: int) -> None:
        self._bus = bus
        self._deadline_s = deadline_s
        self._slots = asyncio.Semaphore(in_flight)
        self._prefix: Final = bus.nc.new_inbox()
        self._waiting: dict[str, asyncio.Future[Stored]] = {}
        self._next = 0

    @property
    def inbox(self) -> str:
        """Return the subject on which all answers arrive."""
        return f"{self._prefix}.*"

    async def publish(self, message: Message) -> Stored:
        """Publish ``message`` and return when it is stored; waits while ``in_flight`` others are under way.

        Raises:
            PublishRefusedError: the server refuses it for what it is.
            StreamFullError: the stream is full.
            TimedOutError: no answer in time; it may be stored.
            UpstreamUnavailableError: no connection, or no stream takes the subject.
        """
        async with self._slots:
            return await self._request(message, message.headers)

    async def publish_atomically(self, messages: Sequence[Message]) -> Stored:
        """Publish all of ``messages`` (at most 1,000) or none, and return the answer for the last.

        Costs the server a few fsyncs in all instead of one each.

        Raises:
            PublishRefusedError: the server refuses the batch; with the code ``DUPLICATE_IN_BATCH`` because it knows the
                id of one of them.
            StreamFullError: the stream is full.
            TimedOutError: no answer in time; they may be stored.
            UpstreamUnavailableError: no connection, or no stream takes the subject.
        """
        batch = uuid.uuid4().hex
        async with self._slots:
            self._require_connection()
            for number, message in enumerate(messages[:-1], start=1):
                headers = {**message.headers, "Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
                await self._send(message, headers, reply="")
            last = {
                **messages[-1].headers,
                "Nats-Batch-Id": batch,
                "Nats-Batch-Sequence": str(len(messages)),
                "Nats-Batch-Commit": "1",
            }
            return await self._request(messages[-1], last)

    async def answered(self, answer: Msg) -> None:
        """Complete the publish that ``answer`` belongs to."""
        future = self._waiting.get(answer.subject.rpartition(".")[2])
        if future is None or future.done():
            return  # came after its deadline
        try:
            future.set_result(_stored(answer))
        except ServiceError as error:
            future.set_exception(error)

    async def fail_all(self) -> None:
        """Fail every publish that waits: what was in flight when the connection broke is never answered."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(UpstreamUnavailableError("the connection to NATS was lost"))

    async def _request(self, message: Message, headers: Mapping[str, str]) -> Stored:
        self._require_connection()
        self._next += 1
        token = str(self._next)
        future: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self._waiting[token] = future
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._send(message, headers, reply=f"{self._prefix}.{token}")
                return await future
        except TimeoutError as error:
            raise TimedOutError(
                f"JetStream did not answer within {self._deadline_s:g} s", subject=message.subject
            ) from error
        finally:
            del self._waiting[token]
            if future.done() and not future.cancelled():
                future.exception()  # retrieved, also when the timeout won

    async def _send(self, message: Message, headers: Mapping[str, str], *, reply: str) -> None:
        try:
            await self._bus.nc.publish(message.subject, message.body, reply=reply, headers=dict(headers))
        except nats.errors.MaxPayloadError as error:
            raise PublishRefusedError(
                f"a message of {len(message.body)} bytes is larger than the server takes", subject=message.subject
            ) from error
        except nats.errors.Error as error:
            raise UpstreamUnavailableError("there is no connection to NATS") from error

    def _require_connection(self) -> None:
        # Without a connection the client would keep the message and send it later, when nobody waits for it any more.
        if not self._bus.nc.is_connected:
            raise UpstreamUnavailableError("there is no connection to NATS")


def _stored(answer: Msg) -> Stored:
    if answer.headers is not None and answer.headers.get("Status") == "503":
        raise UpstreamUnavailableError("no stream takes this subject, or JetStream is starting")
    told = json.loads(answer.data)
    refusal = told.get("error")
    if refusal is None:
        return Stored(sequence=told["seq"], is_duplicate=told.get("duplicate", False))
    code, description = refusal.get("err_code", 0), refusal.get("description", "")
    if code == STREAM_FULL:
        raise StreamFullError(f"the stream is full: {description}", code=code)
    if refusal.get("code") == 503:
        raise UpstreamUnavailableError(f"JetStream cannot store now: {description}", code=code)
    raise PublishRefusedError(f"JetStream refused a message: {description}", code=code)


@asynccontextmanager
async def publishing(
    bus: Bus, *, deadline_s: float = DEADLINE_S, in_flight: int = IN_FLIGHT
) -> AsyncIterator[Publisher]:
    """Publish on ``bus`` while the block runs.

    Args:
        bus: The connection.
        deadline_s: How long one publish may wait for its answer.
        in_flight: How many may wait at once; more callers queue.
    """
    publisher = Publisher(bus, deadline_s=deadline_s, in_flight=in_flight)
    subscription = await bus.nc.subscribe(publisher.inbox, cb=publisher.answered)
    stop_listening = bus.on_disconnect(publisher.fail_all)
    try:
        yield publisher
    finally:
        stop_listening()
        await publisher.fail_all()
        if not bus.nc.is_closed:
            await subscription.unsubscribe()
