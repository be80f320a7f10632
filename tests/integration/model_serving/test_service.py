"""The whole service: a job is dispatched on a real broker, and its reports come back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.protobuf.message import Message
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from integration.model_serving.scripted_archive import hanging_after, head, scripted_archive
from integration.model_serving.world import add_example, stack_of
from model_serving.app import lifespan
from model_serving.domain.run import Dispatch, Ending
from model_serving.settings import Settings
from model_serving.usecases import RunJob
from udc.events.v1 import job_pb2
from udc.router.v1 import registry_pb2
from udc.serving.v1 import serving_pb2, serving_pb2_grpc
from udckit import envelope, subjects
from udckit.bus import Bus, BusSettings, connected
from udckit.clock import SystemClock
from udckit.envelope import Event, outgoing
from udckit.errors import ServiceError
from udckit.grpc_client import open_channel
from udckit.objects import Objects, opened_objects
from udckit.presence import watching_roster
from udckit.replica import ReplicaRow, ReplicaWriter, replica_writer
from udckit.runtime import Readiness, serving
from udckit.security.identity import Service
from udckit.security.installation import Installation, install
from udckit.testing import NatsServer, Orthanc, Triton
from udckit.topology import provision
from udcmodel.codec import (
    INPUT_KIND_TO_PROTO,
    PRIORITY_TO_PROTO,
    decode_result,
    encode_record,
    encode_stack,
    grant_to_proto,
    timestamp,
)
from udcmodel.grant import ArchiveRecord, AttachmentRecord, registry_key
from udcmodel.manifest import Manifest
from udcmodel.stack import StackDescriptor
from udcphantom.ct import render_ct
from udcphantom.geometry import evenly, scan
from udcphantom.heads import LEFT_BLEED
from udcphantom.heads import head as a_head
from unit.model_serving.stand_ins import PlainArtefacts, PlainRegistry, granted

pytestmark = pytest.mark.connected

REGION = "r77"
STUDY = render_ct(a_head([LEFT_BLEED]), scan(evenly(36, spacing=5.0), rows=64, columns=64))


@dataclass
class Town:
    """A running worker, and the hands of the router."""

    installation: Installation
    router: Bus
    onlooker: Bus
    objects: Objects
    registry: ReplicaWriter
    manifest: Manifest
    model_digest: str
    address: str = ""
    readiness: Readiness | None = None
    revision: int = 0
    sequence: int = 0
    seen: list[Event] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def put(self, key: str, body: bytes) -> None:
        self.revision += 1
        await self.registry.put(ReplicaRow(key=key, revision=self.revision, body=body))

    async def a_job(
        self, job: str, *, archive: str = "pacs", within_s: float = 60.0, stack: StackDescriptor | None = None
    ) -> Dispatch:
        """Everything a job needs, registered and stored."""
        stack = stack or stack_of(STUDY, STUDY.series[0], archive=archive)
        plain, artefacts = PlainRegistry(), PlainArtefacts()
        dispatch = granted(
            self.manifest,
            self.model_digest,
            [stack],
            plain,
            artefacts,
            now=datetime.now(UTC),
            job=job,
            within_s=within_s,
        )
        await self.objects.put(self.manifest.canonical())
        await self.objects.put(encode_stack(stack))
        version = plain.versions[self.manifest.device, self.manifest.version]
        key = registry_key("version", version.device, version.version)
        await self.put(key, encode_record(version, revision=self.revision))
        attachment = plain.attachments["attachment-1"]
        await self.put(
            registry_key("attachment", attachment.attachment), encode_record(attachment, revision=self.revision)
        )
        return dispatch

    async def say(self, message: Message, *, subject: str, key: str, about: str) -> None:
        """Publish as the router's relay would."""
        event = outgoing(message, key=key, subject=subject, about=about, occurred_at=datetime.now(UTC))
        self.sequence += 1
        headers = envelope.headers_of(
            event, source="/services/study-router", region=REGION, sequence=self.sequence, trace={}
        )
        await self.router.js.publish(subject, event.body, headers=headers)

    async def dispatch(self, job: Dispatch) -> None:
        message = job_pb2.JobDispatched(
            job=job.job,
            attempt=job.attempt,
            deadline=timestamp(job.deadline),
            priority=PRIORITY_TO_PROTO[job.priority],
            pool="cpu",
            grant=grant_to_proto(job.grant),
            inputs=[
                job_pb2.Input(
                    name=item.name, kind=INPUT_KIND_TO_PROTO[item.kind], digest=item.digest, archive=item.archive
                )
                for item in job.inputs
            ],
        )
        subject = subjects.job_dispatched("cpu", "routine")
        await self.say(message, subject=subject, key=f"{job.job}|{job.attempt}", about=f"jobs/{job.job}")

    async def told(self, kind: type[Message], job: str, *, within_s: float = 30.0) -> Message:
        """Wait for the worker's report of this kind about a job."""
        async with asyncio.timeout(within_s):
            while True:
                for event in self.seen:
                    if event.type == kind.DESCRIPTOR.full_name and event.about == f"jobs/{job}":
                        return event.decode(kind)
                self.news.clear()
                await self.news.wait()

    def kinds(self, job: str) -> list[str]:
        """What the worker has said about a job, in order."""
        return [event.type.rpartition(".")[2] for event in self.seen if event.about == f"jobs/{job}"]

    async def status(self) -> serving_pb2.GetStatusResponse:
        channel = open_channel(self.address, tls=self.installation.tls_of(Service.STUDY_ROUTER))
        try:
            stub = serving_pb2_grpc.ServingServiceStub(channel)
            status: serving_pb2.GetStatusResponse = await stub.GetStatus(serving_pb2.GetStatusRequest())
            return status
        finally:
            await channel.close()


