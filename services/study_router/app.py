"""The composition root of the study router."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from grpc import aio

from study_router.adapters.cel import CelCompiler
from study_router.adapters.connectors import connecting
from study_router.adapters.dimse import Address, listening
from study_router.adapters.events import Reports, may_replay
from study_router.adapters.pools import RosterPools
from study_router.adapters.registry_bucket import RegistryPublisher
from study_router.adapters.store import SqlStore
from study_router.apis import add_servicers
from study_router.background import dispatching_of, evaluation_of, roles_of
from study_router.parts import Parts
from study_router.settings import Settings
from study_router.usecases.hearing import HearStatement
from study_router.usecases.reports import (
    AcceptResult,
    RecordDelivery,
    RecordDeliveryFailure,
    RecordFailure,
    RecordProgress,
    RecordReturn,
    RecordStart,
)
from study_router.usecases.viewing import RuleBook
from udc.events.v1 import events_service_pb2_grpc
from udckit import subjects
from udckit.background import kept_running
from udckit.bus import Bus, BusSettings, connected
from udckit.clock import SystemClock
from udckit.consumer import Consumer, consuming
from udckit.database import opened
from udckit.events_api import EventsApi
from udckit.objects import opened_objects
from udckit.presence import watching_roster
from udckit.relay import Producer, Relay, relaying
from udckit.roles import holding
from udckit.runtime import Readiness
from udckit.security.tls import Tls

SOURCE: Final = "/services/study-router"
_LOOK_S: Final = 0.5


@asynccontextmanager
async def lifespan(settings: Settings, server: aio.Server, readiness: Readiness) -> AsyncIterator[None]:
    """Open what the router needs, follow the archives, hand out jobs, and close everything at the end."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(opened(settings.database_url, migrations="study_router.migrations"))
        bus = await stack.enter_async_context(connected(_bus_settings(settings)))
        objects = await stack.enter_async_context(opened_objects(settings.objects_url, bus))
        cases = await stack.enter_async_context(opened_objects(settings.golden_url, bus))
        connectors = await stack.enter_async_context(
            connecting(secrets=settings.secrets_dir, clock=clock, tolerance_s=settings.feed_tolerance_s)
        )
        roster = await stack.enter_async_context(watching_roster(bus, subjects.BUCKET_POOLS))
        relay = await stack.enter_async_context(
            relaying(database, bus, Producer(source=SOURCE, region=settings.region), lease_s=settings.lease_s)
        )
        parts = Parts(
            settings, SqlStore(database), database, objects, cases, connectors, RuleBook(CelCompiler()), clock
        )
        publisher = RegistryPublisher(database, bus)
        add_servicers(server, parts, changed=publisher.wake)
        events_service_pb2_grpc.add_EventsServiceServicer_to_server(
            EventsApi(database, relay, may_replay=may_replay), server
        )

        consumers = [
            await stack.enter_async_context(consuming(bus, database, subscription))
            for subscription in _reports(parts).subscriptions()
        ]
        pools = RosterPools(roster, can_hear=bus.healthy)
        dispatching = dispatching_of(parts, pools)
        evaluation = evaluation_of(parts)
        for ring in (dispatching.bell.ring, evaluation.bell.ring):
            stack.callback(database.listen(ring))
        stack.callback(roster.listen(dispatching.bell.ring))
        for role, run in roles_of(parts, publisher, dispatching, evaluation, pools):
            await stack.enter_async_context(holding(database, role, run, lease_s=settings.lease_s))
        if settings.dimse_port is not None:
            hear = HearStatement(store=parts.store, clock=clock)
            await stack.enter_async_context(listening(_dimse_address(settings, settings.dimse_port), hear))
        await stack.enter_async_context(_telling(readiness, bus, relay, consumers))
        yield


def _dimse_address(settings: Settings, port: int) -> Address:
    tls = Tls(ca=settings.tls_ca, cert=settings.tls_cert, key=settings.tls_key)
    return Address(
        host=settings.grpc_host,
        port=port,
        ae_title=settings.dimse_ae_title,
        peers=settings.dimse_peers,
        tls=tls.server_context() if settings.dimse_tls else None,
    )


def _bus_settings(settings: Settings) -> BusSettings:
    tls = Tls(ca=settings.tls_ca, cert=settings.tls_cert, key=settings.tls_key)
    return BusSettings(
        servers=settings.nats_url.split(","),
        name=settings.service,
        tls=tls.client_context() if settings.nats_url.startswith("tls://") else None,
    )


def _reports(parts: Parts) -> Reports:
    clock = parts.clock
    return Reports(
        record_start=RecordStart(clock=clock),
        accept_result=AcceptResult(clock=clock),
        record_progress=RecordProgress(),
        record_return=RecordReturn(clock=clock),
        record_failure=RecordFailure(
            clock=clock,
            max_attempts=parts.settings.max_attempts,
            back_off_s=parts.settings.attempt_back_off_s,
        ),
        record_delivery=RecordDelivery(clock=clock),
        record_delivery_failure=RecordDeliveryFailure(clock=clock),
    )


@asynccontextmanager
async def _telling(readiness: Readiness, bus: Bus, relay: Relay, consumers: Sequence[Consumer]) -> AsyncIterator[None]:
    """Say while the block runs whether work is wanted here."""

    async def look() -> None:
        while True:
            stalls = [consumer.stalled_by or consumer.breaker_reason for consumer in consumers]
            for condition, reason in (
                ("nats", None if bus.healthy() else "NATS is away, or refused a subject"),
                ("relay", relay.stalled_by),
                ("consumers", next((stall for stall in stalls if stall is not None), None)),
            ):
                if reason is None:
                    readiness.clear(condition)
                else:
                    readiness.block(condition, reason)
            await asyncio.sleep(_LOOK_S)

    async with kept_running(look, "watch-dependencies"):
        yield
