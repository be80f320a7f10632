"""Devices, attachments and archives as the router keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique
from typing import Final

from udcmodel.grant import ArchiveRecord, AttachmentRecord, Certificate, DeviceVersionRecord
from udcmodel.vocabulary import Mode, Priority


@unique
class FeedKind(StrEnum):
    """How new studies of an archive are found."""

    ORTHANC = "ORTHANC"
    DICOMWEB = "DICOMWEB"
    NONE = "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """An image archive. ``credentials`` names a secret; the secret itself is never here."""

    archive: str
    organisation: str
    feed: FeedKind
    dicomweb_url: str
    orthanc_url: str
    credentials: str
    profile: str

    def record(self) -> ArchiveRecord:
        """Return what the other services see."""
        return ArchiveRecord(
            archive=self.archive,
            dicomweb_url=self.dicomweb_url,
            credentials=self.credentials,
            profile=self.profile,
        )


PROFILES: Final = ("air", "bft")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceVersion:
    """A registered, immutable version of a device; only suspension and certificate change.

    Attributes:
        manifest: Canonical JSON of the manifest.
        pool: Where it runs unless the attachment says otherwise.
        timeout_s: How long one inference may take.
        golden_digest: Of its golden cases; empty when it has none.
        golden_cases: How many there are.
    """

    device: str
    version: str
    title_ru: str
    title_en: str
    vendor: str
    manifest: bytes
    manifest_digest: str
    model_digest: str
    is_medical_device: bool
    certificate: Certificate | None
    pool: str
    timeout_s: int
    is_suspended: bool = False
    suspension_reason: str = ""
    golden_digest: str = ""
    golden_cases: int = 0

    def record(self) -> DeviceVersionRecord:
        """Return what the other services see."""
        return DeviceVersionRecord(
            device=self.device,
            version=self.version,
            manifest_digest=self.manifest_digest,
            model_digest=self.model_digest,
            is_medical_device=self.is_medical_device,
            is_suspended=self.is_suspended,
            suspension_reason=self.suspension_reason,
            certificate=self.certificate,
            golden_digest=self.golden_digest,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """Where a device version may run, in which mode, and where its results go.

    Attributes:
        organisations: Organisations whose studies are looked at; none means all of the region.
        sources: Archives whose studies are looked at; none means all.
        destinations: Archives that receive the results.
        rule: CEL over the whole study, beside the intended purpose; empty means always.
        deadline_s: From dispatch to the deadline of an attempt.
        effective_from: Studies that were complete before are history.
    """

    attachment: str
    revision: int
    device: str
    version: str
    mode: Mode
    organisations: tuple[str, ...]
    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    rule: str
    pool: str
    priority: Priority
    deadline_s: int
    effective_from: datetime
    is_suspended: bool = False

    def record(self) -> AttachmentRecord:
        """Return what the other services see."""
        return AttachmentRecord(
            attachment=self.attachment,
            revision=self.revision,
            device=self.device,
            version=self.version,
            mode=self.mode,
            is_suspended=self.is_suspended,
            organisations=self.organisations,
        )

    @property
    def shown_in(self) -> tuple[str, ...]:
        """Archives that receive the results; none in shadow mode."""
        return () if self.mode is Mode.SHADOW else self.destinations

    def looks_at(self, *, organisation: str, archives: Sequence[str]) -> bool:
        """Say whether studies of ``organisation`` that lie in ``archives`` are its business."""
        if self.organisations and organisation not in self.organisations:
            return False
        return not self.sources or not set(self.sources).isdisjoint(archives)
