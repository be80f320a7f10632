"""Grants and records of the registry, and their wire form."""

from udc.events.v1 import job_pb2
from udc.router.v1 import registry_pb2
from udckit.errors import InvalidRequestError
from udcmodel.codec.basics import decoded, known, moment, timestamp
from udcmodel.codec.enumerations import MODE_FROM_PROTO, MODE_TO_PROTO
from udcmodel.grant import ArchiveRecord, AttachmentRecord, Certificate, DeviceVersionRecord, Grant


def grant_to_proto(grant: Grant) -> job_pb2.Grant:
    """Return ``grant`` for the wire."""
    return job_pb2.Grant(
        job=grant.job,
        device=grant.device,
        version=grant.version,
        attachment=grant.attachment,
        attachment_revision=grant.attachment_revision,
        organisation=grant.organisation,
        mode=MODE_TO_PROTO[grant.mode],
        manifest_digest=grant.manifest_digest,
        model_digest=grant.model_digest,
        input_digests=grant.input_digests,
        valid_until=timestamp(grant.valid_until),
    )


def grant_from_proto(message: job_pb2.Grant) -> Grant:
    """Undo ``grant_to_proto``.

    Raises:
        InvalidRequestError: the mode is not known to this version.
    """
    return Grant(
        job=message.job,
        device=message.device,
        version=message.version,
        attachment=message.attachment,
        attachment_revision=message.attachment_revision,
        organisation=message.organisation,
        mode=known(MODE_FROM_PROTO, message.mode),
        manifest_digest=message.manifest_digest,
        model_digest=message.model_digest,
        input_digests=tuple(message.input_digests),
        valid_until=moment(message.valid_until),
    )


RegistryRecord = DeviceVersionRecord | AttachmentRecord | ArchiveRecord


def encode_record(record: RegistryRecord, *, revision: int) -> bytes:
    """Serialise a record of the registry with its revision."""
    message = registry_pb2.RegistryRecord(revision=revision)
    match record:
        case DeviceVersionRecord():
            message.device_version.CopyFrom(
                registry_pb2.DeviceVersionRecord(
                    device=record.device,
                    version=record.version,
                    manifest_digest=record.manifest_digest,
                    model_digest=record.model_digest,
                    medical_device=record.is_medical_device,
                    suspended=record.is_suspended,
                    suspension_reason=record.suspension_reason,
                    certificate=certificate_to_proto(record.certificate),
                    golden_digest=record.golden_digest,
                )
            )
        case AttachmentRecord():
            message.attachment.CopyFrom(
                registry_pb2.AttachmentRecord(
                    attachment=record.attachment,
                    revision=record.revision,
                    device=record.device,
                    version=record.version,
                    mode=MODE_TO_PROTO[record.mode],
                    suspended=record.is_suspended,
                    organisations=record.organisations,
                )
            )
        case ArchiveRecord():
            message.archive.CopyFrom(
                registry_pb2.ArchiveRecord(
                    archive=record.archive,
                    dicomweb_url=record.dicomweb_url,
                    credentials=record.credentials,
                    profile=record.profile,
                )
            )
    return message.SerializeToString(deterministic=True)


def decode_record(content: bytes) -> RegistryRecord:
    """Undo ``encode_record``.

    Raises:
        InvalidRequestError: the bytes are not a record this version knows.
    """
    message = decoded(registry_pb2.RegistryRecord, content)
    match message.WhichOneof("record"):
        case "device_version":
            device = message.device_version
            return DeviceVersionRecord(
                device=device.device,
                version=device.version,
                manifest_digest=device.manifest_digest,
                model_digest=device.model_digest,
                is_medical_device=device.medical_device,
                is_suspended=device.suspended,
                suspension_reason=device.suspension_reason,
                certificate=certificate_from_proto(device.certificate) if device.HasField("certificate") else None,
                golden_digest=device.golden_digest,
            )
        case "attachment":
            attachment = message.attachment
            return AttachmentRecord(
                attachment=attachment.attachment,
                revision=attachment.revision,
                device=attachment.device,
                version=attachment.version,
                mode=known(MODE_FROM_PROTO, attachment.mode),
                is_suspended=attachment.suspended,
                organisations=tuple(attachment.organisations),
            )
        case "archive":
            archive = message.archive
            return ArchiveRecord(
                archive=archive.archive,
                dicomweb_url=archive.dicomweb_url,
                credentials=archive.credentials,
                profile=archive.profile,
            )
        case _:
            raise InvalidRequestError("a record of the registry is of a kind this version does not know")


def certificate_to_proto(certificate: Certificate | None) -> registry_pb2.Certificate | None:
    """Return ``certificate`` for the wire."""
    if certificate is None:
        return None
    return registry_pb2.Certificate(
        number=certificate.number,
        valid_from=timestamp(certificate.valid_from),
        valid_until=None if certificate.valid_until is None else timestamp(certificate.valid_until),
        versions=certificate.versions,
        holder=certificate.holder,
        source=certificate.source,
        checked_at=timestamp(certificate.checked_at),
    )


def certificate_from_proto(message: registry_pb2.Certificate) -> Certificate:
    """Undo ``certificate_to_proto``."""
    return Certificate(
        number=message.number,
        valid_from=moment(message.valid_from),
        valid_until=moment(message.valid_until) if message.HasField("valid_until") else None,
        versions=tuple(message.versions),
        holder=message.holder,
        source=message.source,
        checked_at=moment(message.checked_at),
    )
