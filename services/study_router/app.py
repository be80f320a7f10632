"""The composition root of the study router."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from grpc import aio

from study_router.adapters.cel import CelCompiler
from study_router.adapters.connectors import HttpConnectors, connecting
from study_router.adapters.dimse import Address, listening
from study_router.adapters.events import Reports, may_replay
from study_router.adapters.grpc_reconciliation import ReconciliationApi
from study_router.adapters.grpc_registry import ArchivesApi, AttachmentsApi, DeviceRegistryApi
from study_router.adapters.grpc_senders import SenderProfilesApi
from study_router.adapters.grpc_work import JobsApi, StudiesApi
from study_router.adapters.loops import Backfilling, Bell, Dispatching, Evaluation, Intake, Watchdog
from study_router.adapters.manifests import KeepingManifests
from study_router.adapters.measures import Measuring
from study_router.adapters.pools import RosterPools
from study_router.adapters.registry_bucket import RegistryPublisher
from study_router.adapters.store import SqlStore
from study_router.adapters.tracing import begin_job, begin_study
from study_router.domain.readiness import Quiet
from study_router.settings import Settings
from study_router.usecases.archiving import BeginArchiving
from study_router.usecases.backfilling import AdvanceBackfills, OrderBackfill, ReadBackfills
from study_router.usecases.commands import CancelJob, RetryJob
from study_router.usecases.completing import CompleteStudy
from study_router.usecases.dispatching import DispatchJobs
from study_router.usecases.evaluating import EvaluateStudy
from study_router.usecases.explaining import ExplainFacts, ReadNotes
from study_router.usecases.hearing import HearStatement
from study_router.usecases.intake import FollowFeed, IndexSeries
from study_router.usecases.planning import PlanStudy
from study_router.usecases.profiling import PutSenderProfile, ReadSenderProfiles, RemoveSenderProfile
from study_router.usecases.reading import CheckArchive, ExplainStudy, ReadJobs, ReadRegistry, ReadStudies
from study_router.usecases.reconciling import CompareArchives, CompareOutcomes, ListArchived
from study_router.usecases.registering import AddArchive, CreateAttachment, RegisterDevice, SuspendDevice
from study_router.usecases.releasing import ReleaseStudy
from study_router.usecases.reports import (
    AcceptResult,
    RecordDelivery,
    RecordDeliveryFailure,
    RecordFailure,
    RecordProgress,
    RecordReturn,
    RecordStart,
)
from study_router.usecases.submitting import SubmitStudies
from study_router.usecases.sweeping import SweepArchive
from study_router.usecases.viewing import RuleBook
from study_router.usecases.watching import SweepDeadlines
from udc.events.v1 import events_service_pb2_grpc
from udc.router.v1 import (
    archives_pb2_grpc,
    devices_pb2_grpc,
    jobs_pb2_grpc,
    reconciliation_pb2_grpc,
    senders_pb2_grpc,
    studies_pb2_grpc,
)
from udckit import subjects
from udckit.background import kept_running
from udckit.bus import Bus, BusSettings, connected
from udckit.clock import Clock, SystemClock
from udckit.consumer import Consumer, consuming
from udckit.database import Database, opened
from udckit.events_api import EventsApi
from udckit.objects import Objects, opened_objects
from udckit.presence import watching_roster
from udckit.relay import Producer, Relay, relaying
from udckit.roles import Lease, holding
from udckit.runtime import Readiness
from udckit.security.tls import Tls
from udcmodel.codec import encode_stack
from udcmodel.stack import StackDescriptor

SOURCE: Final = "/services/study-router"
_LOOK_S: Final = 0.5
_BACK_OFF_S: Final = 5.0
_MANIFESTS_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What the whole service shares."""

    settings: Settings
    store: SqlStore
    database: Database
    objects: Objects
    cases: Objects
    connectors: HttpConnectors
    rules: RuleBook
    clock: Clock


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
        _add_registry_servicers(server, parts, changed=publisher.wake)
        _add_work_servicers(server, parts)
        _add_reconciliation_servicer(server, parts)
        events_service_pb2_grpc.add_EventsServiceServicer_to_server(
            EventsApi(database, relay, may_replay=may_replay), server
        )

        consumers = [
            await stack.enter_async_context(consuming(bus, database, subscription))
            for subscription in _reports(parts).subscriptions()
        ]
        pools = RosterPools(roster, can_hear=bus.healthy)
        dispatching = _dispatching(parts, pools)
        evaluation = _evaluation(parts)
        for ring in (dispatching.bell.ring, evaluation.bell.ring):
            stack.callback(database.listen(ring))
        stack.callback(roster.listen(dispatching.bell.ring))
        for role, run in _roles(parts, publisher, dispatching, evaluation, pools):
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


