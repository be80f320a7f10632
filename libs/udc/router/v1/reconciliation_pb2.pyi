import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from udc.reconciliation.v1 import finding_pb2 as _finding_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReconcileStudiesRequest(_message.Message):
    __slots__ = ("since", "repair")
    SINCE_FIELD_NUMBER: _ClassVar[int]
    REPAIR_FIELD_NUMBER: _ClassVar[int]
    since: _timestamp_pb2.Timestamp
    repair: bool
    def __init__(self, since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., repair: _Optional[bool] = ...) -> None: ...

class ReconcileStudiesResponse(_message.Message):
    __slots__ = ("finding", "archived", "unsettled")
    FINDING_FIELD_NUMBER: _ClassVar[int]
    ARCHIVED_FIELD_NUMBER: _ClassVar[int]
    UNSETTLED_FIELD_NUMBER: _ClassVar[int]
    finding: _finding_pb2.Finding
    archived: ArchivedJob
    unsettled: str
    def __init__(self, finding: _Optional[_Union[_finding_pb2.Finding, _Mapping]] = ..., archived: _Optional[_Union[ArchivedJob, _Mapping]] = ..., unsettled: _Optional[str] = ...) -> None: ...

class ArchivedJob(_message.Message):
    __slots__ = ("job", "archives")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ARCHIVES_FIELD_NUMBER: _ClassVar[int]
    job: str
    archives: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job: _Optional[str] = ..., archives: _Optional[_Iterable[str]] = ...) -> None: ...
