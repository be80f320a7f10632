import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from udc.events.v1 import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ResultAccepted(_message.Message):
    __slots__ = ("job", "attempt", "result_digest", "grant", "inputs", "study", "revision", "issue", "destinations", "patient_fingerprint", "accepted_at", "deadline")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RESULT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    STUDY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ISSUE_FIELD_NUMBER: _ClassVar[int]
    DESTINATIONS_FIELD_NUMBER: _ClassVar[int]
    PATIENT_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_AT_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    job: str
    attempt: int
    result_digest: str
    grant: _job_pb2.Grant
    inputs: _containers.RepeatedCompositeFieldContainer[_job_pb2.Input]
    study: str
    revision: int
    issue: int
    destinations: _containers.RepeatedScalarFieldContainer[str]
    patient_fingerprint: str
    accepted_at: _timestamp_pb2.Timestamp
    deadline: _timestamp_pb2.Timestamp
    def __init__(self, job: _Optional[str] = ..., attempt: _Optional[int] = ..., result_digest: _Optional[str] = ..., grant: _Optional[_Union[_job_pb2.Grant, _Mapping]] = ..., inputs: _Optional[_Iterable[_Union[_job_pb2.Input, _Mapping]]] = ..., study: _Optional[str] = ..., revision: _Optional[int] = ..., issue: _Optional[int] = ..., destinations: _Optional[_Iterable[str]] = ..., patient_fingerprint: _Optional[str] = ..., accepted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., deadline: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ResultArchived(_message.Message):
    __slots__ = ("job", "result_digest", "archive", "objects")
    JOB_FIELD_NUMBER: _ClassVar[int]
    RESULT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ARCHIVE_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    job: str
    result_digest: str
    archive: str
    objects: _containers.RepeatedCompositeFieldContainer[ArchivedObject]
    def __init__(self, job: _Optional[str] = ..., result_digest: _Optional[str] = ..., archive: _Optional[str] = ..., objects: _Optional[_Iterable[_Union[ArchivedObject, _Mapping]]] = ...) -> None: ...

class ArchivedObject(_message.Message):
    __slots__ = ("sop_class_uid", "digest")
    SOP_CLASS_UID_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    sop_class_uid: str
    digest: str
    def __init__(self, sop_class_uid: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class ResultFailed(_message.Message):
    __slots__ = ("job", "result_digest", "archive", "reason", "detail", "category")
    JOB_FIELD_NUMBER: _ClassVar[int]
    RESULT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ARCHIVE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    job: str
    result_digest: str
    archive: str
    reason: str
    detail: str
    category: _job_pb2.ErrorCategory
    def __init__(self, job: _Optional[str] = ..., result_digest: _Optional[str] = ..., archive: _Optional[str] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ..., category: _Optional[_Union[_job_pb2.ErrorCategory, str]] = ...) -> None: ...
