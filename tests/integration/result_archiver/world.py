"""What surrounds the archiver: the router's and serving's part is played here, archives and brokers are real."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from result_archiver.adapters.archives import Archives
from result_archiver.adapters.contents import StoredContents
from result_archiver.adapters.dicom.builder import AirBuilder
from result_archiver.adapters.dicom.comparison import difference
from result_archiver.adapters.dicom.drawing import Typeface
from result_archiver.adapters.ledger import SqlLedger
from result_archiver.ports import AcceptedResult, Builder, Line
from result_archiver.usecases.archive_result import ArchiveResult
from udckit.database import Database
from udckit.objects import FileObjects
from udckit.testing import Orthanc
from udcmodel import codec
from udcmodel.grant import ArchiveRecord, AttachmentRecord, Certificate, DeviceVersionRecord, Grant
from udcmodel.ids import derive, digest_of, patient_fingerprint, study_id
from udcmodel.manifest import Manifest, parse
from udcmodel.result import AiResult, Provenance
from udcmodel.stack import StackDescriptor, StackFrame
from udcmodel.vocabulary import Mode
from udcphantom.study import Study

IDENTITY_KEY = b"a key for tests, 32 bytes long.."
NOW = datetime(2026, 3, 1, 21, 15, tzinfo=UTC)
DEADLINE = NOW + timedelta(hours=1)
ARCHIVE = "hospital"
ATTACHMENT = "a1"
ORGANISATION = "1.2.643.5.1.13.13.12.2.77.7801"
MODEL_DIGEST = digest_of(b"model")
MANIFEST_FILE = Path(__file__).parents[3] / "examples/devices/ct-brain-hyperdensity/manifest.yaml"


def manifest() -> Manifest:
    return parse(MANIFEST_FILE.read_bytes())


class SetClock:
    """A clock that stands still until it is set."""

    def __init__(self, now: datetime = NOW) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


@dataclass
class Registry:
    """The registry as the router would have written it."""

    devices: dict[tuple[str, str], DeviceVersionRecord] = field(default_factory=dict)
    attachments: dict[str, AttachmentRecord] = field(default_factory=dict)
    archives: dict[str, ArchiveRecord] = field(default_factory=dict)

    def device_version(self, device: str, version: str) -> DeviceVersionRecord | None:
        return self.devices.get((device, version))

    def attachment(self, attachment: str) -> AttachmentRecord | None:
        return self.attachments.get(attachment)

    def archive(self, archive: str) -> ArchiveRecord | None:
        return self.archives.get(archive)


@dataclass
class Router:
    """Agrees unless told otherwise, and remembers what it was asked."""

    line: Line = field(default_factory=lambda: Line(granted=True))
    error: Exception | None = None
    asked: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)

    async def begin_archiving(self, job: str, result_digest: str, sop_instance_uids: Sequence[str]) -> Line:
        self.asked.append((job, result_digest, tuple(sop_instance_uids)))
        if self.error is not None:
            raise self.error
        return self.line


def registry_of(dicomweb_url: str, *, profile: str = "air") -> Registry:
    described = manifest()
    certificate = Certificate(
        number="РЗН 2023/1",
        valid_from=NOW - timedelta(days=900),
        valid_until=None,
        versions=(described.version,),
        holder="",
        source="",
        checked_at=NOW,
    )
    return Registry(
        devices={
            (described.device, described.version): DeviceVersionRecord(
                device=described.device,
                version=described.version,
                manifest_digest=described.digest,
                model_digest=MODEL_DIGEST,
                is_medical_device=True,
                is_suspended=False,
                suspension_reason="",
                certificate=certificate,
            )
        },
        attachments={
            ATTACHMENT: AttachmentRecord(
                attachment=ATTACHMENT,
                revision=1,
                device=described.device,
                version=described.version,
                mode=Mode.LIVE,
                is_suspended=False,
                organisations=(),
            )
        },
        archives={
            ARCHIVE: ArchiveRecord(
                archive=ARCHIVE, dicomweb_url=dicomweb_url, credentials="hospital-secret", profile=profile
            )
        },
    )


async def accepted(
    objects: FileObjects, study: Study, result: AiResult, *, mode: Mode = Mode.LIVE, now: datetime = NOW
) -> AcceptedResult:
    """Store what serving and the router would have stored, and say what the router would say."""
    described = manifest()
    header = next(study.datasets())
    frames = tuple(
        StackFrame(sop_class_uid=source.sop_class_uid, sop_instance_uid=source.sop_instance_uid, rows=64, columns=64)
        for source in result.sources
    )
    stack = await objects.put(
        codec.encode_stack(
            StackDescriptor(
                archive=ARCHIVE,
                study_instance_uid=study.uid,
                series_instance_uid=result.sources[0].series_instance_uid,
                modality=str(header.Modality),
                frame_of_reference_uid="",
                frames=frames,
                instance_count=len(frames),
            )
        )
    )
    manifest_digest = await objects.put(described.canonical())
    job = str(derive("job", study.uid, result.provenance.job))
    provenance = Provenance(
        job=job,
        device=described.device,
        version=described.version,
        manifest_digest=manifest_digest,
        model_digest=MODEL_DIGEST,
        processing_version="1",
        input_digests=(stack,),
    )
    digest = await objects.put(codec.encode_result(replace(result, provenance=provenance)))
    grant = Grant(
        job=job,
        device=described.device,
        version=described.version,
        attachment=ATTACHMENT,
        attachment_revision=1,
        organisation=ORGANISATION,
        mode=mode,
        manifest_digest=manifest_digest,
        model_digest=MODEL_DIGEST,
        input_digests=(stack,),
        valid_until=now + timedelta(days=1),
    )
    return AcceptedResult(
        job=job,
        result_digest=digest,
        grant=grant,
        stack_digest=stack,
        source_archive=ARCHIVE,
        study=study_id(
            region="r77",
            patient_id=str(header.PatientID),
            issuer=str(header.IssuerOfPatientID),
            study_instance_uid=study.uid,
        ),
        issue=1,
        destinations=() if mode is Mode.SHADOW else (ARCHIVE,),
        patient_fingerprint=patient_fingerprint(
            IDENTITY_KEY,
            patient_id=str(header.PatientID),
            issuer=str(header.IssuerOfPatientID),
            birth_date=str(header.PatientBirthDate),
            sex=str(header.PatientSex),
        ),
        accepted_at=now,
        deadline=now + timedelta(hours=1),
        organisation=ORGANISATION,
    )


@asynccontextmanager
async def archiving(
    database: Database,
    objects: FileObjects,
    secrets: Path,
    registry: Registry,
    *,
    router: Router | None = None,
    clock: SetClock | None = None,
    builder: Builder | None = None,
) -> AsyncIterator[ArchiveResult]:
    """The use case with its real adapters; only registry, router and clock are the test's."""
    async with httpx.AsyncClient(timeout=10) as client:
        yield ArchiveResult(
            registry=registry,
            contents=StoredContents(objects),
            open_archive=Archives(client, secrets),
            router=router or Router(),
            ledger=SqlLedger(database),
            builders={"air": builder or AirBuilder(Typeface("DejaVuSans.ttf"))},
            difference=difference,
            clock=clock or SetClock(),
            identity_key=IDENTITY_KEY,
            zone=ZoneInfo("Europe/Moscow"),
        )


def write_secret(folder: Path, credentials: tuple[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "hospital-secret").write_text(":".join(credentials))
    return folder


async def send(orthanc: Orthanc, study: Study, folder: Path) -> None:
    await orthanc.store(study.write(folder))


async def stored_results(orthanc: Orthanc, study: Study) -> Mapping[str, bytes]:
    """The objects that the archive holds in series of ours, by SOP Instance UID, as files."""
    own = {instance.sop_instance_uid for instance in study.instances}
    async with httpx.AsyncClient(base_url=orthanc.rest_url, auth=orthanc.credentials) as client:
        found = {}
        for identifier in (await client.get("/instances")).json():
            tags: Mapping[str, Any] = (await client.get(f"/instances/{identifier}/simplified-tags")).json()
            if tags["StudyInstanceUID"] == study.uid and tags["SOPInstanceUID"] not in own:
                found[str(tags["SOPInstanceUID"])] = (await client.get(f"/instances/{identifier}/file")).content
        return found
