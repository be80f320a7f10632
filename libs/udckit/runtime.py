"""The life of a service: start or say why not, serve, drain on SIGTERM.

Order of the end: readiness says no → calls get ``grace_s`` to finish → the service's own lifespan closes what it
opened → telemetry is sent.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final, TypeVar

import structlog
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from udckit import grpc_server, logs, telemetry
from udckit.clock import SystemClock
from udckit.errors import PreconditionError, ServiceError
from udckit.grpc_errors import answering_errors
from udckit.security.authorization import Rule, authorising, table_of
from udckit.security.files import write_public
from udckit.security.policy import RULES
from udckit.security.tls import Tls
from udckit.security.tokens import TokenVerifier
from udckit.settings import ServiceSettings

READINESS: Final = "readiness"
"""Name under which the health service answers whether work is wanted here; ``""`` says that the process lives."""

log = structlog.get_logger()


class Readiness:
    """Named reasons for which this process wants no work just now; ready when there is none.

    Whatever depends on something outside sets a reason when that is away and clears it when it is back. To be used
    from the event loop.
    """

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self._changed = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        """Whether nothing stands against taking work."""
        return not self._reasons

    @property
    def reasons(self) -> Mapping[str, str]:
        """What stands against it now, by condition."""
        return dict(self._reasons)

    def block(self, condition: str, reason: str) -> None:
        """Want no work because of ``condition``, such as ``nats``, until it is cleared."""
        if self._reasons.get(condition) == reason:
            return
        self._reasons[condition] = reason
        log.warning("readiness.blocked", condition=condition, reason=reason)
        self._changed.set()

    def clear(self, condition: str) -> None:
        """Take back what ``condition`` had against work; harmless if it had nothing."""
        if self._reasons.pop(condition, None) is None:
            return
        log.info("readiness.cleared", condition=condition, ready=self.is_ready)
        self._changed.set()

    async def changed(self) -> None:
        """Wait until something was blocked or cleared since the last wait."""
        await self._changed.wait()
        self._changed.clear()


S = TypeVar("S", bound=ServiceSettings)

Lifespan = Callable[[S, aio.Server, Readiness], AbstractAsyncContextManager[None]]
"""Opens what the service needs, adds its servicers to the server, and closes everything when it is left."""


def run(settings: S, lifespan: Lifespan[S], *, rules: Iterable[Rule] = RULES) -> None:
    """Be a service until SIGTERM or SIGINT; the body of every ``__main__``.

    Args:
        settings: From ``Settings.from_environment()``.
        lifespan: The composition root of the service.
        rules: Who may call what.

    Raises:
        SystemExit: the service could not start, or broke: code 1 and one sentence on standard error.
    """
    logs.configure(level=settings.log_level, service=settings.service, region=settings.region, replica=settings.replica)
    try:
        with telemetry.configured(
            service=settings.service,
            region=settings.region,
            replica=settings.replica,
            otlp_endpoint=settings.otlp_endpoint,
            trace_file=settings.trace_file,
            trace_ratio=settings.trace_ratio,
        ):
            asyncio.run(_until_told_to_stop(settings, lifespan, rules))
    except Exception as error:
        log.exception("service.stopped_by_error")
        sys.exit(f"{settings.service} stopped: {_sentence(error)}")


def _sentence(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ServiceError):
        return error.message
    # Other words of strangers may quote a patient's name; those of the operating system name files and ports.
    name = type(error).__name__
    return f"{name}: {error}" if isinstance(error, OSError) else f"{name}; the log line before this one says where"


async def _until_told_to_stop(settings: S, lifespan: Lifespan[S], rules: Iterable[Rule]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def begin_to_stop() -> None:
        log.info("service.stopping")
        stop.set()
        # A second signal ends the process at once, as everybody expects.
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, begin_to_stop)
    async with serving(settings, lifespan, rules=rules):
        await stop.wait()
    log.info("service.stopped")


@asynccontextmanager
async def serving(
    settings: S, lifespan: Lifespan[S], *, rules: Iterable[Rule] = RULES
) -> AsyncIterator[tuple[str, Readiness]]:
    """Serve while the block runs; yields the address listened on and the readiness.

    Raises:
        ServiceError, OSError: something needed for the start is missing.
    """
    tls = Tls(ca=settings.tls_ca, cert=settings.tls_cert, key=settings.tls_key)
    clock = SystemClock()
    verifier = None
    if settings.token_keys is not None:
        verifier = TokenVerifier(settings.token_keys, region=settings.region, clock=clock)
    authorised = authorising(table_of(rules), region=settings.region, verifier=verifier, clock=clock)
    server = aio.server(
        interceptors=[
            grpc_server.SurroundingInterceptor(surrounding)
            for surrounding in (answering_errors, grpc_server.recorded, authorised)
        ],
        options=grpc_server.OPTIONS,
    )
    readiness = Readiness()
    readiness.block("start", "starting")
    address = _listen(server, settings, tls)
    async with AsyncExitStack() as stack:
        checks = await stack.enter_async_context(_answering_health(server, settings, readiness))
        await stack.enter_async_context(lifespan(settings, server, readiness))
        await server.start()
        stack.push_async_callback(server.stop, settings.grace_s)
        stack.push_async_callback(checks.enter_graceful_shutdown)
        if settings.address_file is not None:
            write_public(settings.address_file, f"{address}\n".encode())
        readiness.clear("start")
        log.info("service.started", address=address)
        yield address, readiness


def _listen(server: aio.Server, settings: ServiceSettings, tls: Tls) -> str:
    try:
        port = server.add_secure_port(f"{settings.grpc_host}:{settings.grpc_port}", tls.server_credentials())
    except RuntimeError as error:
        raise PreconditionError(
            f"cannot listen on {settings.grpc_host}:{settings.grpc_port}; is the port taken?"
        ) from error
    return f"{settings.grpc_host}:{port}"


@asynccontextmanager
async def _answering_health(
    server: aio.Server, settings: ServiceSettings, readiness: Readiness
) -> AsyncIterator[health.aio.HealthServicer]:
    checks = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    await _tell(checks, readiness)
    async with AsyncExitStack() as stack:
        if settings.health_port is not None:
            probed = aio.server(options=grpc_server.OPTIONS)
            health_pb2_grpc.add_HealthServicer_to_server(checks, probed)
            try:
                probed.add_insecure_port(f"{settings.grpc_host}:{settings.health_port}")
            except RuntimeError as error:
                raise PreconditionError(
                    f"cannot listen on {settings.grpc_host}:{settings.health_port}; is the port taken?"
                ) from error
            await probed.start()
            stack.push_async_callback(probed.stop, None)
        telling = asyncio.create_task(_keep_telling(checks, readiness), name="tell-readiness")
        stack.callback(telling.cancel)
        yield checks


async def _keep_telling(checks: health.aio.HealthServicer, readiness: Readiness) -> None:
    while True:
        await readiness.changed()
        await _tell(checks, readiness)


async def _tell(checks: health.aio.HealthServicer, readiness: Readiness) -> None:
    status = health_pb2.HealthCheckResponse
    await checks.set(READINESS, status.SERVING if readiness.is_ready else status.NOT_SERVING)
