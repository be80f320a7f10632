"""What surrounds every call that a server answers, whatever its kind.

A surrounding is an async context manager around the handler. It runs in the task of the call, so context variables it
sets are seen by the handler, and it is left properly when the call is cancelled.
"""

import inspect
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import grpc
from grpc import aio
from opentelemetry.metrics import Histogram
from opentelemetry.trace import SpanKind

from udckit import deadline, telemetry
from udckit.errors import InvalidRequestError, ServiceError

OPTIONS: Final = (
    # Without this a second server silently shares the port.
    ("grpc.so_reuseport", 0),
    # Clients ping idle connections; the default server answers with GOAWAY and the running call dies.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 0),
    # Error details travel in the trailing metadata; a long list of complaints must not break the answer.
    ("grpc.max_metadata_size", 64 * 1024),
    ("grpc.absolute_max_metadata_size", 128 * 1024),
)

OPEN_SERVICES: Final = frozenset({"grpc.health.v1.Health"})
"""Services of gRPC itself: no deadline, span or rule is asked of them, only a valid certificate."""


@dataclass(frozen=True, slots=True)
class ServedCall:
    """One call being answered.

    Attributes:
        method: ``<package>.<Service>/<Method>``.
        context: gRPC's context of the call.
        request: The request message; None where the client streams.
        is_stream: Whether the answer is a stream.
    """

    method: str
    context: Any
    request: Any
    is_stream: bool


Surrounding = Callable[[ServedCall], AbstractAsyncContextManager[None]]


class SurroundingInterceptor(aio.ServerInterceptor):
    """Runs every handler, of all four kinds, inside a surrounding."""

    def __init__(self, surrounding: Surrounding) -> None:
        self._surrounding = surrounding

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Return the handler, surrounded; None for an unknown method, which gRPC answers with UNIMPLEMENTED."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method.removeprefix("/")
        if handler is None or method.partition("/")[0] in OPEN_SERVICES:
            return handler
        return _surrounded(handler, method, self._surrounding)


def _surrounded(handler: Any, method: str, surrounding: Surrounding) -> Any:
    behaviour = handler.unary_unary or handler.stream_unary or handler.unary_stream or handler.stream_stream

    def call_of(request: Any, context: Any) -> ServedCall:
        return ServedCall(method, context, None if handler.request_streaming else request, handler.response_streaming)

    async def answer(request: Any, context: Any) -> Any:
        async with surrounding(call_of(request, context)):
            return await behaviour(request, context)

    async def stream(request: Any, context: Any) -> None:
        # Written, not yielded: gRPC drops a generator when the client goes away, and whatever surrounds the handler
        # would then be left much later and in a foreign context.
        async with surrounding(call_of(request, context)):
            if not inspect.isasyncgenfunction(behaviour):
                await behaviour(request, context)
                return
            async with aclosing(behaviour(request, context)) as responses:
                async for response in responses:
                    await context.write(response)

    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[handler.request_streaming, handler.response_streaming]
    return make(
        stream if handler.response_streaming else answer,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )


@cache
def _durations() -> Histogram:
    return telemetry.meter().create_histogram("rpc.server.call.duration", unit="s")


@asynccontextmanager
async def recorded(call: ServedCall) -> AsyncIterator[None]:
    """Record the call as a span of the caller's trace, and let its deadline bound what is done for it.

    Raises:
        InvalidRequestError: the caller set no deadline on a call that has one answer.
    """
    service, _, name = call.method.partition("/")
    if call.context.time_remaining() is None and not call.is_stream:
        raise InvalidRequestError(f"{call.method} is called without a deadline; set one", method=call.method)
    attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
    parent = telemetry.remote_context(texts(call.context.invocation_metadata()))
    began = time.monotonic()
    failure: dict[str, str] = {}
    try:
        with (
            telemetry.span(call.method, kind=SpanKind.SERVER, context=parent, attributes=attributes),
            deadline.allowing(call.context.time_remaining()),
        ):
            yield
    except Exception as error:
        failure["error.type"] = error.reason if isinstance(error, ServiceError) else type(error).__qualname__
        raise
    finally:
        _durations().record(time.monotonic() - began, {**attributes, **failure})


def texts(metadata: Any) -> Mapping[str, str]:
    """Return the textual part of gRPC metadata; the first value of a name counts."""
    found: dict[str, str] = {}
    for name, value in metadata or ():
        if isinstance(value, str):
            found.setdefault(name, value)
    return found
