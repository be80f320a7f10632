"""The gRPC APIs of the router, put together."""

import asyncio
from collections.abc import Callable

from grpc import aio

from study_router.adapters.grpc_reconciliation import ReconciliationApi
from study_router.adapters.grpc_registry import ArchivesApi, AttachmentsApi, DeviceRegistryApi
from study_router.adapters.grpc_senders import SenderProfilesApi
from study_router.adapters.grpc_work import JobsApi, StudiesApi
from study_router.adapters.tracing import begin_study
from study_router.parts import Parts, plan_of
from study_router.usecases.archiving import BeginArchiving
from study_router.usecases.backfilling import OrderBackfill, ReadBackfills
from study_router.usecases.commands import CancelJob, RetryJob
from study_router.usecases.completing import CompleteStudy
from study_router.usecases.explaining import ExplainFacts, ReadNotes
from study_router.usecases.profiling import PutSenderProfile, ReadSenderProfiles, RemoveSenderProfile
from study_router.usecases.reading import CheckArchive, ExplainStudy, ReadJobs, ReadRegistry, ReadStudies
from study_router.usecases.reconciling import CompareArchives, CompareOutcomes, ListArchived
from study_router.usecases.registering import AddArchive, CreateAttachment, RegisterDevice, SuspendDevice
from study_router.usecases.releasing import ReleaseStudy
from study_router.usecases.submitting import SubmitStudies
from udc.router.v1 import (
    archives_pb2_grpc,
    devices_pb2_grpc,
    jobs_pb2_grpc,
    reconciliation_pb2_grpc,
    senders_pb2_grpc,
    studies_pb2_grpc,
)


def add_servicers(server: aio.Server, parts: Parts, *, changed: Callable[[], None]) -> None:
    """Add every API of the router itself.

    Args:
        server: Gets them.
        parts: What they work on.
        changed: Called when the registry may have changed.
    """
    _add_registry_servicers(server, parts, changed=changed)
    _add_work_servicers(server, parts)
    _add_reconciliation_servicer(server, parts)


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
            outcomes=CompareOutcomes(store=store, plan=plan_of(parts), clock=clock),
            archived=ListArchived(store=store),
        ),
        server,
    )
