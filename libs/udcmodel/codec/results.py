"""``AiResult`` and its wire form."""

from google.protobuf.message import Message

from udc.device.v1 import result_pb2
from udckit.errors import InvalidRequestError
from udcmodel import result as values
from udcmodel.codec.basics import decoded, known, moment, timestamp
from udcmodel.codec.enumerations import (
    PRESENCE_FROM_PROTO,
    PRESENCE_TO_PROTO,
    TEXT_KIND_FROM_PROTO,
    TEXT_KIND_TO_PROTO,
)


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
    message = decoded(result_pb2.AiResult, content)
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
