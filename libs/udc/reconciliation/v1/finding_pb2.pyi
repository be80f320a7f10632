from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FindingKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINDING_KIND_UNSPECIFIED: _ClassVar[FindingKind]
    FINDING_KIND_ARCHIVE_AWAY: _ClassVar[FindingKind]
    FINDING_KIND_INDEX_BEHIND: _ClassVar[FindingKind]
    FINDING_KIND_INDEX_AHEAD: _ClassVar[FindingKind]
    FINDING_KIND_STUDY_FORGOTTEN: _ClassVar[FindingKind]
    FINDING_KIND_OUTCOME_MISSING: _ClassVar[FindingKind]
    FINDING_KIND_OUTCOME_WRONG: _ClassVar[FindingKind]
    FINDING_KIND_JOB_STUCK: _ClassVar[FindingKind]
    FINDING_KIND_RESULT_UNKNOWN: _ClassVar[FindingKind]
    FINDING_KIND_OBJECT_MISSING: _ClassVar[FindingKind]
    FINDING_KIND_EVENT_MISSING: _ClassVar[FindingKind]
    FINDING_KIND_OUTBOX_STALLED: _ClassVar[FindingKind]
    FINDING_KIND_SERVICE_AWAY: _ClassVar[FindingKind]
FINDING_KIND_UNSPECIFIED: FindingKind
FINDING_KIND_ARCHIVE_AWAY: FindingKind
FINDING_KIND_INDEX_BEHIND: FindingKind
FINDING_KIND_INDEX_AHEAD: FindingKind
FINDING_KIND_STUDY_FORGOTTEN: FindingKind
FINDING_KIND_OUTCOME_MISSING: FindingKind
FINDING_KIND_OUTCOME_WRONG: FindingKind
FINDING_KIND_JOB_STUCK: FindingKind
FINDING_KIND_RESULT_UNKNOWN: FindingKind
FINDING_KIND_OBJECT_MISSING: FindingKind
FINDING_KIND_EVENT_MISSING: FindingKind
FINDING_KIND_OUTBOX_STALLED: FindingKind
FINDING_KIND_SERVICE_AWAY: FindingKind

class Finding(_message.Message):
    __slots__ = ("kind", "about", "detail", "repair")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ABOUT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    REPAIR_FIELD_NUMBER: _ClassVar[int]
    kind: FindingKind
    about: str
    detail: str
    repair: str
    def __init__(self, kind: _Optional[_Union[FindingKind, str]] = ..., about: _Optional[str] = ..., detail: _Optional[str] = ..., repair: _Optional[str] = ...) -> None: ...
