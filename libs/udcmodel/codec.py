"""Between values and wire: the only module here that knows protobuf.

Encoding is deterministic, so the digest of an encoded value identifies the value.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeVar, cast

from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from udc.device.v1 import result_pb2, stack_pb2
from udc.events.v1 import job_pb2
from udc.router.v1 import registry_pb2
from udckit.errors import InvalidRequestError
from udcmodel import result as values
from udcmodel.grant import ArchiveRecord, AttachmentRecord, Certificate, DeviceVersionRecord, Grant
from udcmodel.stack import StackDescriptor, StackFrame, Vector
from udcmodel.vocabulary import ErrorCategory, InputKind, Mode, Outcome, Presence, Priority

M = TypeVar("M", bound=Message)

MODE_TO_PROTO: Final[Mapping[Mode, job_pb2.Mode]] = {
    Mode.SHADOW: job_pb2.MODE_SHADOW,
    Mode.PILOT: job_pb2.MODE_PILOT,
    Mode.LIVE: job_pb2.MODE_LIVE,
}
MODE_FROM_PROTO: Final = {number: mode for mode, number in MODE_TO_PROTO.items()}

PRIORITY_TO_PROTO: Final[Mapping[Priority, job_pb2.Priority]] = {
    Priority.URGENT: job_pb2.PRIORITY_URGENT,
    Priority.ROUTINE: job_pb2.PRIORITY_ROUTINE,
    Priority.BATCH: job_pb2.PRIORITY_BATCH,
}
PRIORITY_FROM_PROTO: Final = {number: priority for priority, number in PRIORITY_TO_PROTO.items()}

INPUT_KIND_TO_PROTO: Final[Mapping[InputKind, job_pb2.InputKind]] = {
    InputKind.STACK: job_pb2.INPUT_KIND_STACK,
    InputKind.PRIOR_STACK: job_pb2.INPUT_KIND_PRIOR_STACK,
    InputKind.WAVEFORM: job_pb2.INPUT_KIND_WAVEFORM,
    InputKind.FEATURES: job_pb2.INPUT_KIND_FEATURES,
    InputKind.RESULT: job_pb2.INPUT_KIND_RESULT,
}
INPUT_KIND_FROM_PROTO: Final = {number: kind for kind, number in INPUT_KIND_TO_PROTO.items()}

OUTCOME_TO_PROTO: Final[Mapping[Outcome, job_pb2.Outcome]] = {
    outcome: cast("job_pb2.Outcome", job_pb2.Outcome.Value(f"OUTCOME_{outcome.name}")) for outcome in Outcome
}
OUTCOME_FROM_PROTO: Final = {number: outcome for outcome, number in OUTCOME_TO_PROTO.items()}

CATEGORY_TO_PROTO: Final[Mapping[ErrorCategory, job_pb2.ErrorCategory]] = {
    category: cast("job_pb2.ErrorCategory", job_pb2.ErrorCategory.Value(f"ERROR_CATEGORY_{category.name}"))
    for category in ErrorCategory
}
CATEGORY_FROM_PROTO: Final = {number: category for category, number in CATEGORY_TO_PROTO.items()}

PRESENCE_TO_PROTO: Final[Mapping[Presence, result_pb2.Presence]] = {
    Presence.PRESENT: result_pb2.PRESENCE_PRESENT,
    Presence.ABSENT: result_pb2.PRESENCE_ABSENT,
    Presence.UNDETERMINED: result_pb2.PRESENCE_UNDETERMINED,
}
PRESENCE_FROM_PROTO: Final = {number: presence for presence, number in PRESENCE_TO_PROTO.items()}

TEXT_KIND_TO_PROTO: Final[Mapping[values.TextKind, result_pb2.Text.Kind]] = {
    values.TextKind.FINDINGS: result_pb2.Text.KIND_FINDINGS,
    values.TextKind.CONCLUSION: result_pb2.Text.KIND_CONCLUSION,
    values.TextKind.RECOMMENDATION: result_pb2.Text.KIND_RECOMMENDATION,
}
TEXT_KIND_FROM_PROTO: Final = {number: kind for kind, number in TEXT_KIND_TO_PROTO.items()}


def timestamp(moment: datetime) -> Timestamp:
    """Return ``moment`` (aware) for the wire."""
    stamp = Timestamp()
    stamp.FromDatetime(moment.astimezone(UTC))
    return stamp


def moment(stamp: Timestamp) -> datetime:
    """Return the aware UTC time of ``stamp``."""
    return stamp.ToDatetime(tzinfo=UTC)


# --- AiResult ---------------------------------------------------------------------------------------------------------


def encode_result(result: values.AiResult) -> bytes:
    """Serialise deterministically; the digest of these bytes is the result's digest."""
    return result_pb2.AiResult(
        provenance=result_pb2.Provenance(
            job=result.provenance.job,
            device=result.provenance.device,
            version=result.provenance.version,
            manifest_digest=result.provenance.manifest_digest,
            model_digest=result.provenance.model_digest,
            processing_version=result.provenance.processing_version,
            input_digests=result.provenance.input_digests,
        ),
        language=result.language,
        findings=map(_finding_to_proto, result.findings),
        segments=map(_segment_to_proto, result.segments),
        texts=[result_pb2.Text(kind=TEXT_KIND_TO_PROTO[text.kind], text=text.text) for text in result.texts],
        quality_flags=[result_pb2.QualityFlag(code=flag.code, message=flag.message) for flag in result.quality_flags],
        timings=[
            result_pb2.Timing(
                stage=timing.stage, started_at=timestamp(timing.started_at), ended_at=timestamp(timing.ended_at)
            )
            for timing in result.timings
        ],
        sources=[
            result_pb2.SourceInstance(
                sop_class_uid=source.sop_class_uid,
                sop_instance_uid=source.sop_instance_uid,
                series_instance_uid=source.series_instance_uid,
                study_instance_uid=source.study_instance_uid,
            )
            for source in result.sources
        ],
    ).SerializeToString(deterministic=True)


