from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class StudyCompleted(_message.Message):
    __slots__ = ("study", "revision", "organisation", "series_count", "instance_count", "evidence")
    STUDY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ORGANISATION_FIELD_NUMBER: _ClassVar[int]
    SERIES_COUNT_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_COUNT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    study: str
    revision: int
    organisation: str
    series_count: int
    instance_count: int
    evidence: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, study: _Optional[str] = ..., revision: _Optional[int] = ..., organisation: _Optional[str] = ..., series_count: _Optional[int] = ..., instance_count: _Optional[int] = ..., evidence: _Optional[_Iterable[str]] = ...) -> None: ...

class StudyRevised(_message.Message):
    __slots__ = ("study", "revision", "organisation", "reason")
    STUDY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ORGANISATION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    study: str
    revision: int
    organisation: str
    reason: str
    def __init__(self, study: _Optional[str] = ..., revision: _Optional[int] = ..., organisation: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class StudyQuarantined(_message.Message):
    __slots__ = ("study", "organisation", "reason")
    STUDY_FIELD_NUMBER: _ClassVar[int]
    ORGANISATION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    study: str
    organisation: str
    reason: str
    def __init__(self, study: _Optional[str] = ..., organisation: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
