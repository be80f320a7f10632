"""The connection to NATS, set up so that nothing fails in silence."""

import asyncio
import contextvars
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import nats
import nats.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext

from udckit.errors import UpstreamUnavailableError
from udckit.tasks import ended

log: Final = structlog.get_logger()

_PING_S: Final = 5
"""The client's default of two minutes leaves a frozen server unnoticed for as long."""

_SETTLING_S: Final = 5.0
"""How long messages that are still being sent may hold up the end."""

_REVIVE_S: Final = 1.0

Listener = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BusSettings:
    """How to reach NATS.

    Attributes:
        servers: URLs such as ``nats://host:4222``; several for a cluster.
        name: Name of the service, shown by the server and part of the inbox prefix: the only subjects that its user
            may subscribe to are ``_INBOX_<name>.>``.
        tls: Client certificate and trusted authority; None only for a server without TLS.
        connect_within_s: How long the first connection may take.
    """

    servers: Sequence[str]
    name: str
    tls: ssl.SSLContext | None = None
    connect_within_s: float = 10.0

    @property
    def inbox_prefix(self) -> str:
        """Return where answers to this service arrive."""
        return f"_INBOX_{self.name}"


class Bus:
    """A connection that re-makes itself for ever.

    Attributes:
        nc: The client, for requests and subscriptions.
        js: Its JetStream context. Never use ``js.publish_async``: it loses errors; use ``udckit.publisher``.
        violations: How often the server refused a subject. The caller of such a request only sees a timeout, or
            nothing at all, so one violation makes the bus unhealthy for good.
    """

    def __init__(self, nc: Client) -> None:
        self.nc: Final = nc
        self.js: Final[JetStreamContext] = nc.jetstream(timeout=5)
        self.violations = 0
        self._on_disconnect: list[Listener] = []
        self._on_reconnect: list[Listener] = []

    def healthy(self) -> bool:
        """Say whether the connection is up and has never been refused a subject."""
        return self.nc.is_connected and self.violations == 0

    def on_disconnect(self, listener: Listener) -> Callable[[], None]:
        """Await ``listener`` when the connection is lost; return a function that ends this."""
        self._on_disconnect.append(listener)
        return lambda: self._on_disconnect.remove(listener)

    def on_reconnect(self, listener: Listener) -> Callable[[], None]:
        """Await ``listener`` when the connection is back; return a function that ends this."""
        self._on_reconnect.append(listener)
        return lambda: self._on_reconnect.remove(listener)

    async def disconnected(self) -> None:
        """Tell the listeners that the connection is lost."""
        if not self.nc.is_closed:
            log.warning("bus.disconnected")
        await _call(self._on_disconnect)

    async def reconnected(self) -> None:
        """Tell the listeners that the connection is back."""
        log.info("bus.reconnected")
        await _call(self._on_reconnect)

    async def failed(self, error: Exception) -> None:
        """Note an error that the client cannot give to a caller."""
        text = str(error).lower()  # the server's subject comes back in lower case anyway
        if "permissions violation" in text:
            self.violations += 1
            log.error("bus.permission_violated", violation=text, violations=self.violations)
        elif "authorization violation" in text or "authentication" in text:
            log.error("bus.refused", refusal=text)
        elif isinstance(error, OSError | nats.errors.TimeoutError):
            # An attempt to reconnect, of which there are two a second, or the ordinary "no message".
            log.debug("bus.attempt_failed", error_type=type(error).__qualname__)
        else:
            log.warning("bus.error", error_type=type(error).__qualname__, error=text)


async def _call(listeners: Sequence[Listener]) -> None:
    """Tell everybody. The client takes an error of a listener for one of the connection, and is then lost for ever."""
    for listener in tuple(listeners):
        try:
            await listener()
        except Exception:
            log.exception("bus.listener_failed")


@asynccontextmanager
async def connected(settings: BusSettings) -> AsyncIterator[Bus]:
    """Connect to NATS and close the connection at the end, after what is being sent has left.

    Raises:
        UpstreamUnavailableError: no server answered within ``settings.connect_within_s``, or none let us in.
    """
    # Every closed TLS connection makes asyncio warn that eof_received() has no effect.
    logging.getLogger("asyncio").addFilter(_is_not_about_eof)
    nc = Client()
    bus = Bus(nc)
    try:
        async with asyncio.timeout(settings.connect_within_s):
            await nc.connect(
                servers=list(settings.servers),
                name=f"udc-{settings.name}",
                tls=settings.tls,
                inbox_prefix=settings.inbox_prefix,
                max_reconnect_attempts=-1,
                reconnect_time_wait=0.5,  # type: ignore[arg-type] # it only sleeps for it; whole seconds are long
                connect_timeout=2,
                ping_interval=_PING_S,
                max_outstanding_pings=2,
                error_cb=bus.failed,
                disconnected_cb=bus.disconnected,
                reconnected_cb=bus.reconnected,
            )
    except (TimeoutError, OSError, nats.errors.Error) as error:
        await nc.close()
        raise UpstreamUnavailableError(
            f"NATS does not answer at {', '.join(_without_credentials(server) for server in settings.servers)}"
        ) from error
    watching = asyncio.create_task(_revive_for_ever(nc), name="bus:revive", context=contextvars.Context())
    try:
        yield bus
    finally:
        await ended(watching)
        await _close(nc)


async def _revive_for_ever(nc: Client) -> None:
    """Begin to reconnect again when the client has silently ceased to.

    Its task was seen to die of a RuntimeError when a connection broke while it was being made, and nothing else ever
    tries again.
    """
    while True:
        await asyncio.sleep(_REVIVE_S)
        task = nc._reconnection_task
        if nc.is_reconnecting and task is not None and task.done():
            error = None if task.cancelled() else task.exception()
            log.error("bus.reconnection_died", error_type=type(error).__qualname__)
            nc._reconnection_task = asyncio.create_task(nc._attempt_reconnect(), context=contextvars.Context())


async def _close(nc: Client) -> None:
    try:
        async with asyncio.timeout(_SETTLING_S):
            await nc.flush()
    except (TimeoutError, nats.errors.Error):
        log.warning("bus.closed_unflushed")
    await nc.close()


def _without_credentials(server: str) -> str:
    scheme, _, rest = server.rpartition("://")
    host = rest.rpartition("@")[2]
    return f"{scheme}://{host}" if scheme else host


def _is_not_about_eof(record: logging.LogRecord) -> bool:
    return "eof_received" not in record.getMessage()
