"""The composition root of the surveillance reporter."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from grpc import aio

from surveillance_reporter.adapters.events import subscription
from surveillance_reporter.adapters.grpc_api import SurveillanceApi
from surveillance_reporter.adapters.producers import GrpcProducer
from surveillance_reporter.adapters.store import SqlStore
from surveillance_reporter.ports import Gap
from surveillance_reporter.settings import Settings
from surveillance_reporter.usecases.rebuilding import RebuildCounts
from surveillance_reporter.usecases.recording import RecordEvent
from surveillance_reporter.usecases.repairing import RepairGaps
from surveillance_reporter.usecases.reporting import ReportCounts
from udc.events.v1.events_service_pb2_grpc import add_EventsServiceServicer_to_server
from udc.surveillance.v1.surveillance_pb2_grpc import add_SurveillanceServiceServicer_to_server
from udckit import telemetry
from udckit.background import kept_running
from udckit.bus import Bus, BusSettings, connected
from udckit.clock import SystemClock
from udckit.consumer import Consumer, consuming
from udckit.database import opened
from udckit.errors import ServiceError
from udckit.events_api import EventsApi
from udckit.grpc_client import open_channel
from udckit.relay import Producer, relaying
from udckit.runtime import Readiness
from udckit.security.identity import Service
from udckit.security.tls import Tls

MIGRATIONS: Final = "surveillance_reporter.migrations"
_LOOK_S: Final = 1.0

log: Final = structlog.get_logger()

_missing: Final = telemetry.meter().create_gauge("udc.surveillance.missing", unit="{event}")


@asynccontextmanager
async def lifespan(settings: Settings, server: aio.Server, readiness: Readiness) -> AsyncIterator[None]:
    """Open what the reporter needs, in order, and close it in reverse."""
    tls = Tls(ca=settings.tls_ca, cert=settings.tls_cert, key=settings.tls_key)
    clock = SystemClock()
    zone = ZoneInfo(settings.zone)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(opened(settings.database_url, migrations=MIGRATIONS))
        bus = await stack.enter_async_context(
            connected(
                BusSettings(servers=settings.nats_url.split(","), name=settings.service, tls=tls.client_context())
            )
        )
        store = SqlStore(database)
        rebuild = RebuildCounts(store=store, zone=zone)
        rebuilt = await rebuild.if_rules_changed()
        if rebuilt is not None:
            log.info("counts.rebuilt", rows=rebuilt.rows, cases=rebuilt.cases, corrected=rebuilt.corrected)
        repair = RepairGaps(
            producers=_producers(settings, tls, stack), store=store, clock=clock, elapsed=time.monotonic, note=_note
        )
        report = ReportCounts(store=store, clock=clock, zone=zone)
        add_SurveillanceServiceServicer_to_server(SurveillanceApi(report, rebuild, store), server)
        relay = await stack.enter_async_context(
            relaying(database, bus, Producer(source=f"/services/{settings.service}", region=settings.region))
        )
        add_EventsServiceServicer_to_server(EventsApi(database, relay), server)
        consumer = await stack.enter_async_context(
            consuming(bus, database, subscription(RecordEvent(zone=zone), clock, repair))
        )
        tell_of_gaps = partial(_keep_telling_of_gaps, readiness, store, repair, look_s=settings.gap_look_s)
        tell = partial(_keep_telling, readiness, bus, consumer)
        await stack.enter_async_context(kept_running(tell, "tell-readiness"))
        await stack.enter_async_context(kept_running(tell_of_gaps, "tell-gaps"))
        yield


def _producers(settings: Settings, tls: Tls, stack: AsyncExitStack) -> Mapping[str, GrpcProducer]:
    """Return who can publish again, by the source that stands in the events."""
    addresses = {
        Service.STUDY_ROUTER: settings.router_address,
        Service.MODEL_SERVING: settings.serving_addresses,
        Service.RESULT_ARCHIVER: settings.archiver_address,
    }
    producers = {}
    for service, replicas in addresses.items():
        channels = [open_channel(address, tls=tls, service=str(service)) for address in replicas.split(",")]
        for channel in channels:
            stack.push_async_callback(channel.close)
        producers[f"/services/{service}"] = GrpcProducer(channels)
    return producers


def _note(gap: Gap, reason: str) -> None:
    log.warning("gap.not_asked_for", source=gap.source, first=gap.first, last=gap.last, reason=reason)


async def _keep_telling(readiness: Readiness, bus: Bus, consumer: Consumer) -> None:
    """Say from second to second what keeps events from being journaled."""
    while True:
        _tell(readiness, "nats", "" if bus.healthy() else "NATS is away, or refuses a subject")
        _tell(readiness, "events", consumer.stalled_by or consumer.breaker_reason or "")
        await asyncio.sleep(_LOOK_S)


async def _keep_telling_of_gaps(readiness: Readiness, store: SqlStore, repair: RepairGaps, *, look_s: float) -> None:
    """Say again and again how many events are missing, and whether asking for them does not help."""
    while True:
        try:
            gaps = await store.read(lambda transaction: transaction.journal.open_gaps())
        except ServiceError as error:
            log.warning("gaps.not_counted", reason=error.reason)
        else:
            standing = repair.standing(gaps)
            _missing.set(sum(gap.last - gap.first + 1 for gap in gaps))
            where = ", ".join(f"{gap.source} {gap.first} to {gap.last}" for gap in standing)
            _tell(readiness, "gaps", f"events are missing: {where}" if where else "")
        await asyncio.sleep(look_s)


def _tell(readiness: Readiness, condition: str, reason: str) -> None:
    if reason:
        readiness.block(condition, reason)
    else:
        readiness.clear(condition)
