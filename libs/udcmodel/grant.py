"""The grant: the router's decision that a job may run, checked again by whoever acts on it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique

from udcmodel.vocabulary import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What the router allowed, pinned when the job was made."""

    job: str
    device: str
    version: str
    attachment: str
    attachment_revision: int
    organisation: str
    mode: Mode
    manifest_digest: str
    model_digest: str
    input_digests: tuple[str, ...]
    valid_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A registration certificate as it was last seen."""

    number: str
    valid_from: datetime
    valid_until: datetime | None
    versions: tuple[str, ...]
    holder: str
    source: str
    checked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceVersionRecord:
    """A device version as the registry has it now; ``golden_digest`` is empty when it has no golden cases."""

    device: str
    version: str
    manifest_digest: str
    model_digest: str
    is_medical_device: bool
    is_suspended: bool
    suspension_reason: str
    certificate: Certificate | None
    golden_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentRecord:
    """An attachment as the registry has it now. No organisations means all of the region."""

    attachment: str
    revision: int
    device: str
    version: str
    mode: Mode
    is_suspended: bool
    organisations: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveRecord:
    """An archive as the registry has it now."""

    archive: str
    dicomweb_url: str
    credentials: str
    profile: str


@unique
class Refusal(StrEnum):
    """Why a device may not run; every one is an outcome with its reason, never a silent stop."""

    DEVICE_UNKNOWN = "DEVICE_UNKNOWN"
    ATTACHMENT_UNKNOWN = "ATTACHMENT_UNKNOWN"
    GRANT_EXPIRED = "GRANT_EXPIRED"
    DEVICE_SUSPENDED = "DEVICE_SUSPENDED"
    ATTACHMENT_SUSPENDED = "ATTACHMENT_SUSPENDED"
    ATTACHMENT_CHANGED = "ATTACHMENT_CHANGED"
    CONTENT_CHANGED = "CONTENT_CHANGED"
    ORGANISATION_NOT_COVERED = "ORGANISATION_NOT_COVERED"
    NO_CERTIFICATE = "NO_CERTIFICATE"
    CERTIFICATE_NOT_YET_VALID = "CERTIFICATE_NOT_YET_VALID"
    CERTIFICATE_EXPIRED = "CERTIFICATE_EXPIRED"
    VERSION_NOT_COVERED = "VERSION_NOT_COVERED"
    NOT_A_MEDICAL_DEVICE = "NOT_A_MEDICAL_DEVICE"


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal with a sentence for people."""

    refusal: Refusal
    detail: str


def check_grant(
    grant: Grant,
    *,
    device: DeviceVersionRecord | None,
    attachment: AttachmentRecord | None,
    now: datetime,
) -> Refused | None:
    """Say why ``grant`` no longer holds, or None while it does.

    The records are the *current* registry's. What is unknown is refused. Dispatch, inference and archiving all ask
    this one function.
    """
    name = f"{grant.device} {grant.version}"
    if device is None:
        return Refused(Refusal.DEVICE_UNKNOWN, f"{name} is not in the registry")
    if attachment is None:
        return Refused(Refusal.ATTACHMENT_UNKNOWN, f"attachment {grant.attachment} is not in the registry")
    if now >= grant.valid_until:
        return Refused(Refusal.GRANT_EXPIRED, f"the grant of job {grant.job} ended at {grant.valid_until.isoformat()}")
    if device.is_suspended:
        return Refused(Refusal.DEVICE_SUSPENDED, f"{name} is suspended: {device.suspension_reason}")
    if (device.manifest_digest, device.model_digest) != (grant.manifest_digest, grant.model_digest):
        return Refused(Refusal.CONTENT_CHANGED, f"{name} is registered with other content than the job was made for")
    refused = _check_attachment(grant, attachment)
    if refused is not None or grant.mode is Mode.SHADOW:
        return refused
    return check_certificate(device, now=now)


def _check_attachment(grant: Grant, attachment: AttachmentRecord) -> Refused | None:
    if attachment.is_suspended:
        return Refused(Refusal.ATTACHMENT_SUSPENDED, f"attachment {attachment.attachment} is suspended")
    pinned = (grant.device, grant.version, grant.mode, grant.attachment_revision)
    if (attachment.device, attachment.version, attachment.mode, attachment.revision) != pinned:
        return Refused(Refusal.ATTACHMENT_CHANGED, f"attachment {attachment.attachment} was changed meanwhile")
    if attachment.organisations and grant.organisation not in attachment.organisations:
        return Refused(
            Refusal.ORGANISATION_NOT_COVERED,
            f"organisation {grant.organisation} is not part of the attachment",
        )
    return None


def check_certificate(device: DeviceVersionRecord, *, now: datetime) -> Refused | None:
    """Say why results of ``device`` may not be shown to anybody, or None when they may."""
    name = f"{device.device} {device.version}"
    if not device.is_medical_device:
        return Refused(Refusal.NOT_A_MEDICAL_DEVICE, f"{name} is no medical device; it may run in shadow mode only")
    certificate = device.certificate
    if certificate is None:
        return Refused(Refusal.NO_CERTIFICATE, f"{name} has no registration certificate")
    if now < certificate.valid_from:
        return Refused(Refusal.CERTIFICATE_NOT_YET_VALID, f"certificate {certificate.number} is not valid yet")
    if certificate.valid_until is not None and now >= certificate.valid_until:
        return Refused(
            Refusal.CERTIFICATE_EXPIRED,
            f"certificate {certificate.number} ended at {certificate.valid_until.isoformat()}",
        )
    if device.version not in certificate.versions:
        return Refused(
            Refusal.VERSION_NOT_COVERED,
            f"certificate {certificate.number} does not cover version {device.version}",
        )
    return None


def registry_key(kind: str, *parts: str) -> str:
    """Return the key of a record in the registry bucket, such as ``version.ct-brain.1-0-0``.

    Dots would separate tokens, so they become dashes; ids are checked at registration to stay distinct.
    """
    return ".".join((kind, *(part.replace(".", "-") for part in parts)))
