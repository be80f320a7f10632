"""A broker, two producers with real outboxes and APIs, and the reporter, each under its own identity."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grpc import aio
from pydantic_settings import SettingsConfigDict

from integration.udckit_core.waiting import until
from region.service import ServiceProcess
from surveillance_reporter.app import lifespan
from surveillance_reporter.settings import Settings
from udc.events.v1.events_service_pb2_grpc import add_EventsServiceServicer_to_server
from udc.surveillance.v1 import surveillance_pb2 as pb
from udc.surveillance.v1.surveillance_pb2_grpc import SurveillanceServiceStub
from udckit import outbox, subjects
from udckit.bus import Bus, BusSettings, connected
from udckit.clock import SystemClock
from udckit.database import Connection, Database, opened
from udckit.envelope import Event, OutgoingEvent
from udckit.events_api import EventsApi
from udckit.grpc_client import open_channel
from udckit.relay import Producer, Relay, relaying
from udckit.runtime import Readiness, serving
from udckit.security.identity import EVERYWHERE, Role, Service
from udckit.security.installation import Installation
from udckit.security.tokens import issue_token
from udckit.settings import ServiceSettings
from udckit.testing import NatsServer
from udckit.testing.ports import LOOPBACK, ReservedPorts
from unit.surveillance_reporter.histories import Counted

OUTBOX_ONLY = "integration.udckit_core.ledger_service.migrations"


class RouterSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="STUDY_ROUTER_")


class ServingSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="MODEL_SERVING_")


SETTINGS_OF = {Service.STUDY_ROUTER: RouterSettings, Service.MODEL_SERVING: ServingSettings}


@dataclass
class Broker:
    """A nats-server with the region's users, provisioned."""

    installation: Installation
    server: NatsServer

    @property
    def url(self) -> str:
        return self.server.url.replace("nats://", "tls://")

    @asynccontextmanager
    async def as_service(self, service: Service) -> AsyncIterator[Bus]:
        tls = self.installation.tls_of(service).client_context()
        async with connected(BusSettings(servers=[self.url], name=str(service), tls=tls)) as bus:
            yield bus

    def common(self, service: Service, database_url: str) -> dict[str, Any]:
        """Return the settings that every service has."""
        tls = self.installation.tls_of(service)
        return {
            "region": "r77",
            "database_url": database_url,
            "objects_url": "nats:objects",
            "nats_url": self.url,
            "tls_ca": tls.ca,
            "tls_cert": tls.cert,
            "tls_key": tls.key,
            "token_keys": self.installation.token_keys,
            "grace_s": 1.0,
        }

    async def messages(self) -> dict[tuple[str, int], int]:
        """Return where in the stream each event is, by its producer and number."""
        found: dict[tuple[str, int], int] = {}
        async with self.as_service(Service.PROVISIONER) as bus:
            state = (await bus.js.stream_info(subjects.STREAM_EVENTS)).state
            for place in range(state.first_seq, state.last_seq + 1):
                headers = (await bus.js.get_msg(subjects.STREAM_EVENTS, place)).headers or {}
                found[headers["ce-source"], int(headers["ce-udcseq"])] = place
        return found

    async def lose(self, lost: Iterable[tuple[str, int]]) -> None:
        """Delete events from the stream, by producer and number."""
        places = await self.messages()
        async with self.as_service(Service.PROVISIONER) as bus:
            for event in lost:
                assert await bus.js.delete_msg(subjects.STREAM_EVENTS, places[event])

    async def redeliver_after(self, seconds: float) -> None:
        """Have the reporter's durable deliver again after ``seconds``: half a minute is long for a test."""
        async with self.as_service(Service.PROVISIONER) as bus:
            info = await bus.js.consumer_info(subjects.STREAM_EVENTS, subjects.DURABLE_SURVEILLANCE)
            await bus.js.add_consumer(subjects.STREAM_EVENTS, info.config.evolve(ack_wait=seconds))

    async def unsettled(self) -> int:
        """Return how many events the reporter has not acknowledged."""
        async with self.as_service(Service.PROVISIONER) as bus:
            info = await bus.js.consumer_info(subjects.STREAM_EVENTS, subjects.DURABLE_SURVEILLANCE)
        return int(info.num_pending or 0) + int(info.num_ack_pending or 0)


class Teller:
    """A service of which only the outbox, the relay and the API of its events are there."""

    def __init__(self, service: Service, database: Database, relay: Relay) -> None:
        self.source = f"/services/{service}"
        self.database = database
        self.relay = relay

    async def tell(self, events: Sequence[Event]) -> None:
        """Announce ``events`` in order; return when they are in the stream."""

        def announce(connection: Connection) -> None:
            for event in events:
                outbox.announce(connection, announced(event))

        await self.database.transact(announce)
        await until(self._is_relayed)

    async def _is_relayed(self) -> bool:
        return not await self.database.read(outbox.is_waiting)


def announced(event: Event) -> OutgoingEvent:
    """Return ``event`` as its producer announces it."""
    entity, told = {
        "JobEnded": ("job", "ended"),
        "JobInferred": ("job", "inferred"),
        "ResultAccepted": ("result", "accepted"),
    }[event.type.rpartition(".")[2]]
    return OutgoingEvent(
        id=event.id,
        type=event.type,
        subject=f"{subjects.PREFIX}.{entity}.{told}",
        about=event.about,
        organisation=event.organisation,
        occurred_at=event.occurred_at,
        body=event.body,
    )


