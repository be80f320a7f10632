"""A gRPC channel as the platform uses it: mutual TLS, a deadline on every call, trace context, errors given back.

``Channel`` is handed to generated stubs in the place of ``grpc.aio.Channel``. It is no set of interceptors, because
those of grpc.aio do not see the errors of streams, and it makes the connection anew when the certificate is renewed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Self

import structlog
from grpc import aio
from opentelemetry.trace import SpanKind

from udckit import deadline, telemetry
from udckit.errors import InvalidRequestError, UpstreamUnavailableError
from udckit.grpc_errors import raised_by
from udckit.security.tls import Stamp, Tls

TIMEOUT_S: Final = 10.0
"""Deadline of a call with one answer, unless the caller or the call being served allows less."""
STREAM_TIMEOUT_S: Final = 3600.0
"""Deadline of a call whose answer is a stream; whoever needs it longer asks again."""

_CLOSING_GRACE_S: Final = 60.0
_OPTIONS: Final = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # The default grows to two minutes: far too long to notice that a service is back.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Whatever its name says: how long one attempt at a connection may take, TLS included. A busy service needs seconds.
    ("grpc.min_reconnect_backoff_ms", 10_000),
    ("grpc.max_metadata_size", 64 * 1024),
    ("grpc.absolute_max_metadata_size", 128 * 1024),
)

Metadata = Sequence[tuple[str, str | bytes]]
Codec = Callable[[Any], Any]

log = structlog.get_logger()


def open_channel(
    address: str, *, tls: Tls, token: str | None = None, service: str | None = None, timeout_s: float = TIMEOUT_S
) -> "Channel":
    """Return a channel to ``address``; nothing is connected before the first call.

    Args:
        address: ``<host>:<port>``.
        tls: Who we are, and whom we believe.
        token: A person's token, sent with every call.
        service: Service expected there, such as ``study-router``: its certificate must carry this name, so that no
            other service can answer in its place. By default the certificate must carry the host of the address.
        timeout_s: Deadline of a call for which the caller gives none, in seconds.

    Raises:
        InvalidRequestError: a file of ``tls`` is missing or malformed.
    """
    return Channel(_Connection(address, tls, service), token=token, timeout_s=timeout_s)


class Channel:
    """Calls one service. Every call raises ``ServiceError`` and nothing of gRPC.

    The four methods are those that a generated stub asks of a channel. What they return is called with
    ``(request, timeout=None, metadata=())``; an answer is awaited, a stream is iterated.
    """

    def __init__(self, connection: "_Connection", *, token: str | None, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._standing: Metadata = (("authorization", f"Bearer {token}"),) if token else ()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End all calls and the connection."""
        await self._connection.close()

    def unary_unary(
        self, method: str, request_serializer: Codec, response_deserializer: Codec, _registered_method: bool = False
    ) -> Any:
        """Return the callable of a method with one request and one answer."""
        return self._answer(_Method("unary_unary", method, request_serializer, response_deserializer))

    def stream_unary(
        self, method: str, request_serializer: Codec, response_deserializer: Codec, _registered_method: bool = False
    ) -> Any:
        """Return the callable of a method with a stream of requests and one answer."""
        return self._answer(_Method("stream_unary", method, request_serializer, response_deserializer))

    def unary_stream(
        self, method: str, request_serializer: Codec, response_deserializer: Codec, _registered_method: bool = False
    ) -> Any:
        """Return the callable of a method with one request and a stream of answers."""
        return self._stream(_Method("unary_stream", method, request_serializer, response_deserializer))

    def stream_stream(
        self, method: str, request_serializer: Codec, response_deserializer: Codec, _registered_method: bool = False
    ) -> Any:
        """Return the callable of a method with streams both ways."""
        return self._stream(_Method("stream_stream", method, request_serializer, response_deserializer))

    def _answer(self, method: "_Method") -> Any:
        service, _, name = method.name.partition("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}

        async def call(request: Any, *, timeout: float | None = None, metadata: Metadata = ()) -> Any:
            seconds = deadline.within(self._timeout_s if timeout is None else timeout)
            with telemetry.span(method.name, kind=SpanKind.CLIENT, attributes=attributes), _translating(method.name):
                send = method.on(self._connection.current())
                return await send(request, timeout=seconds, metadata=self._metadata(metadata))

        return call

    def _stream(self, method: "_Method") -> Any:
        async def call(request: Any, *, timeout: float | None = None, metadata: Metadata = ()) -> AsyncIterator[Any]:
            # No span of its own: it would be left wherever the iteration is dropped. The server's span is a child of
            # the span in which the iteration began.
            seconds = deadline.within(STREAM_TIMEOUT_S if timeout is None else timeout)
            send = method.on(self._connection.current())
            answers = send(request, timeout=seconds, metadata=self._metadata(metadata))
            try:
                with _translating(method.name):
                    async for answer in answers:
                        yield answer
            finally:
                answers.cancel()

        return call

    def _metadata(self, given: Metadata) -> Metadata:
        return (*self._standing, *telemetry.carrier().items(), *given)


@contextmanager
def _translating(method: str) -> Iterator[None]:
    """Let nothing of gRPC out."""
    try:
        yield
    except aio.AioRpcError as error:
        raise raised_by(error, method=method) from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # Nobody cancelled us: this is how gRPC tells that the channel was closed under a running call. Passed on as
        # it is, it would end the caller's task without a word.
        raise UpstreamUnavailableError(f"{method} was cut off before it was answered", method=method) from None


class _Method:
    """One method, callable on whichever connection is the current one."""

    def __init__(self, shape: str, path: str, serializer: Codec, deserializer: Codec) -> None:
        self.name = path.removeprefix("/")
        self._shape = shape
        self._path = path
        self._serializer = serializer
        self._deserializer = deserializer
        self._made: tuple[aio.Channel, Any] | None = None

    def on(self, channel: aio.Channel) -> Any:
        """Return gRPC's callable for this method on ``channel``."""
        if self._made is None or self._made[0] is not channel:
            make = getattr(channel, self._shape)
            self._made = (channel, make(self._path, self._serializer, self._deserializer))
        return self._made[1]


class _Connection:
    """The connection of the moment: gRPC keeps a channel's certificate for ever, so a renewal makes a new channel."""

    def __init__(self, address: str, tls: Tls, service: str | None) -> None:
        self._address = address
        self._tls = tls
        self._options = (*_OPTIONS, *((("grpc.ssl_target_name_override", service),) if service else ()))
        self._stamp: Stamp = ()
        self._channel: aio.Channel | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        tls.read()

    def current(self) -> aio.Channel:
        """Return the channel for the next call; running calls finish on the one they began on."""
        try:
            stamp = self._tls.stamp()
            if self._channel is not None and stamp == self._stamp:
                return self._channel
            fresh = aio.secure_channel(self._address, self._tls.channel_credentials(), options=self._options)
        except (OSError, InvalidRequestError) as error:
            if self._channel is None:
                raise
            # In the middle of a renewal: what is connected stays in use.
            log.warning("certificate.unreadable", error=str(error))
            return self._channel
        if self._channel is not None:
            retiring = asyncio.create_task(self._channel.close(_CLOSING_GRACE_S), name="retire-channel")
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)
        self._channel, self._stamp = fresh, stamp
        return fresh

    async def close(self) -> None:
        """Close every channel at once."""
        for retiring in list(self._retiring):
            retiring.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        if self._channel is not None:
            await self._channel.close()
