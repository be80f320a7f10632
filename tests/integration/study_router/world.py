"""A region with a real router process, broker and archives; serving and archiver are played over the real wire."""

import asyncio
import json
import secrets
import sqlite3
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from region.service import ServiceProcess
from udc.events.v1 import job_pb2, result_pb2
from udc.router.v1 import (
    archives_pb2,
    archives_pb2_grpc,
    devices_pb2,
    devices_pb2_grpc,
    jobs_pb2,
    jobs_pb2_grpc,
    registry_pb2,
    studies_pb2,
    studies_pb2_grpc,
)
from udckit import subjects
from udckit.bus import Bus, BusSettings, connected
from udckit.clock import SystemClock
from udckit.envelope import Event, headers_of, outgoing, parse
from udckit.grpc_client import Channel, open_channel
from udckit.presence import presenting
from udckit.security.ca import files_in
from udckit.security.files import write_private
from udckit.security.identity import EVERYWHERE, Role, Service
from udckit.security.installation import Installation, install
from udckit.security.tokens import issue_token
from udckit.testing import NatsServer, Orthanc
from udckit.topology import provision

T = TypeVar("T")

REGION = "r77"
POOL = "cpu"
ORGANISATION = "1.2.643.5.1.13.13.12.2.77.99999"
MANIFEST = Path(__file__).parents[3] / "examples/devices/ct-brain-hyperdensity/manifest.yaml"
MODEL_DIGEST = f"sha256:{'ab' * 32}"
ATTACHMENT = "brain-pilot"
PATIENCE_S = 30.0