def decode_result(content: bytes) -> values.AiResult:
    """Undo ``encode_result``.

    Raises:
        InvalidRequestError: the bytes are not a result, or an enumeration holds a value this version does not know.
    """
    message = _decoded(result_pb2.AiResult, content)
    return values.AiResult(
        provenance=values.Provenance(
            job=message.provenance.job,
            device=message.provenance.device,
            version=message.provenance.version,
            manifest_digest=message.provenance.manifest_digest,
            model_digest=message.provenance.model_digest,
            processing_version=message.provenance.processing_version,
            input_digests=tuple(message.provenance.input_digests),
        ),
        language=message.language,
        findings=tuple(map(_finding_from_proto, message.findings)),
        segments=tuple(map(_segment_from_proto, message.segments)),
        texts=tuple(values.Text(known(TEXT_KIND_FROM_PROTO, text.kind), text.text) for text in message.texts),
        quality_flags=tuple(values.QualityFlag(flag.code, flag.message) for flag in message.quality_flags),
        timings=tuple(
            values.Timing(timing.stage, moment(timing.started_at), moment(timing.ended_at))
            for timing in message.timings
        ),
        sources=tuple(
            values.SourceInstance(
                sop_class_uid=source.sop_class_uid,
                sop_instance_uid=source.sop_instance_uid,
                series_instance_uid=source.series_instance_uid,
                study_instance_uid=source.study_instance_uid,
            )
            for source in message.sources
        ),
    )


def _code_to_proto(code: values.Code | None) -> result_pb2.Code | None:
    return None if code is None else result_pb2.Code(value=code.value, scheme=code.scheme, meaning=code.meaning)


def _code_from_proto(code: result_pb2.Code) -> values.Code:
    return values.Code(code.value, code.scheme, code.meaning)


def _optional_code(message: Message, field: str) -> values.Code | None:
    return _code_from_proto(getattr(message, field)) if message.HasField(field) else None


def _finding_to_proto(finding: values.Finding) -> result_pb2.Finding:
    return result_pb2.Finding(
        id=finding.id,
        code=_code_to_proto(finding.code),
        category=_code_to_proto(finding.category),
        presence=PRESENCE_TO_PROTO[finding.presence],
        probability=finding.probability,
        site=_code_to_proto(finding.site),
        laterality=_code_to_proto(finding.laterality),
        measurements=[
            result_pb2.Measurement(
                name=_code_to_proto(measurement.name),
                value=measurement.value,
                unit=_code_to_proto(measurement.unit),
                derivation=_code_to_proto(measurement.derivation),
                method=_code_to_proto(measurement.method),
            )
            for measurement in finding.measurements
        ],
        locations=map(_location_to_proto, finding.locations),
    )


def _finding_from_proto(message: result_pb2.Finding) -> values.Finding:
    return values.Finding(
        id=message.id,
        code=_code_from_proto(message.code),
        category=_optional_code(message, "category"),
        presence=known(PRESENCE_FROM_PROTO, message.presence),
        probability=message.probability if message.HasField("probability") else None,
        site=_optional_code(message, "site"),
        laterality=_optional_code(message, "laterality"),
        measurements=tuple(
            values.Measurement(
                name=_code_from_proto(measurement.name),
                value=measurement.value,
                unit=_code_from_proto(measurement.unit),
                derivation=_optional_code(measurement, "derivation"),
                method=_optional_code(measurement, "method"),
            )
            for measurement in message.measurements
        ),
        locations=tuple(map(_location_from_proto, message.locations)),
    )


def _location_to_proto(location: values.Location) -> result_pb2.Location:
    match location:
        case values.SegmentLocation(segment_number=number):
            return result_pb2.Location(segment_number=number)
        case values.Box():
            return result_pb2.Location(
                box=result_pb2.Box(
                    sop_instance_uid=location.sop_instance_uid,
                    frame_number=location.frame_number,
                    left=location.left,
                    top=location.top,
                    right=location.right,
                    bottom=location.bottom,
                )
            )
        case values.Contour():
            return result_pb2.Location(
                contour=result_pb2.Contour(
                    sop_instance_uid=location.sop_instance_uid,
                    frame_number=location.frame_number,
                    points=[coordinate for point in location.points for coordinate in point],
                )
            )