async def listen(town: Town) -> None:
    """Note everything the worker announces."""
    filters = [subjects.JOB_STARTED, subjects.JOB_RETURNED, subjects.JOB_INFERRED, subjects.JOB_FAILED]
    pulling = await town.onlooker.js.pull_subscribe(
        "",
        stream=subjects.STREAM_EVENTS,
        config=ConsumerConfig(filter_subjects=filters, ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.ALL),
    )
    while True:
        try:
            for message in await pulling.fetch(10, timeout=1):
                town.seen.append(envelope.parse(message.headers or {}, message.data))
                town.news.set()
        except TimeoutError:
            continue


async def beat(town: Town) -> None:
    """Keep the registry's copies fresh."""
    while True:
        await town.registry.beat()
        await asyncio.sleep(0.3)


async def until_ready(readiness: Readiness) -> None:
    async with asyncio.timeout(20):
        while not readiness.is_ready:
            await readiness.changed()


@pytest.fixture
async def town(tmp_path: Path, triton: Triton, orthanc: Orthanc) -> AsyncIterator[Town]:
    installation, _ = install(tmp_path / "identities", region=REGION, clock=SystemClock(), pools=["cpu"])
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(
            NatsServer(tmp_path / "nats", config=installation.nats_configuration.read_text())
        )
        url = nats.url.replace("nats://", "tls://")

        async def connect(service: Service) -> Bus:
            context = installation.tls_of(service).client_context()
            return await stack.enter_async_context(
                connected(BusSettings(servers=[url], name=service.value, tls=context))
            )

        provisioner = await connect(Service.PROVISIONER)
        await provision(provisioner, pools=["cpu"], max_bytes=64 << 20, object_bytes=64 << 20)
        router = await connect(Service.STUDY_ROUTER)
        manifest, digest = add_example(triton.model_repository, "ct-brain-hyperdensity")
        town = Town(
            installation=installation,
            router=router,
            onlooker=provisioner,
            objects=await stack.enter_async_context(opened_objects(f"file://{tmp_path / 'objects'}")),
            registry=await stack.enter_async_context(replica_writer(router, subjects.BUCKET_REGISTRY)),
            manifest=manifest,
            model_digest=digest,
        )
        (tmp_path / "secrets").mkdir()
        (tmp_path / "secrets" / "pacs").write_text(":".join(orthanc.credentials))
        archive = ArchiveRecord(archive="pacs", dicomweb_url=orthanc.dicomweb_url, credentials="pacs", profile="air")
        await town.put(registry_key("archive", "pacs"), encode_record(archive, revision=1))
        await orthanc.store(STUDY.write(tmp_path / "study"))
        tls = installation.tls_of(Service.MODEL_SERVING)
        settings = Settings(
            region=REGION,
            replica="worker-1",
            database_url=f"sqlite:///{tmp_path / 'serving.db'}",
            objects_url=f"file://{tmp_path / 'objects'}",
            nats_url=url,
            tls_ca=tls.ca,
            tls_cert=tls.cert,
            tls_key=tls.key,
            pool="cpu",
            slots=2,
            triton_address=triton.grpc_address,
            model_repository=triton.model_repository,
            secrets_dir=tmp_path / "secrets",
            grace_s=2.0,
        )
        async with serving(settings, lifespan) as (address, readiness), asyncio.TaskGroup() as group:
            background = [group.create_task(listen(town)), group.create_task(beat(town))]
            town.address, town.readiness = address, readiness
            await until_ready(readiness)
            yield town
            for task in background:
                task.cancel()


