import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Presence(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRESENCE_UNSPECIFIED: _ClassVar[Presence]
    PRESENCE_PRESENT: _ClassVar[Presence]
    PRESENCE_ABSENT: _ClassVar[Presence]
    PRESENCE_UNDETERMINED: _ClassVar[Presence]
PRESENCE_UNSPECIFIED: Presence
PRESENCE_PRESENT: Presence
PRESENCE_ABSENT: Presence
PRESENCE_UNDETERMINED: Presence

class Code(_message.Message):
    __slots__ = ("value", "scheme", "meaning")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SCHEME_FIELD_NUMBER: _ClassVar[int]
    MEANING_FIELD_NUMBER: _ClassVar[int]
    value: str
    scheme: str
    meaning: str
    def __init__(self, value: _Optional[str] = ..., scheme: _Optional[str] = ..., meaning: _Optional[str] = ...) -> None: ...

class Measurement(_message.Message):
    __slots__ = ("name", "value", "unit", "derivation", "method")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    DERIVATION_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    name: Code
    value: float
    unit: Code
    derivation: Code
    method: Code
    def __init__(self, name: _Optional[_Union[Code, _Mapping]] = ..., value: _Optional[float] = ..., unit: _Optional[_Union[Code, _Mapping]] = ..., derivation: _Optional[_Union[Code, _Mapping]] = ..., method: _Optional[_Union[Code, _Mapping]] = ...) -> None: ...

class Box(_message.Message):
    __slots__ = ("sop_instance_uid", "frame_number", "left", "top", "right", "bottom")
    SOP_INSTANCE_UID_FIELD_NUMBER: _ClassVar[int]
    FRAME_NUMBER_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    BOTTOM_FIELD_NUMBER: _ClassVar[int]
    sop_instance_uid: str
    frame_number: int
    left: float
    top: float
    right: float
    bottom: float
    def __init__(self, sop_instance_uid: _Optional[str] = ..., frame_number: _Optional[int] = ..., left: _Optional[float] = ..., top: _Optional[float] = ..., right: _Optional[float] = ..., bottom: _Optional[float] = ...) -> None: ...

class Contour(_message.Message):
    __slots__ = ("sop_instance_uid", "frame_number", "points")
    SOP_INSTANCE_UID_FIELD_NUMBER: _ClassVar[int]
    FRAME_NUMBER_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    sop_instance_uid: str
    frame_number: int
    points: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, sop_instance_uid: _Optional[str] = ..., frame_number: _Optional[int] = ..., points: _Optional[_Iterable[float]] = ...) -> None: ...

class Location(_message.Message):
    __slots__ = ("segment_number", "box", "contour")
    SEGMENT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    CONTOUR_FIELD_NUMBER: _ClassVar[int]
    segment_number: int
    box: Box
    contour: Contour
    def __init__(self, segment_number: _Optional[int] = ..., box: _Optional[_Union[Box, _Mapping]] = ..., contour: _Optional[_Union[Contour, _Mapping]] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("id", "code", "category", "presence", "probability", "site", "laterality", "measurements", "locations")
    ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    PRESENCE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    LATERALITY_FIELD_NUMBER: _ClassVar[int]
    MEASUREMENTS_FIELD_NUMBER: _ClassVar[int]
    LOCATIONS_FIELD_NUMBER: _ClassVar[int]
    id: str
    code: Code
    category: Code
    presence: Presence
    probability: float
    site: Code
    laterality: Code
    measurements: _containers.RepeatedCompositeFieldContainer[Measurement]
    locations: _containers.RepeatedCompositeFieldContainer[Location]
    def __init__(self, id: _Optional[str] = ..., code: _Optional[_Union[Code, _Mapping]] = ..., category: _Optional[_Union[Code, _Mapping]] = ..., presence: _Optional[_Union[Presence, str]] = ..., probability: _Optional[float] = ..., site: _Optional[_Union[Code, _Mapping]] = ..., laterality: _Optional[_Union[Code, _Mapping]] = ..., measurements: _Optional[_Iterable[_Union[Measurement, _Mapping]]] = ..., locations: _Optional[_Iterable[_Union[Location, _Mapping]]] = ...) -> None: ...

class SegmentFrame(_message.Message):
    __slots__ = ("sop_instance_uid", "frame_number", "packed_mask")
    SOP_INSTANCE_UID_FIELD_NUMBER: _ClassVar[int]
    FRAME_NUMBER_FIELD_NUMBER: _ClassVar[int]
    PACKED_MASK_FIELD_NUMBER: _ClassVar[int]
    sop_instance_uid: str
    frame_number: int
    packed_mask: bytes
    def __init__(self, sop_instance_uid: _Optional[str] = ..., frame_number: _Optional[int] = ..., packed_mask: _Optional[bytes] = ...) -> None: ...

class Segment(_message.Message):
    __slots__ = ("number", "label", "category", "type", "rows", "columns", "frames")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    number: int
    label: str
    category: Code
    type: Code
    rows: int
    columns: int
    frames: _containers.RepeatedCompositeFieldContainer[SegmentFrame]
    def __init__(self, number: _Optional[int] = ..., label: _Optional[str] = ..., category: _Optional[_Union[Code, _Mapping]] = ..., type: _Optional[_Union[Code, _Mapping]] = ..., rows: _Optional[int] = ..., columns: _Optional[int] = ..., frames: _Optional[_Iterable[_Union[SegmentFrame, _Mapping]]] = ...) -> None: ...

class Text(_message.Message):
    __slots__ = ("kind", "text")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Text.Kind]
        KIND_FINDINGS: _ClassVar[Text.Kind]
        KIND_CONCLUSION: _ClassVar[Text.Kind]
        KIND_RECOMMENDATION: _ClassVar[Text.Kind]
    KIND_UNSPECIFIED: Text.Kind
    KIND_FINDINGS: Text.Kind
    KIND_CONCLUSION: Text.Kind
    KIND_RECOMMENDATION: Text.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    kind: Text.Kind
    text: str
    def __init__(self, kind: _Optional[_Union[Text.Kind, str]] = ..., text: _Optional[str] = ...) -> None: ...

