import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from udc.reconciliation.v1 import finding_pb2 as _finding_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DeliveryState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DELIVERY_STATE_UNSPECIFIED: _ClassVar[DeliveryState]
    DELIVERY_STATE_BUILT: _ClassVar[DeliveryState]
    DELIVERY_STATE_STORING: _ClassVar[DeliveryState]
    DELIVERY_STATE_ARCHIVED: _ClassVar[DeliveryState]
    DELIVERY_STATE_STOPPED: _ClassVar[DeliveryState]
    DELIVERY_STATE_FAILED: _ClassVar[DeliveryState]
DELIVERY_STATE_UNSPECIFIED: DeliveryState
DELIVERY_STATE_BUILT: DeliveryState
DELIVERY_STATE_STORING: DeliveryState
DELIVERY_STATE_ARCHIVED: DeliveryState
DELIVERY_STATE_STOPPED: DeliveryState
DELIVERY_STATE_FAILED: DeliveryState

class ResultObject(_message.Message):
    __slots__ = ("kind", "sop_class_uid", "sop_instance_uid", "series_instance_uid", "digest", "stored_at", "verified_at")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SOP_CLASS_UID_FIELD_NUMBER: _ClassVar[int]
    SOP_INSTANCE_UID_FIELD_NUMBER: _ClassVar[int]
    SERIES_INSTANCE_UID_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    STORED_AT_FIELD_NUMBER: _ClassVar[int]
    VERIFIED_AT_FIELD_NUMBER: _ClassVar[int]
    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    digest: str
    stored_at: _timestamp_pb2.Timestamp
    verified_at: _timestamp_pb2.Timestamp
    def __init__(self, kind: _Optional[str] = ..., sop_class_uid: _Optional[str] = ..., sop_instance_uid: _Optional[str] = ..., series_instance_uid: _Optional[str] = ..., digest: _Optional[str] = ..., stored_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., verified_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetResultRequest(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: str
    def __init__(self, job: _Optional[str] = ...) -> None: ...

class GetResultResponse(_message.Message):
    __slots__ = ("job", "archive", "state", "reason", "study_instance_uid", "objects")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ARCHIVE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    STUDY_INSTANCE_UID_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    job: str
    archive: str
    state: DeliveryState
    reason: str
    study_instance_uid: str
    objects: _containers.RepeatedCompositeFieldContainer[ResultObject]
    def __init__(self, job: _Optional[str] = ..., archive: _Optional[str] = ..., state: _Optional[_Union[DeliveryState, str]] = ..., reason: _Optional[str] = ..., study_instance_uid: _Optional[str] = ..., objects: _Optional[_Iterable[_Union[ResultObject, _Mapping]]] = ...) -> None: ...

class VerifyResultsRequest(_message.Message):
    __slots__ = ("since", "jobs", "repair")
    SINCE_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    REPAIR_FIELD_NUMBER: _ClassVar[int]
    since: _timestamp_pb2.Timestamp
    jobs: _containers.RepeatedScalarFieldContainer[str]
    repair: bool
    def __init__(self, since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., jobs: _Optional[_Iterable[str]] = ..., repair: _Optional[bool] = ...) -> None: ...

class VerifyResultsResponse(_message.Message):
    __slots__ = ("finding", "verified")
    FINDING_FIELD_NUMBER: _ClassVar[int]
    VERIFIED_FIELD_NUMBER: _ClassVar[int]
    finding: _finding_pb2.Finding
    verified: VerifiedResult
    def __init__(self, finding: _Optional[_Union[_finding_pb2.Finding, _Mapping]] = ..., verified: _Optional[_Union[VerifiedResult, _Mapping]] = ...) -> None: ...

class VerifiedResult(_message.Message):
    __slots__ = ("job", "archive", "objects")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ARCHIVE_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    job: str
    archive: str
    objects: int
    def __init__(self, job: _Optional[str] = ..., archive: _Optional[str] = ..., objects: _Optional[int] = ...) -> None: ...