async def until(look: Callable[[], Awaitable[T | None]], *, what: str, within_s: float = PATIENCE_S) -> T:
    """Look again and again until there is something."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                found = await look()
                if found:
                    return found
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{what} did not happen within {within_s:g} s") from None


def unpacked(content: bytes) -> Any:
    """Return the headers that the list of a stack holds, each with the time at which its instance came."""
    return json.loads(zlib.decompress(content))


@dataclass
class Listener:
    """Remembers every event of the region."""

    events: list[Event] = field(default_factory=list)

    def of(self, kind: type[T]) -> list[T]:
        """Return the bodies of all events of one type."""
        return [event.decode(kind) for event in self.events if event.type == kind.DESCRIPTOR.full_name]  # type: ignore[attr-defined, type-var]  # kind is a message


@dataclass
class World:
    """What a test talks to."""

    state: Path
    nats: NatsServer
    installation: Installation
    router: ServiceProcess
    bus: Bus
    archiver_bus: Bus
    heard: Listener
    channels: list[Channel]
    variables: Mapping[str, str]

    def another_router(self, replica: str) -> ServiceProcess:
        """Return a further process of the router with the same settings, for a test to start."""
        return ServiceProcess(
            self.state / f"router-{replica}",
            service=Service.STUDY_ROUTER,
            security=self.installation.directory,
            variables=self.variables,
            replica=replica,
        )

    def _stub(self, make: Any, service: Service | None = None) -> Any:
        tls = files_in(self.installation.directory, service or Service.CLI)
        token = None
        if service is None:
            token = issue_token(
                self.installation.signing_key,
                subject="tester",
                roles=[Role.REGIONAL_ADMIN],
                organisations=[EVERYWHERE],
                region=REGION,
                clock=SystemClock(),
            )
        channel = open_channel(self.router.address, tls=tls, token=token, service=str(Service.STUDY_ROUTER))
        self.channels.append(channel)
        return make(channel)

    @property
    def archives(self) -> Any:
        return self._stub(archives_pb2_grpc.ArchivesServiceStub)

    @property
    def devices(self) -> Any:
        return self._stub(devices_pb2_grpc.DeviceRegistryServiceStub)

    @property
    def attachments(self) -> Any:
        return self._stub(devices_pb2_grpc.AttachmentsServiceStub)

    @property
    def studies(self) -> Any:
        return self._stub(studies_pb2_grpc.StudiesServiceStub)

    @property
    def jobs(self) -> Any:
        return self._stub(jobs_pb2_grpc.JobsServiceStub)

    @property
    def archiver(self) -> Any:
        """The router as the archiver calls it."""
        return self._stub(jobs_pb2_grpc.JobsServiceStub, Service.RESULT_ARCHIVER)

    async def add_archive(
        self, name: str, orthanc: Orthanc, *, feed: "archives_pb2.FeedKind" = archives_pb2.FEED_KIND_ORTHANC
    ) -> None:
        """Attach an archive, with its secret."""
        user, password = orthanc.credentials
        write_private(self.state / "secrets" / name, f"{user}:{password}".encode())
        await self.archives.AddArchive(
            archives_pb2.AddArchiveRequest(
                archive=archives_pb2.Archive(
                    archive=name,
                    organisation=ORGANISATION,
                    feed=feed,
                    dicomweb_url=orthanc.dicomweb_url,
                    orthanc_url=orthanc.rest_url,
                    credentials=name,
                )
            )
        )

    async def attach_device(self, destination: str) -> None:
        """Register the reference device and attach it."""
        now = datetime.now(UTC)
        await self.devices.RegisterDevice(
            devices_pb2.RegisterDeviceRequest(
                manifest_yaml=MANIFEST.read_bytes(),
                model_digest=MODEL_DIGEST,
                certificate=registry_pb2.Certificate(
                    number="РЗН 2099/1",
                    valid_from=_stamp(now - timedelta(days=1)),
                    valid_until=_stamp(now + timedelta(days=1)),
                    versions=["1.0.0"],
                    checked_at=_stamp(now),
                ),
            )
        )
        await self.attachments.CreateAttachment(
            devices_pb2.CreateAttachmentRequest(
                attachment=devices_pb2.Attachment(
                    attachment=ATTACHMENT,
                    device="ct-brain-hyperdensity",
                    version="1.0.0",
                    mode=job_pb2.MODE_PILOT,
                    destinations=[destination],
                    pool=POOL,
                    priority=job_pb2.PRIORITY_ROUTINE,
                )
            )
        )

    async def study(self, uid: str) -> studies_pb2.Study | None:
        """Return the study of a UID once the router knows it."""
        found = (await self.studies.ListStudies(studies_pb2.ListStudiesRequest(study_instance_uid=uid))).studies
        return found[0] if found else None

    async def job_in(self, uid: str, *states: "jobs_pb2.JobState") -> jobs_pb2.Job:
        """Wait until the newest job of a study is in one of ``states``."""

        async def look() -> jobs_pb2.Job | None:
            if await self.study(uid) is None:
                return None
            found = (await self.jobs.ListJobs(jobs_pb2.ListJobsRequest(study=uid))).jobs
            return found[0] if found and found[0].state in states else None

        return await until(look, what=f"state {states} of the newest job")

    async def jobs_of(self, uid: str) -> Sequence[jobs_pb2.Job]:
        """Return the jobs of a study, newest first."""
        return list((await self.jobs.ListJobs(jobs_pb2.ListJobsRequest(study=uid))).jobs)

    async def tell(self, message: Message, *, key: str, subject: str, about: str, as_archiver: bool = False) -> None:
        """Publish an event as serving or the archiver would."""
        event = outgoing(message, key=key, subject=subject, about=about, occurred_at=datetime.now(UTC))
        source = "/services/result-archiver" if as_archiver else "/services/model-serving"
        headers = headers_of(event, source=source, region=REGION, sequence=1, trace={})
        bus = self.archiver_bus if as_archiver else self.bus
        await bus.js.publish(subject, event.body, headers=headers)

    async def infer(self, job: str, *, attempt: int = 1, digest: str = f"sha256:{'1' * 64}") -> None:
        """Tell that a worker has a result."""
        await self.tell(
            job_pb2.JobInferred(job=job, attempt=attempt, worker="played", result_digest=digest),
            # Another answer is another fact: this is what a device does that differs on a redelivery.
            key=f"{job}|{attempt}|inferred|{digest}",
            subject=subjects.JOB_INFERRED,
            about=f"jobs/{job}",
        )

    def spans(self, name: str) -> list[dict[str, Any]]:
        """Return the finished spans of that name."""
        lines = (self.state / "spans.jsonl").read_text().splitlines()
        return [span for span in map(json.loads, lines) if span["name"] == name]

    def index(self) -> list[tuple[str, str]]:
        """Return (SOP Instance UID, class) of everything the router has indexed, from its database."""
        with closing(sqlite3.connect(f"file:{self.state / 'router.db'}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT sop_instance_uid, instance_class FROM instances").fetchall()
            lists = connection.execute("SELECT instance_class, content FROM instance_lists").fetchall()
        listed = [(header["sop_instance_uid"], label) for label, packed in lists for header, _ in unpacked(packed)]
        return [*rows, *listed]

    async def finish(self, uid: str, *, digest: str, archive: str, own: Sequence[str] = ()) -> jobs_pb2.Job:
        """Play serving and archiver until the newest job of a study has ended."""
        job = await self.job_in(uid, jobs_pb2.JOB_STATE_DISPATCHED)
        await self.infer(job.job, attempt=job.attempt, digest=digest)
        await self.job_in(uid, jobs_pb2.JOB_STATE_ACCEPTED)
        request = jobs_pb2.BeginArchivingRequest(job=job.job, result_digest=digest, sop_instance_uids=own)
        answer = await self.archiver.BeginArchiving(request)
        assert answer.granted, answer
        await self.archived(job.job, digest, archive)
        return await self.job_in(uid, jobs_pb2.JOB_STATE_ENDED)

    async def closed(self, uid: str, *, revision: int = 1) -> studies_pb2.Study:
        """Wait until a revision of a study is closed."""

        async def look() -> studies_pb2.Study | None:
            found = await self.study(uid)
            if found is None or found.state != studies_pb2.STUDY_STATE_CLOSED or found.revision != revision:
                return None
            return found

        return await until(look, what=f"closing of revision {revision}")

    async def archived(self, job: str, digest: str, archive: str) -> None:
        """Tell that an archive holds the result."""
        await self.tell(
            result_pb2.ResultArchived(job=job, result_digest=digest, archive=archive),
            key=f"{job}|{digest}|{archive}",
            subject=subjects.RESULT_ARCHIVED,
            about=f"jobs/{job}",
            as_archiver=True,
        )


def _stamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


@asynccontextmanager
async def region(state: Path, **settings: str) -> AsyncIterator[World]:
    """Start broker and router; archives are added by the test."""
    async with AsyncExitStack() as stack:
        installation, _ = install(state / "security", region=REGION, clock=SystemClock(), pools=[POOL])
        nats = await stack.enter_async_context(
            NatsServer(state / "nats", config=installation.nats_configuration.read_text())
        )
        url = nats.url.replace("nats://", "tls://")

        async def bus_of(service: Service) -> Bus:
            tls = installation.tls_of(service).client_context()
            return await stack.enter_async_context(connected(BusSettings(servers=[url], name=str(service), tls=tls)))

        await provision(await bus_of(Service.PROVISIONER), pools=[POOL])
        (state / "secrets").mkdir(mode=0o700)
        write_private(state / "secrets" / "identity.key", secrets.token_hex(32).encode())
        variables = {
            "region": REGION,
            "database_url": f"sqlite:///{state / 'router.db'}",
            "objects_url": "nats:objects",
            "nats_url": url,
            "trace_file": str(state / "spans.jsonl"),
            "secrets_dir": str(state / "secrets"),
            "identity_key_file": str(state / "secrets" / "identity.key"),
            "input_quiet_s": "1.5",
            "study_quiet_s": "4.0",
            "feed_poll_s": "0.2",
            "arrival_pause_s": "0.3",
            **settings,
        }
        router = await stack.enter_async_context(
            ServiceProcess(
                state / "router", service=Service.STUDY_ROUTER, security=installation.directory, variables=variables
            )
        )
        serving = await bus_of(Service.MODEL_SERVING)
        heard = Listener()
        await _listen(await bus_of(Service.PROVISIONER), heard, stack)
        presence = await stack.enter_async_context(presenting(serving, subjects.BUCKET_POOLS))
        slots = registry_pb2.PoolSlots(replica="played", pool=POOL, slots=4)
        await presence.publish("played", slots.SerializeToString())
        channels: list[Channel] = []
        world = World(
            state,
            nats,
            installation,
            router,
            serving,
            await bus_of(Service.RESULT_ARCHIVER),
            heard,
            channels,
            variables,
        )
        try:
            yield world
        finally:
            for channel in channels:
                await channel.close()


async def _listen(bus: Bus, heard: Listener, stack: AsyncExitStack) -> None:
    consumer = await bus.js.pull_subscribe(f"{subjects.PREFIX}.>", stream=subjects.STREAM_EVENTS)

    stopped = asyncio.Event()

    async def take() -> None:
        while not stopped.is_set():
            try:
                for message in await consumer.fetch(64, timeout=0.5):
                    heard.events.append(parse(message.headers or {}, message.data))
                    await message.ack()
            except TimeoutError:
                continue

    task = asyncio.create_task(take())

    async def stop() -> None:
        stopped.set()
        await task

    stack.push_async_callback(stop)
