"""The composition root of model serving."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

import structlog
from grpc import aio

from model_serving.adapters.artefacts import StoredArtefacts
from model_serving.adapters.build import processing_build
from model_serving.adapters.case_images import StoredCaseImages
from model_serving.adapters.events import dispatches, hearing_cancellations
from model_serving.adapters.golden_store import SqlGoldenRuns
from model_serving.adapters.grpc_api import ServingApi
from model_serving.adapters.images import DicomwebImages
from model_serving.adapters.memory import pooled, private, remove_orphans, shared
from model_serving.adapters.secrets import Secrets
from model_serving.adapters.store import SqlRuns
from model_serving.adapters.triton import TritonBackend, connected_triton
from model_serving.settings import Settings
from model_serving.usecases import (
    Archives,
    Inference,
    InFlight,
    ManageDevices,
    Models,
    ModelStatus,
    ProveGolden,
    RunJob,
)
from udc.events.v1 import events_service_pb2_grpc
from udc.router.v1 import registry_pb2
from udc.serving.v1 import serving_pb2_grpc
from udckit import subjects, telemetry
from udckit.background import kept_running
from udckit.bus import Bus, BusSettings, connected
from udckit.clock import SystemClock
from udckit.consumer import Consumer, consuming
from udckit.database import opened
from udckit.events_api import EventsApi
from udckit.objects import opened_objects
from udckit.presence import Presence, presenting
from udckit.relay import Producer, relaying
from udckit.replica import Replica, StaleReplicaError, replicating
from udckit.runtime import Readiness
from udckit.security.tls import Tls
from udcmodel.registry import CopiedRegistry

SOURCE: Final = "/services/model-serving"
_LOOK_S: Final = 1.0
_MIB: Final = 1 << 20
_LONGEST_QUEUE: Final = 64 * _MIB

log: Final = structlog.get_logger()


@asynccontextmanager
async def lifespan(settings: Settings, server: aio.Server, readiness: Readiness) -> AsyncIterator[None]:
    """Open what a worker needs, take jobs, and close everything at the end."""
    clock = SystemClock()
    orphans = remove_orphans()
    if orphans:
        log.warning("memory.orphans_removed", segments=orphans)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(opened(settings.database_url, migrations="model_serving.migrations"))
        tls = Tls(ca=settings.tls_ca, cert=settings.tls_cert, key=settings.tls_key)
        bus = await stack.enter_async_context(
            connected(
                BusSettings(servers=settings.nats_url.split(","), name=settings.service, tls=tls.client_context())
            )
        )
        objects = await stack.enter_async_context(opened_objects(settings.objects_url, bus))
        cases = await stack.enter_async_context(opened_objects(settings.golden_url, bus))
        replica = await stack.enter_async_context(replicating(bus, subjects.BUCKET_REGISTRY))
        backend = await stack.enter_async_context(
            connected_triton(
                settings.triton_address,
                repository=settings.model_repository,
                memory=stack.enter_context(pooled(shared, capacity=settings.tensor_memory_mib * _MIB)),
            )
        )
        registry, artefacts, images = (
            CopiedRegistry(replica.get),
            StoredArtefacts(objects, cases),
            _images(settings, stack),
        )
        archives = Archives(registry, images)
        await stack.enter_async_context(kept_running(archives.watch, "probe-archives"))
        infer = Inference(backend=backend, clock=clock)
        golden = ProveGolden(
            registry=registry,
            artefacts=artefacts,
            images=StoredCaseImages(cases, images),
            infer=infer,
            runs=SqlGoldenRuns(database, worker=settings.replica),
            clock=clock,
            processing_build=processing_build(),
        )
        models = Models(
            backend,
            golden,
            slots=settings.slots,
            runs_per_model=max(1, settings.slots - 1),
            load_s=settings.load_s,
            canary_s=settings.canary_s,
        )
        runs = SqlRuns(database, worker=settings.replica, clock=clock)
        in_flight = InFlight()
        run_job = RunJob(
            registry=registry,
            artefacts=artefacts,
            images=images,
            archives=archives,
            infer=infer,
            models=models,
            runs=runs,
            in_flight=in_flight,
            clock=clock,
            progress_every_s=settings.progress_s,
        )
        serving_pb2_grpc.add_ServingServiceServicer_to_server(
            ServingApi(
                models,
                ManageDevices(registry=registry, artefacts=artefacts, models=models, golden=golden),
                archives,
                replica=settings.replica,
                pool=settings.pool,
                processing_build=golden.processing_build,
            ),
            server,
        )
        relay = await stack.enter_async_context(
            relaying(database, bus, Producer(source=SOURCE, region=settings.region))
        )
        events_service_pb2_grpc.add_EventsServiceServicer_to_server(EventsApi(database, relay), server)
        await stack.enter_async_context(hearing_cancellations(bus, in_flight))
        consumer = await stack.enter_async_context(
            consuming(
                bus,
                database,
                dispatches(
                    run_job,
                    runs,
                    pool=settings.pool,
                    # A job that waits for a busy model must not keep jobs of other models out.
                    waiting_room=2 * settings.slots,
                    longest_run_s=settings.longest_run_s,
                    grace_s=settings.grace_s,
                ),
            )
        )
        presence = await stack.enter_async_context(presenting(bus, subjects.BUCKET_POOLS))
        tell = partial(
            _tell_readiness,
            settings,
            readiness,
            bus=bus,
            replica=replica,
            backend=backend,
            models=models,
            archives=archives,
            consumer=consumer,
            presence=presence,
        )
        await stack.enter_async_context(kept_running(tell, "watch-dependencies"))
        yield


def _images(settings: Settings, stack: AsyncExitStack) -> DicomwebImages:
    series_at_once = settings.slots * settings.archive_series_at_once
    tls = ssl.create_default_context()
    if settings.archive_ca is not None:
        tls.load_verify_locations(settings.archive_ca)
    fallbacks = telemetry.meter().create_counter("udc.serving.fallbacks", unit="{image}")
    return DicomwebImages(
        memory=stack.enter_context(pooled(private, capacity=settings.volume_memory_mib * _MIB)),
        readers=stack.enter_context(ThreadPoolExecutor(series_at_once, thread_name_prefix="retrieve")),
        decoders=stack.enter_context(ThreadPoolExecutor(settings.decoders, thread_name_prefix="decode")),
        secret=Secrets(settings.secrets_dir),
        idle_s=settings.archive_idle_s,
        longest_part=settings.longest_instance_mib * _MIB,
        longest_queue=_LONGEST_QUEUE,
        series_at_once=settings.archive_series_at_once,
        tls=tls,
        count_fallback=lambda why: fallbacks.add(1, {"udc.fallback.reason": why}),
    )


async def _tell_readiness(
    settings: Settings,
    readiness: Readiness,
    *,
    bus: Bus,
    replica: Replica,
    backend: TritonBackend,
    models: Models,
    archives: Archives,
    consumer: Consumer,
    presence: Presence,
) -> None:
    """Say again and again what stands against work here; slots are offered only while nothing does.

    What is away is told to the router too: an attempt that it holds up has not failed.
    """
    key = f"{settings.pool}.{settings.replica.replace('.', '-')}"
    while True:
        against = {
            "nats": "" if bus.healthy() else "NATS is away, or refuses a subject",
            "registry": "the copy of the registry is stale" if replica.is_stale else "",
            "triton": "" if await backend.is_live() else "Triton does not answer",
            "consumer": consumer.stalled_by or "",
            "breaker": consumer.breaker_reason or "",
            "models": models.kept_by_backend,
        }
        for condition, reason in against.items():
            if reason:
                readiness.block(condition, reason)
            else:
                readiness.clear(condition)
        # A breaker is left out: its probe is a job, so somebody must still send one.
        takes_work = not any(against[condition] for condition in ("nats", "registry", "triton", "consumer"))
        # Each start waits for the registry: a job that kills its worker again and again must not look held up by that.
        held_up = [against["triton"], against["consumer"], against["breaker"].replace(StaleReplicaError.reason, "")]
        offer = _offer(settings, models.statuses(), archives.away)
        offer.slots = settings.slots if takes_work else 0
        offer.waiting_for = ", ".join(filter(None, held_up))
        if takes_work or offer.waiting_for:
            await presence.publish(key, offer.SerializeToString(deterministic=True))
        else:
            await presence.withdraw(key)
        await asyncio.sleep(_LOOK_S)


def _offer(settings: Settings, models: Sequence[ModelStatus], archives_away: Iterable[str]) -> registry_pb2.PoolSlots:
    """Return what this replica cannot run now, for the router to know."""
    return registry_pb2.PoolSlots(
        replica=settings.replica,
        pool=settings.pool,
        archives_away=sorted(archives_away),
        not_activated=[
            registry_pb2.DeviceVersionName(device=model.device, version=model.version)
            for model in models
            if not model.is_activated
        ],
    )