async def test_a_dispatched_job_is_started_and_inferred(town: Town) -> None:
    job = await town.a_job("job-1")
    await town.dispatch(job)
    inferred = await town.told(job_pb2.JobInferred, "job-1")
    assert isinstance(inferred, job_pb2.JobInferred)
    assert (inferred.attempt, inferred.worker, inferred.findings_present) == (1, "worker-1", 1)
    result = decode_result(await town.objects.get(inferred.result_digest))
    assert result.provenance.job == "job-1"
    assert town.kinds("job-1") == ["JobStarted", "JobInferred"]

    status = await town.status()
    (model,) = status.models
    assert (status.pool, status.slots, status.busy) == ("cpu", 2, 0)
    assert (model.device, model.ready, model.canary) == ("ct-brain-hyperdensity", True, "passed")


async def test_the_same_job_dispatched_twice_is_reported_once(town: Town) -> None:
    job = await town.a_job("job-1")
    for _ in range(2):
        await town.dispatch(job)
    await town.told(job_pb2.JobInferred, "job-1")
    other = await town.a_job("job-2")
    await town.dispatch(other)
    await town.told(job_pb2.JobInferred, "job-2")
    assert town.kinds("job-1") == ["JobStarted", "JobInferred"]


async def test_the_worker_offers_its_slots(town: Town) -> None:
    async with watching_roster(town.router, subjects.BUCKET_POOLS) as roster, asyncio.timeout(10):
        while not (items := roster.items()):  # noqa: ASYNC110 another process sets no event
            await asyncio.sleep(0.05)
    slots = registry_pb2.PoolSlots.FromString(items["cpu.worker-1"])
    assert (slots.pool, slots.replica, slots.slots) == ("cpu", "worker-1", 2)


async def test_a_device_that_is_withdrawn_from_the_attachment_is_refused(town: Town) -> None:
    job = await town.a_job("job-1")
    key = registry_key("attachment", "attachment-1")
    suspended = AttachmentRecord(
        attachment="attachment-1",
        revision=job.grant.attachment_revision,
        device=job.grant.device,
        version=job.grant.version,
        mode=job.grant.mode,
        is_suspended=True,
        organisations=(),
    )
    await town.put(key, encode_record(suspended, revision=town.revision))
    await town.registry.beat()
    await asyncio.sleep(0.5)  # the promise is a second
    await town.dispatch(job)
    failed = await town.told(job_pb2.JobFailed, "job-1")
    assert isinstance(failed, job_pb2.JobFailed)
    assert failed.reason == "REFUSED_ATTACHMENT_SUSPENDED"
    assert not failed.retryable
    assert town.kinds("job-1") == ["JobFailed"]


async def test_a_cancelled_job_leaves_the_archive_and_reports_nothing(town: Town) -> None:
    async with scripted_archive() as archive:
        archive.script = hanging_after(head())
        record = ArchiveRecord(archive="slow", dicomweb_url=archive.url, credentials="", profile="air")
        await town.put(registry_key("archive", "slow"), encode_record(record, revision=town.revision))
        await town.dispatch(await town.a_job("job-1", archive="slow"))
        async with asyncio.timeout(30):
            await archive.asked.wait()

        await town.say(
            job_pb2.JobCanceled(job="job-1", attempt=1, reason="nobody needs it"),
            subject=subjects.JOB_CANCELED,
            key="job-1|1|canceled",
            about="jobs/job-1",
        )
        async with asyncio.timeout(5):
            await archive.left.wait()

    await town.dispatch(await town.a_job("job-2"))
    await town.told(job_pb2.JobInferred, "job-2")
    assert town.kinds("job-1") == ["JobStarted"]