@dataclass
class Tellers:
    """The router and serving, told by the test what to tell; their addresses are known before they listen."""

    broker: Broker
    directory: Path
    ports: Sequence[int]
    router: Teller
    serving: Teller

    def addresses(self) -> dict[str, str]:
        """Return the reporter's settings that say where they are."""
        router, serving, nobody = (f"{LOOPBACK}:{port}" for port in self.ports)
        return {"router_address": router, "serving_addresses": serving, "archiver_address": nobody}

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """Let both answer calls while the block runs."""
        async with AsyncExitStack() as stack:
            for teller, service, port in zip(
                (self.router, self.serving), (Service.STUDY_ROUTER, Service.MODEL_SERVING), self.ports, strict=False
            ):
                settings = SETTINGS_OF[service](**self.broker.common(service, "sqlite:///unused"), grpc_port=port)
                await stack.enter_async_context(serving(settings, answering_about(teller)))
            yield


def answering_about(
    teller: Teller,
) -> Callable[[ServiceSettings, aio.Server, Readiness], Any]:
    @asynccontextmanager
    async def serve(_settings: ServiceSettings, server: aio.Server, _readiness: Readiness) -> AsyncIterator[None]:
        add_EventsServiceServicer_to_server(EventsApi(teller.database, teller.relay), server)
        yield

    return serve


@asynccontextmanager
async def tellers(broker: Broker, directory: Path) -> AsyncIterator[Tellers]:
    """Open the outboxes of router and serving and relay them while the block runs."""
    async with AsyncExitStack() as stack:
        made = []
        for service in (Service.STUDY_ROUTER, Service.MODEL_SERVING):
            bus = await stack.enter_async_context(broker.as_service(service))
            database = await stack.enter_async_context(
                opened(f"sqlite:///{directory / service}.db", migrations=OUTBOX_ONLY)
            )
            producer = Producer(source=f"/services/{service}", region="r77")
            relay = await stack.enter_async_context(relaying(database, bus, producer))
            made.append(Teller(service, database, relay))
        ports = stack.enter_context(ReservedPorts(3))
        yield Tellers(broker, directory, list(ports), *made)


class Reporter:
    """The reporter, as those see it who ask it."""

    def __init__(self, broker: Broker, address: str) -> None:
        self._broker = broker
        self.address = address

    async def _ask(self, method: str, request: Any) -> Any:
        token = issue_token(
            self._broker.installation.signing_key,
            subject="p-1",
            roles=[Role.REGIONAL_ADMIN],
            organisations=[EVERYWHERE],
            region="r77",
            clock=SystemClock(),
        )
        tls = self._broker.installation.tls_of(Service.CLI)
        service = str(Service.SURVEILLANCE_REPORTER)
        async with open_channel(self.address, tls=tls, token=token, service=service) as channel:
            return await getattr(SurveillanceServiceStub(channel), method)(request)

    async def status(self) -> pb.GetJournalStatusResponse:
        answer: pb.GetJournalStatusResponse = await self._ask("GetJournalStatus", pb.GetJournalStatusRequest())
        return answer

    async def rebuild(self) -> pb.RebuildCountsResponse:
        answer: pb.RebuildCountsResponse = await self._ask("RebuildCounts", pb.RebuildCountsRequest())
        return answer

    async def counts(self, *, device: str = "") -> pb.GetCountsResponse:
        request = pb.GetCountsRequest(from_day="2026-02-20", to_day="2026-03-31", device=device)
        answer: pb.GetCountsResponse = await self._ask("GetCounts", request)
        return answer

    async def has_rows(self, rows: int) -> bool:
        return (await self.status()).rows == rows

    async def gaps(self) -> list[tuple[str, int, int]]:
        return [(gap.source, gap.first, gap.last) for gap in (await self.status()).open_gaps]


@asynccontextmanager
async def reporting(
    broker: Broker, tellers: Tellers, database_url: str, **changes: Any
) -> AsyncIterator[tuple[Reporter, Readiness]]:
    """Run the reporter in this process while the block runs."""
    given = {
        **broker.common(Service.SURVEILLANCE_REPORTER, database_url),
        **tellers.addresses(),
        "gap_look_s": 0.1,
        **changes,
    }
    async with serving(Settings(**given), lifespan) as (address, readiness):
        yield Reporter(broker, address), readiness


def reporter_process(broker: Broker, tellers: Tellers, database_url: str, directory: Path) -> ServiceProcess:
    """Return the reporter as a process of its own, not yet started."""
    common = broker.common(Service.SURVEILLANCE_REPORTER, database_url)
    names = ("region", "database_url", "objects_url", "nats_url")
    return ServiceProcess(
        directory,
        service=Service.SURVEILLANCE_REPORTER,
        security=broker.installation.directory,
        variables={**{name: str(common[name]) for name in names}, **tellers.addresses()},
    )


def outcomes_of(counts: Iterable[Counted]) -> dict[tuple[str, ...], int]:
    """Return how many of ``counts`` there are by day, device, version, organisation, mode and outcome."""
    found: dict[tuple[str, ...], int] = {}
    for one in counts:
        key = (one.day.isoformat(), one.device, one.version, one.organisation, one.mode, one.outcome)
        found[key] = found.get(key, 0) + 1
    return found


def verdicts_of(counts: Iterable[Counted]) -> dict[str, int]:
    """Return how many of ``counts`` there are by verdict."""
    found: dict[str, int] = {}
    for one in counts:
        if one.verdict:
            found[one.verdict.lower()] = found.get(one.verdict.lower(), 0) + 1
    return found