def _add_registry_servicers(server: aio.Server, parts: Parts, *, changed: Callable[[], None]) -> None:
    store, clock = parts.store, parts.clock
    registry = ReadRegistry(store)
    compiler = parts.rules.compiler
    devices_pb2_grpc.add_DeviceRegistryServiceServicer_to_server(
        DeviceRegistryApi(
            register=RegisterDevice(
                store=store,
                put=parts.objects.put,
                put_case=parts.cases.put,
                has_case=parts.cases.has,
                compiler=compiler,
                clock=clock,
            ),
            put_case=parts.cases.put,
            suspend=SuspendDevice(store=store, clock=clock),
            registry=registry,
            changed=changed,
        ),
        server,
    )
    devices_pb2_grpc.add_AttachmentsServiceServicer_to_server(
        AttachmentsApi(
            create=CreateAttachment(store=store, compiler=compiler, clock=clock), registry=registry, changed=changed
        ),
        server,
    )
    archives_pb2_grpc.add_ArchivesServiceServicer_to_server(
        ArchivesApi(
            add=AddArchive(store=store, clock=clock),
            check=CheckArchive(store=store, connectors=parts.connectors),
            registry=registry,
            changed=changed,
        ),
        server,
    )
    senders_pb2_grpc.add_SenderProfilesServiceServicer_to_server(
        SenderProfilesApi(
            put=PutSenderProfile(store=store, clock=clock),
            remove=RemoveSenderProfile(store=store, clock=clock),
            profiles=ReadSenderProfiles(store),
        ),
        server,
    )


def _add_work_servicers(server: aio.Server, parts: Parts) -> None:
    settings, store, clock = parts.settings, parts.store, parts.clock
    studies_pb2_grpc.add_StudiesServiceServicer_to_server(
        StudiesApi(
            studies=ReadStudies(store),
            explain=ExplainStudy(store, parts.rules),
            facts=ExplainFacts(store),
            notes=ReadNotes(store),
            complete=CompleteStudy(store=store, clock=clock),
            release=ReleaseStudy(
                store=store,
                connectors=parts.connectors,
                clock=clock,
                region=settings.region,
                begin_trace=begin_study,
            ),
            submit=SubmitStudies(store=store, connectors=parts.connectors, clock=clock),
            order_backfill=OrderBackfill(store=store, clock=clock),
            backfills=ReadBackfills(store),
        ),
        server,
    )
    jobs_pb2_grpc.add_JobsServiceServicer_to_server(
        JobsApi(
            jobs=ReadJobs(store),
            retry=RetryJob(store=store, clock=clock, region=settings.region, job_deadline_s=settings.job_deadline_s),
            cancel=CancelJob(store=store, clock=clock),
            begin_archiving=BeginArchiving(
                store=store, clock=clock, archiving_deadline_s=settings.archiving_deadline_s
            ),
            listen=parts.database.listen,
        ),
        server,
    )


