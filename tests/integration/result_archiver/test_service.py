"""The service as it runs: killed anywhere it goes on where it was, and the archive holds one set of objects."""

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from grpc import aio

from integration.result_archiver.world import (
    ARCHIVE,
    ATTACHMENT,
    IDENTITY_KEY,
    ORGANISATION,
    Registry,
    accepted,
    registry_of,
    send,
    stored_results,
    write_secret,
)
from integration.udckit_core.waiting import until
from result_archiver.ports import AcceptedResult
from udc.archive.v1 import results_pb2, results_pb2_grpc
from udc.events.v1 import job_pb2, result_pb2
from udc.router.v1 import jobs_pb2, jobs_pb2_grpc
from udckit import subjects
from udckit.bus import Bus, BusSettings, connected
from udckit.clock import SystemClock
from udckit.envelope import headers_of, outgoing
from udckit.errors import NotFoundError, UpstreamUnavailableError
from udckit.grpc_client import open_channel
from udckit.objects import FileObjects
from udckit.publisher import Message, publishing
from udckit.replica import ReplicaRow, ReplicaWriter, replica_writer
from udckit.security.identity import Role, Service
from udckit.security.installation import Installation, install
from udckit.security.tokens import issue_token
from udckit.testing import NatsServer, Orthanc
from udckit.topology import provision
from udcmodel import codec
from udcmodel.grant import registry_key
from udcphantom.ct import render_ct
from udcphantom.geometry import evenly, scan
from udcphantom.heads import LEFT_BLEED, head
from udcphantom.identity import Identity
from udcphantom.study import Study
from unit.result_archiver.results import bleed, nothing

pytestmark = pytest.mark.connected

REGION = "r77"
REDELIVERY_S = 4.0
POLL_S = 0.3
CRASH_POINTS = (
    "archiver.after_build_commit",
    "archiver.after_begin",
    "archiver.after_stow_seg",
    "archiver.after_stow_sc",
    "archiver.before_sr",
    "archiver.after_stow_sr",
    "archiver.after_readback",
    "consumer.before_effect",
)