def _location_from_proto(message: result_pb2.Location) -> values.Location:
    match message.WhichOneof("where"):
        case "segment_number":
            return values.SegmentLocation(segment_number=message.segment_number)
        case "box":
            box = message.box
            return values.Box(
                sop_instance_uid=box.sop_instance_uid,
                frame_number=box.frame_number,
                left=box.left,
                top=box.top,
                right=box.right,
                bottom=box.bottom,
            )
        case "contour":
            flat = list(message.contour.points)
            return values.Contour(
                sop_instance_uid=message.contour.sop_instance_uid,
                frame_number=message.contour.frame_number,
                points=tuple(zip(flat[0::2], flat[1::2], strict=True)),
            )
        case _:
            raise InvalidRequestError("a finding has a location of a kind this version does not know")


def _segment_to_proto(segment: values.Segment) -> result_pb2.Segment:
    return result_pb2.Segment(
        number=segment.number,
        label=segment.label,
        category=_code_to_proto(segment.category),
        type=_code_to_proto(segment.type),
        rows=segment.rows,
        columns=segment.columns,
        frames=[
            result_pb2.SegmentFrame(
                sop_instance_uid=frame.sop_instance_uid, frame_number=frame.frame_number, packed_mask=frame.packed_mask
            )
            for frame in segment.frames
        ],
    )


def _segment_from_proto(message: result_pb2.Segment) -> values.Segment:
    return values.Segment(
        number=message.number,
        label=message.label,
        category=_code_from_proto(message.category),
        type=_code_from_proto(message.type),
        rows=message.rows,
        columns=message.columns,
        frames=tuple(
            values.SegmentFrame(
                sop_instance_uid=frame.sop_instance_uid, frame_number=frame.frame_number, packed_mask=frame.packed_mask
            )
            for frame in message.frames
        ),
    )


# --- StackDescriptor --------------------------------------------------------------------------------------------------


def encode_stack(stack: StackDescriptor) -> bytes:
    """Serialise deterministically; the digest of these bytes is the input's digest."""
    return stack_pb2.StackDescriptor(
        archive=stack.archive,
        study_instance_uid=stack.study_instance_uid,
        series_instance_uid=stack.series_instance_uid,
        modality=stack.modality,
        frame_of_reference_uid=stack.frame_of_reference_uid,
        instance_count=stack.instance_count,
        frames=[
            stack_pb2.StackFrame(
                sop_class_uid=frame.sop_class_uid,
                sop_instance_uid=frame.sop_instance_uid,
                frame_number=frame.frame_number,
                position=frame.position or (),
                orientation=(*(frame.row_direction or ()), *(frame.column_direction or ())),
                pixel_spacing=frame.pixel_spacing or (),
                rows=frame.rows,
                columns=frame.columns,
            )
            for frame in stack.frames
        ],
    ).SerializeToString(deterministic=True)


def decode_stack(content: bytes) -> StackDescriptor:
    """Undo ``encode_stack``.

    Raises:
        InvalidRequestError: the bytes are not a stack.
    """
    message = _decoded(stack_pb2.StackDescriptor, content)
    return StackDescriptor(
        archive=message.archive,
        study_instance_uid=message.study_instance_uid,
        series_instance_uid=message.series_instance_uid,
        modality=message.modality,
        frame_of_reference_uid=message.frame_of_reference_uid,
        instance_count=message.instance_count,
        frames=tuple(
            StackFrame(
                sop_class_uid=frame.sop_class_uid,
                sop_instance_uid=frame.sop_instance_uid,
                frame_number=frame.frame_number,
                position=_vector(frame.position),
                row_direction=_vector(frame.orientation[:3]),
                column_direction=_vector(frame.orientation[3:]),
                pixel_spacing=(frame.pixel_spacing[0], frame.pixel_spacing[1]) if frame.pixel_spacing else None,
                rows=frame.rows,
                columns=frame.columns,
            )
            for frame in message.frames
        ),
    )


def _vector(numbers: Iterable[float]) -> Vector | None:
    match tuple(numbers):
        case ():
            return None
        case (x, y, z):
            return (x, y, z)
        case other:
            raise InvalidRequestError(f"a vector of a stack has {len(other)} numbers instead of three")


# --- Grant and registry -----------------------------------------------------------------------------------------------


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
    message = _decoded(registry_pb2.RegistryRecord, content)
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


# --- Shared -----------------------------------------------------------------------------------------------------------

K = TypeVar("K")
V = TypeVar("V")


def known(table: Mapping[K, V], number: K) -> V:
    """Look ``number`` up in one of the tables above.

    Raises:
        InvalidRequestError: this version does not know the value.
    """
    try:
        return table[number]
    except KeyError as error:
        raise InvalidRequestError(f"the enumeration value {number} is not known to this version") from error


def _decoded(kind: type[M], content: bytes) -> M:
    try:
        message = kind.FromString(content)
    except DecodeError as error:
        raise InvalidRequestError(f"the bytes are not a {kind.DESCRIPTOR.full_name}") from error
    return message