def _add_reconciliation_servicer(server: aio.Server, parts: Parts) -> None:
    settings, store, clock = parts.settings, parts.store, parts.clock
    reconciliation_pb2_grpc.add_ReconciliationServiceServicer_to_server(
        ReconciliationApi(
            archives=CompareArchives(
                store=store,
                connectors=parts.connectors,
                clock=clock,
                pause=asyncio.sleep,
                tiers=settings.tiers(),
                zone=settings.time_zone,
            ),
            outcomes=CompareOutcomes(store=store, plan=_plan(parts), clock=clock),
            archived=ListArchived(store=store),
        ),
        server,
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


def _dispatching(parts: Parts, pools: RosterPools) -> Dispatching:
    settings = parts.settings
    return Dispatching(
        store=parts.store,
        dispatch=DispatchJobs(
            store=parts.store,
            pools=pools,
            clock=parts.clock,
            begin_trace=begin_job,
            batch_ageing_s=settings.batch_ageing_s,
        ),
        bell=Bell(),
        poll_s=settings.dispatch_poll_s,
        back_off_s=_BACK_OFF_S,
    )


def _plan(parts: Parts) -> PlanStudy:
    settings = parts.settings

    async def put_stack(stack: StackDescriptor) -> str:
        return await parts.objects.put(encode_stack(stack))

    return PlanStudy(
        put_stack=put_stack,
        rules=parts.rules,
        region=settings.region,
        identity_key=settings.identity_key(),
        quiet=Quiet(stack=timedelta(seconds=settings.input_quiet_s), study=timedelta(seconds=settings.study_quiet_s)),
        longest_quiet=Quiet(
            stack=timedelta(seconds=settings.longest_input_quiet_s),
            study=timedelta(seconds=settings.longest_study_quiet_s),
        ),
        job_deadline_s=settings.job_deadline_s,
        max_study_age_days=settings.max_study_age_days,
    )


def _evaluation(parts: Parts) -> Evaluation:
    settings = parts.settings
    return Evaluation(
        store=parts.store,
        evaluate=EvaluateStudy(
            store=parts.store,
            connectors=parts.connectors,
            plan=_plan(parts),
            clock=parts.clock,
            retry_s=settings.feed_poll_s,
        ),
        clock=parts.clock,
        bell=Bell(),
        poll_s=settings.evaluation_poll_s,
        back_off_s=_BACK_OFF_S,
    )


def _roles(
    parts: Parts,
    publisher: RegistryPublisher,
    dispatching: Dispatching,
    evaluation: Evaluation,
    pools: RosterPools,
) -> Sequence[tuple[str, Callable[[Lease], Awaitable[None]]]]:
    settings = parts.settings
    intake = Intake(
        store=parts.store,
        follow=FollowFeed(
            store=parts.store,
            connectors=parts.connectors,
            clock=parts.clock,
            pause_s=settings.arrival_pause_s,
            sweep_every_s=settings.sweep_every_s,
        ),
        sweep=SweepArchive(
            store=parts.store,
            connectors=parts.connectors,
            clock=parts.clock,
            tiers=settings.tiers(),
            zone=settings.time_zone,
            pause_s=settings.arrival_pause_s,
        ),
        index=IndexSeries(
            store=parts.store,
            connectors=parts.connectors,
            clock=parts.clock,
            region=settings.region,
            begin_trace=begin_study,
            input_quiet_s=settings.input_quiet_s,
        ),
        clock=parts.clock,
        poll_s=settings.feed_poll_s,
        back_off_s=settings.feed_back_off_s,
    )
    watchdog = Watchdog(
        store=parts.store,
        sweep=SweepDeadlines(
            store=parts.store,
            pools=pools,
            clock=parts.clock,
            max_attempts=settings.max_attempts,
            back_off_s=settings.attempt_back_off_s,
        ),
        poll_s=settings.watchdog_poll_s,
        back_off_s=_BACK_OFF_S,
    )
    backfilling = Backfilling(
        store=parts.store,
        advance=AdvanceBackfills(store=parts.store, clock=parts.clock, backlog=settings.backfill_backlog),
        poll_s=settings.backfill_poll_s,
        back_off_s=_BACK_OFF_S,
    )
    return (
        ("registry", publisher.run),
        ("manifests", KeepingManifests(store=parts.store, put=parts.objects.put, every_s=_MANIFESTS_S).run),
        ("intake", intake.run),
        ("evaluation", evaluation.run),
        ("dispatch", dispatching.run),
        ("backfill", backfilling.run),
        ("watchdog", watchdog.run),
        ("measures", Measuring(parts.database, parts.clock, every_s=settings.measure_s).run),
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