class QualityFlag(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Timing(_message.Message):
    __slots__ = ("stage", "started_at", "ended_at")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    stage: str
    started_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    def __init__(self, stage: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Provenance(_message.Message):
    __slots__ = ("job", "device", "version", "manifest_digest", "model_digest", "processing_version", "input_digests")
    JOB_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PROCESSING_VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUT_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    job: str
    device: str
    version: str
    manifest_digest: str
    model_digest: str
    processing_version: str
    input_digests: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job: _Optional[str] = ..., device: _Optional[str] = ..., version: _Optional[str] = ..., manifest_digest: _Optional[str] = ..., model_digest: _Optional[str] = ..., processing_version: _Optional[str] = ..., input_digests: _Optional[_Iterable[str]] = ...) -> None: ...

class AiResult(_message.Message):
    __slots__ = ("provenance", "language", "findings", "segments", "texts", "quality_flags", "timings", "sources")
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FLAGS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    provenance: Provenance
    language: str
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    segments: _containers.RepeatedCompositeFieldContainer[Segment]
    texts: _containers.RepeatedCompositeFieldContainer[Text]
    quality_flags: _containers.RepeatedCompositeFieldContainer[QualityFlag]
    timings: _containers.RepeatedCompositeFieldContainer[Timing]
    sources: _containers.RepeatedCompositeFieldContainer[SourceInstance]
    def __init__(self, provenance: _Optional[_Union[Provenance, _Mapping]] = ..., language: _Optional[str] = ..., findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ..., segments: _Optional[_Iterable[_Union[Segment, _Mapping]]] = ..., texts: _Optional[_Iterable[_Union[Text, _Mapping]]] = ..., quality_flags: _Optional[_Iterable[_Union[QualityFlag, _Mapping]]] = ..., timings: _Optional[_Iterable[_Union[Timing, _Mapping]]] = ..., sources: _Optional[_Iterable[_Union[SourceInstance, _Mapping]]] = ...) -> None: ...

class SourceInstance(_message.Message):
    __slots__ = ("sop_class_uid", "sop_instance_uid", "series_instance_uid", "study_instance_uid")
    SOP_CLASS_UID_FIELD_NUMBER: _ClassVar[int]
    SOP_INSTANCE_UID_FIELD_NUMBER: _ClassVar[int]
    SERIES_INSTANCE_UID_FIELD_NUMBER: _ClassVar[int]
    STUDY_INSTANCE_UID_FIELD_NUMBER: _ClassVar[int]
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    def __init__(self, sop_class_uid: _Optional[str] = ..., sop_instance_uid: _Optional[str] = ..., series_instance_uid: _Optional[str] = ..., study_instance_uid: _Optional[str] = ...) -> None: ...
