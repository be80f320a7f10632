"""A region in which things are killed, and what must be true of it afterwards."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
from google.protobuf.message import Message
from nats.js.api import AckPolicy, ConsumerConfig

from e2e.watching import Watcher
from faults.regions import provisioner
from region.service import ServiceProcess
from region.stack import Region
from region.story import current, is_settled
from udc.events.v1 import job_pb2, result_pb2
from udc.router.v1 import studies_pb2
from udckit import subjects
from udckit.bus import connected
from udckit.security.identity import Service
from udcphantom import LEFT_BLEED, Identity, Study, evenly, head, render_ct, scan

ATTACHMENTS = 2
DEVICE = "ct-brain-hyperdensity"

Fact = TypeVar("Fact", bound=Message)


def small_study(seed: int, *, description: str = "") -> Study:
    """A head CT with a lesion, small enough to be sent by the dozen; each seed is another patient."""
    geometry = scan(evenly(16, spacing=10.0), rows=64, columns=64, pixel_mm=(3.5, 3.5))
    identity = Identity(patient_id=f"FAULT-{seed:05d}", accession_number=f"F{seed:05d}", study_description=description)
    return render_ct(head([LEFT_BLEED]), geometry, identity=identity, seed=seed)


@dataclass(frozen=True, slots=True)
class RegionUnderFault:
    """Sends studies, kills things, and judges what is left.

    Attributes:
        region: What is broken.
        folder: Where studies are drawn.
        attachments: How many outcomes a study has.
        device: Its result is what every study must have.
    """

    region: Region
    folder: Path
    attachments: int = ATTACHMENTS
    device: str = DEVICE

    @property
    def watcher(self) -> Watcher:
        return Watcher(self.region)

    def process(self, service: Service) -> ServiceProcess:
        return {
            Service.STUDY_ROUTER: self.region.router,
            Service.MODEL_SERVING: self.region.serving,
            Service.RESULT_ARCHIVER: self.region.archiver,
            Service.SURVEILLANCE_REPORTER: self.region.reporter,
        }[service]

    async def send(self, seed: int, *, description: str = "") -> str:
        """Send a study; return its Study Instance UID."""
        study = small_study(seed, description=description)
        await self.region.orthanc.store(study.write(self.folder / str(seed)))
        return study.uid

    async def settled(self, uids: Sequence[str]) -> Mapping[str, studies_pb2.Study]:
        return await self.watcher.until(uids, lambda study: is_settled(study, attachments=self.attachments))

    async def faults(self, uids: Sequence[str]) -> list[str]:
        """Say what is lost or doubled among settled studies; an empty list is what a test wants."""
        found = await self.settled(uids)
        archived = await self.archived_events()
        accepted = await self.events(subjects.RESULT_ACCEPTED, result_pb2.ResultAccepted)
        complaints: list[str] = []
        for uid in uids:
            study = found[uid]
            by_device = Counter(outcome.device for outcome in current(study))
            if any(count != 1 for count in by_device.values()):
                complaints.append(f"{uid}: outcomes {dict(by_device)}")
            outcome = next(item for item in current(study) if item.device == self.device)
            if outcome.outcome != job_pb2.OUTCOME_ARCHIVED:
                complaints.append(f"{uid}: {job_pb2.Outcome.Name(outcome.outcome)} {outcome.detail}")
                continue
            told = [event for event in archived if event.job == outcome.job]
            if len(told) != 1:
                complaints.append(f"{uid}: {len(told)} times result.archived")
            kinds = await self._result_kinds(uid)
            # One picture for each plane in which something was found, and noise may look like a finding.
            if kinds["SR"] != 1 or kinds["SEG"] != 1 or any(kinds.total() != len(event.objects) for event in told):
                complaints.append(f"{uid}: the archive holds {dict(kinds)}")
            jobs = await self.watcher.jobs(study)
            if len(jobs) != 1:
                complaints.append(f"{uid}: {len(jobs)} jobs")
            digests = {event.result_digest for event in accepted if event.job == outcome.job}
            if digests != {event.result_digest for event in told} or len(digests) != 1:
                complaints.append(f"{uid}: accepted {sorted(digests)} and stored another result")
        return complaints

    async def archived_events(self) -> list[result_pb2.ResultArchived]:
        """Read every ``result.archived`` in the stream, each message once."""
        return await self.events(subjects.RESULT_ARCHIVED, result_pb2.ResultArchived)

    async def events(self, subject: str, fact: type[Fact]) -> list[Fact]:
        """Read every event of ``subject`` in the stream, each message once."""
        events: dict[int, Fact] = {}
        async with connected(provisioner(self.region)) as bus:
            pulling = await bus.js.pull_subscribe(
                subject,
                stream=subjects.STREAM_EVENTS,
                config=ConsumerConfig(ack_policy=AckPolicy.NONE),
            )
            while True:
                try:
                    messages = await pulling.fetch(100, timeout=0.5)
                except TimeoutError:
                    break
                for message in messages:
                    events[message.metadata.sequence.stream] = fact.FromString(message.data)
            await pulling.unsubscribe()
        return list(events.values())

    async def _result_kinds(self, uid: str) -> Counter[str]:
        url = f"{self.region.orthanc.dicomweb_url}/studies/{uid}/instances"
        async with httpx.AsyncClient(auth=self.region.orthanc.credentials, timeout=30) as client:
            answer = await client.get(url, headers={"Accept": "application/dicom+json"})
            answer.raise_for_status()
        modality = Counter(instance["00080060"]["Value"][0] for instance in answer.json())
        # Secondary captures have the modality OT (PS3.3 C.8.6.1).
        return Counter({"SR": modality["SR"], "SEG": modality["SEG"], "SC": modality["OT"]})
