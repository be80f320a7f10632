"""The composition root of the result archiver."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import httpx
from grpc import aio

from result_archiver.adapters.archives import Archives
from result_archiver.adapters.contents import StoredContents
from result_archiver.adapters.dicom.builder import AirBuilder
from result_archiver.adapters.dicom.comparison import difference
from result_archiver.adapters.dicom.drawing import Typeface
from result_archiver.adapters.ledger import SqlLedger
from result_archiver.adapters.result_events import may_replay, subscription
from result_archiver.adapters.results_api import ResultsApi
from result_archiver.adapters.router import GrpcRouter
from result_archiver.settings import Settings
from result_archiver.usecases.archive_result import ArchiveResult
from result_archiver.usecases.verify_results import VerifyResults
from udc.archive.v1.results_pb2_grpc import add_ResultsServiceServicer_to_server
from udc.events.v1 import events_service_pb2_grpc
from udckit import subjects
from udckit.background import kept_running
from udckit.bus import Bus, BusSettings, connected
from udckit.clock import SystemClock
from udckit.consumer import Consumer, Policy, consuming
from udckit.database import opened
from udckit.errors import PreconditionError
from udckit.events_api import EventsApi
from udckit.grpc_client import open_channel
from udckit.objects import opened_objects
from udckit.relay import Producer, Relay, relaying
from udckit.replica import Replica, replicating
from udckit.runtime import Readiness
from udckit.security.tls import Tls
from udcmodel.registry import CopiedRegistry

MIGRATIONS: Final = "result_archiver.migrations"
_KEPT_S: Final = 0.5
"""How long an idle connection is kept; Orthanc closes one after a second."""
_CONNECT_S: Final = 5.0
_LOOK_S: Final = 1.0
_SHORTEST_KEY_BYTES: Final = 16


@asynccontextmanager
async def lifespan(settings: Settings, server: aio.Server, readiness: Readiness) -> AsyncIterator[None]:
    """Open what the archiver needs, in order, and close it in reverse."""
    # It tells of every attribute that it copies.
    logging.getLogger("highdicom").setLevel(logging.WARNING)
    tls = Tls(ca=settings.tls_ca, cert=settings.tls_cert, key=settings.tls_key)
    clock = SystemClock()
    builder = AirBuilder(Typeface(settings.font))
    identity_key = _key(settings.identity_key_file)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(opened(settings.database_url, migrations=MIGRATIONS))
        bus = await stack.enter_async_context(
            connected(
                BusSettings(servers=settings.nats_url.split(","), name=settings.service, tls=tls.client_context())
            )
        )
        objects = await stack.enter_async_context(opened_objects(settings.objects_url, bus))
        replica = await stack.enter_async_context(replicating(bus, subjects.BUCKET_REGISTRY))
        channel = open_channel(settings.router_address, tls=tls, service="study-router")
        stack.push_async_callback(channel.close)
        client = await stack.enter_async_context(
            httpx.AsyncClient(
                timeout=httpx.Timeout(settings.archive_timeout_s, connect=_CONNECT_S),
                limits=httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=_KEPT_S),
                # A proxy from the environment must not see patients' data.
                trust_env=False,
            )
        )
        registry, ledger = CopiedRegistry(replica.get), SqlLedger(database)
        open_archive = Archives(client, settings.secrets_dir)
        archive_result = ArchiveResult(
            registry=registry,
            contents=StoredContents(objects),
            open_archive=open_archive,
            router=GrpcRouter(channel),
            ledger=ledger,
            builders={"air": builder},
            difference=difference,
            clock=clock,
            identity_key=identity_key,
            zone=ZoneInfo(settings.zone),
        )
        verify = VerifyResults(
            registry=registry, ledger=ledger, open_archive=open_archive, difference=difference, clock=clock
        )
        add_ResultsServiceServicer_to_server(ResultsApi(database, verify), server)
        relay = await stack.enter_async_context(
            relaying(database, bus, Producer(source=f"/services/{settings.service}", region=settings.region))
        )
        events_service_pb2_grpc.add_EventsServiceServicer_to_server(
            EventsApi(database, relay, may_replay=may_replay), server
        )
        policy = Policy(concurrency=settings.concurrency, batch=settings.concurrency, limit_s=settings.handling_limit_s)
        consumer = await stack.enter_async_context(
            consuming(bus, database, subscription(archive_result, clock, policy))
        )
        tell = partial(_keep_telling, readiness, bus, replica, relay, consumer)
        await stack.enter_async_context(kept_running(tell, "tell-conditions"))
        yield


async def _keep_telling(readiness: Readiness, bus: Bus, replica: Replica, relay: Relay, consumer: Consumer) -> None:
    """Say from second to second what keeps results from being archived."""
    while True:
        reasons = {
            "nats": None if bus.healthy() else "NATS is away, or refuses a subject",
            "registry": "the copy of the registry is not confirmed" if replica.is_stale else None,
            "relay": relay.stalled_by,
            "results": consumer.stalled_by or consumer.breaker_reason,
        }
        for condition, reason in reasons.items():
            if reason is None:
                readiness.clear(condition)
            else:
                readiness.block(condition, reason)
        await asyncio.sleep(_LOOK_S)


def _key(path: Path) -> bytes:
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise PreconditionError(f"the key of the patients' fingerprints cannot be read: {error.strerror}") from error
    if len(key) < _SHORTEST_KEY_BYTES:
        raise PreconditionError(f"the key of the patients' fingerprints has less than {_SHORTEST_KEY_BYTES} bytes")
    return key