async def test_a_job_stops_at_its_deadline_and_reports_nothing(town: Town) -> None:
    async with scripted_archive() as archive:
        archive.script = hanging_after(head())
        record = ArchiveRecord(archive="slow", dicomweb_url=archive.url, credentials="", profile="air")
        await town.put(registry_key("archive", "slow"), encode_record(record, revision=town.revision))
        await town.dispatch(await town.a_job("job-1", archive="slow", within_s=4.0))
        async with asyncio.timeout(10):
            await archive.left.wait()
    await town.dispatch(await town.a_job("job-2"))
    await town.told(job_pb2.JobInferred, "job-2")
    assert town.kinds("job-1") == ["JobStarted"]


@asynccontextmanager
async def second_archive(town: Town, tmp_path: Path) -> AsyncIterator[Orthanc]:
    """Another archive with the same study, known to the registry as ``second``."""
    async with Orthanc(tmp_path / "second") as second:
        (tmp_path / "secrets" / "second").write_text(":".join(second.credentials))
        archive = ArchiveRecord(archive="second", dicomweb_url=second.dicomweb_url, credentials="second", profile="air")
        await town.put(registry_key("archive", "second"), encode_record(archive, revision=1))
        await second.store(STUDY.write(tmp_path / "second-study"))
        yield second


async def offered(town: Town, away: list[str]) -> registry_pb2.PoolSlots:
    """Wait until the worker tells the router that exactly these archives are away."""
    async with watching_roster(town.router, subjects.BUCKET_POOLS) as roster, asyncio.timeout(30):
        while True:
            for content in roster.items().values():
                offer = registry_pb2.PoolSlots.FromString(content)
                if list(offer.archives_away) == away:
                    return offer
            await asyncio.sleep(0.1)


async def test_an_archive_that_is_away_holds_up_no_job_of_another(town: Town, tmp_path: Path) -> None:
    readiness = town.readiness
    assert readiness is not None
    async with second_archive(town, tmp_path) as second:
        second.kill()
        for number in range(4):  # more than there are slots
            await town.dispatch(await town.a_job(f"away-{number}", archive="second"))
        await town.dispatch(await town.a_job("here"))

        await town.told(job_pb2.JobInferred, "here", within_s=60)
        for number in range(4):
            returned = await town.told(job_pb2.JobReturned, f"away-{number}")
            assert isinstance(returned, job_pb2.JobReturned)
            assert (returned.reason, returned.attempt) == ("ARCHIVE_AWAY", 1)
            assert returned.detail.startswith("archive second: the archive at 127.0.0.1 cannot be read from")
        offer = await offered(town, ["second"])
        assert offer.slots == 2
        assert readiness.reasons == {}, "the breaker of all jobs opened"
        (away,) = (await town.status()).archives_away
        assert away.archive == "second"

        await second.start()
        await offered(town, [])
        again = replace(await town.a_job("away-0", archive="second"), attempt=2)
        await town.dispatch(again)
        await town.told(job_pb2.JobInferred, "away-0", within_s=60)


async def test_the_old_way_an_archive_that_is_away_stops_every_job(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the test above would see if a job whose archive is away were not given back."""

    def wait_with_everybody(self: RunJob, error: ServiceError) -> Ending:  # noqa: ARG001 a method's signature
        raise error

    monkeypatch.setattr(RunJob, "_given_back", wait_with_everybody)
    readiness = town.readiness
    assert readiness is not None
    async with second_archive(town, tmp_path) as second:
        second.kill()
        await town.dispatch(await town.a_job("away", archive="second"))
        async with asyncio.timeout(30):
            while "breaker" not in readiness.reasons:
                await readiness.changed()
    assert town.kinds("away") == ["JobStarted"]