class Jobs(jobs_pb2_grpc.JobsServiceServicer):
    """The router's answer to the one question the archiver asks; every question is remembered."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, tuple[str, ...]]] = []

    async def BeginArchiving(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 gRPC's name and signature
        self.begun.append((request.job, tuple(request.sop_instance_uids)))
        return jobs_pb2.BeginArchivingResponse(granted=True)


@dataclass
class Region:
    """A region around one archiver."""

    folder: Path
    installation: Installation
    orthanc: Orthanc
    nats: NatsServer
    bus: Bus
    watching: Bus
    objects: FileObjects
    jobs: Jobs
    router_address: str
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def environment(self, crash_at: str | None) -> dict[str, str]:
        tls = self.installation.tls_of(Service.RESULT_ARCHIVER)
        variables = {
            "REGION": REGION,
            "DATABASE_URL": f"sqlite:///{self.folder}/archiver.db",
            "OBJECTS_URL": f"file://{self.folder}/objects",
            "NATS_URL": self.nats.url.replace("nats://", "tls://"),
            "TLS_CA": str(tls.ca),
            "TLS_CERT": str(tls.cert),
            "TLS_KEY": str(tls.key),
            "TOKEN_KEYS": str(self.installation.token_keys),
            "ADDRESS_FILE": str(self.folder / "address"),
            "ROUTER_ADDRESS": self.router_address,
            "IDENTITY_KEY_FILE": str(self.folder / "identity.key"),
            "SECRETS_DIR": str(self.folder / "secrets"),
        }
        crash = {"UDC_CRASH_AT": crash_at} if crash_at else {}
        ours = {f"RESULT_ARCHIVER_{name}": value for name, value in variables.items()}
        return {**os.environ, **ours, **crash, "PYTHONPATH": os.pathsep.join(sys.path)}

    @asynccontextmanager
    async def archiver(self, *, crash_at: str | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
        (self.folder / "address").unlink(missing_ok=True)
        log = (self.folder / "archiver.log").open("ab")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "result_archiver", env=self.environment(crash_at), stdout=log, stderr=log
        )
        log.close()
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    async def accept(self, result: AcceptedResult) -> None:
        """Announce a result as the router does."""
        message = result_pb2.ResultAccepted(
            job=result.job,
            attempt=1,
            result_digest=result.result_digest,
            grant=codec.grant_to_proto(result.grant),
            inputs=[
                job_pb2.Input(
                    name="ct", kind=job_pb2.INPUT_KIND_STACK, digest=result.stack_digest, archive=result.source_archive
                )
            ],
            study=result.study,
            revision=1,
            issue=result.issue,
            destinations=result.destinations,
            patient_fingerprint=result.patient_fingerprint,
            accepted_at=codec.timestamp(result.accepted_at),
            deadline=codec.timestamp(result.deadline),
        )
        event = outgoing(
            message,
            key=f"{result.job}|{result.result_digest}",
            subject=subjects.RESULT_ACCEPTED,
            about=f"jobs/{result.job}",
            organisation=ORGANISATION,
            occurred_at=result.accepted_at,
        )
        headers = headers_of(
            event, source="/services/study-router", region=REGION, sequence=next(self.numbers), trace={}
        )
        async with publishing(self.bus) as publisher:
            await publisher.publish(Message(subject=event.subject, headers=headers, body=event.body))

    async def result_of(self, job: str) -> results_pb2.GetResultResponse | None:
        """Ask the running archiver as an operator would."""
        try:
            address = (self.folder / "address").read_text().strip()
        except FileNotFoundError:
            return None
        token = issue_token(
            self.installation.signing_key,
            subject="operator",
            region=REGION,
            roles={Role.OPERATOR},
            organisations=["*"],
            clock=SystemClock(),
        )
        channel = open_channel(
            address, tls=self.installation.tls_of(Service.CLI), token=token, service="result-archiver", timeout_s=5
        )
        try:
            request = results_pb2.GetResultRequest(job=job)
            found: results_pb2.GetResultResponse = await results_pb2_grpc.ResultsServiceStub(channel).GetResult(request)
        except (NotFoundError, UpstreamUnavailableError):
            return None  # it is not known yet, or the service is starting or too busy for a handshake
        finally:
            await channel.close()
        return found

    async def is_archived(self, job: str) -> bool:
        # Asking means a TLS handshake, and the service has work to do.
        await asyncio.sleep(POLL_S)
        found = await self.result_of(job)
        return found is not None and found.state == results_pb2.DELIVERY_STATE_ARCHIVED

    async def is_announced(self, job: str) -> bool:
        return len(await self.announced(job)) == 1

    async def announced(self, job: str) -> list[result_pb2.ResultArchived]:
        """Every ``ResultArchived`` of a job that is in the stream, by distinct event id."""
        state = (await self.watching.js.stream_info(subjects.STREAM_EVENTS)).state
        found = {}
        for sequence in range(state.first_seq, state.last_seq + 1):
            message = await self.watching.js.get_msg(subjects.STREAM_EVENTS, sequence)
            if message.subject == subjects.RESULT_ARCHIVED:
                event = result_pb2.ResultArchived.FromString(message.data or b"")
                if event.job == job:
                    found[(message.headers or {})["ce-id"]] = event
        return list(found.values())


async def redeliver_soon(bus: Bus) -> None:
    """Let the broker give a message up sooner than in production, where nobody waits for the test to go on."""
    stream, durable = subjects.STREAM_EVENTS, subjects.DURABLE_ARCHIVER_RESULTS
    config = (await bus.js.consumer_info(stream, durable)).config
    await bus.js.add_consumer(stream, config.evolve(ack_wait=REDELIVERY_S))


async def keep_registry(writer: ReplicaWriter, registry: Registry) -> None:
    """Write the registry and beat, as the router does."""
    records: dict[str, codec.RegistryRecord] = {
        **{registry_key("version", *name): record for name, record in registry.devices.items()},
        registry_key("attachment", ATTACHMENT): registry.attachments[ATTACHMENT],
        registry_key("archive", ARCHIVE): registry.archives[ARCHIVE],
    }
    for key, record in records.items():
        await writer.put(ReplicaRow(key=key, revision=1, body=codec.encode_record(record, revision=1)))
    while True:
        await writer.beat()
        await asyncio.sleep(0.5)


@pytest.fixture
async def region(tmp_path: Path, orthanc: Orthanc) -> AsyncIterator[Region]:
    installation, _ = install(tmp_path / "tls", region=REGION, clock=SystemClock())
    (tmp_path / "identity.key").write_bytes(IDENTITY_KEY)
    write_secret(tmp_path / "secrets", orthanc.credentials)
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(
            NatsServer(tmp_path / "nats", config=installation.nats_configuration.read_text())
        )

        async def bus_of(service: Service) -> Bus:
            tls = installation.tls_of(service).client_context()
            settings = BusSettings(servers=[nats.url.replace("nats://", "tls://")], name=service.value, tls=tls)
            return await stack.enter_async_context(connected(settings))

        watching = await bus_of(Service.PROVISIONER)
        await provision(watching, pools=["cpu"])
        await redeliver_soon(watching)
        bus = await bus_of(Service.STUDY_ROUTER)
        writer = await stack.enter_async_context(replica_writer(bus, subjects.BUCKET_REGISTRY))
        beating = asyncio.create_task(keep_registry(writer, registry_of(orthanc.dicomweb_url)))
        stack.callback(beating.cancel)
        jobs = Jobs()
        server = aio.server()
        jobs_pb2_grpc.add_JobsServiceServicer_to_server(jobs, server)
        port = server.add_secure_port("127.0.0.1:0", installation.tls_of(Service.STUDY_ROUTER).server_credentials())
        await server.start()
        stack.push_async_callback(server.stop, None)
        yield Region(
            folder=tmp_path,
            installation=installation,
            orthanc=orthanc,
            nats=nats,
            bus=bus,
            watching=watching,
            objects=FileObjects(tmp_path / "objects"),
            jobs=jobs,
            router_address=f"127.0.0.1:{port}",
        )


def study_of(patient: str) -> Study:
    identity = Identity(patient_id=patient)
    return render_ct(head((LEFT_BLEED,)), scan(evenly(6, spacing=20.0)), identity=identity)


@pytest.mark.timeout(600)
async def test_killed_anywhere_it_goes_on_and_the_archive_holds_one_set_of_objects(region: Region) -> None:
    for number, point in enumerate(CRASH_POINTS):
        study = study_of(f"PHANTOM-{number}")
        await send(region.orthanc, study, region.folder / f"study-{number}")
        result = await accepted(region.objects, study, bleed(study), now=datetime.now(UTC))
        async with region.archiver(crash_at=point) as doomed:
            await region.accept(result)
            async with asyncio.timeout(40):
                assert await doomed.wait() == -signal.SIGKILL, point

        async with region.archiver():
            await until(partial(region.is_archived, result.job), within_s=60)
            await until(partial(region.is_announced, result.job), within_s=30)
            found = await region.result_of(result.job)

        assert found is not None
        held = await stored_results(region.orthanc, study)
        assert set(held) == {item.sop_instance_uid for item in found.objects}, point
        assert [item.kind for item in found.objects] == ["SEG", "SC", "SR"]
        assert all(item.HasField("verified_at") for item in found.objects)
        (event,) = await region.announced(result.job)
        assert [item.digest for item in event.objects] == [item.digest for item in found.objects], point
        # However often the router was asked, it was told of the same objects.
        assert {uids for job, uids in region.jobs.begun if job == result.job} == {tuple(held_in_order(found))}


def held_in_order(found: results_pb2.GetResultResponse) -> list[str]:
    return [item.sop_instance_uid for item in found.objects]


async def test_an_archive_that_is_away_is_waited_for(region: Region) -> None:
    study = study_of("PHANTOM-W")
    await send(region.orthanc, study, region.folder / "study")
    result = await accepted(region.objects, study, nothing(study), now=datetime.now(UTC))
    region.orthanc.kill()
    async with region.archiver() as process:
        await region.accept(result)
        log = region.folder / "archiver.log"
        await until(lambda: b"UPSTREAM_UNAVAILABLE" in log.read_bytes(), within_s=40)
        assert process.returncode is None
        assert await region.announced(result.job) == []
        await region.orthanc.start()
        await until(lambda: region.is_archived(result.job), within_s=60)
    assert len(await stored_results(region.orthanc, study)) == 2


async def test_the_log_names_no_patient(region: Region) -> None:
    study = study_of("PHANTOM-L")
    await send(region.orthanc, study, region.folder / "study")
    good = await accepted(region.objects, study, nothing(study), now=datetime.now(UTC))
    bad = replace(good, job="job-of-nobody")
    async with region.archiver():
        await region.accept(good)
        await region.accept(bad)
        await until(lambda: region.is_archived(good.job), within_s=60)
    log = (region.folder / "archiver.log").read_text()
    assert "PHANTOM-L" not in log
    assert "Фантомов" not in log
