import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from udc.events.v1 import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetCountsRequest(_message.Message):
    __slots__ = ("from_day", "to_day", "device")
    FROM_DAY_FIELD_NUMBER: _ClassVar[int]
    TO_DAY_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    from_day: str
    to_day: str
    device: str
    def __init__(self, from_day: _Optional[str] = ..., to_day: _Optional[str] = ..., device: _Optional[str] = ...) -> None: ...

class GetCountsResponse(_message.Message):
    __slots__ = ("rows", "from_day", "to_day", "zone")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    FROM_DAY_FIELD_NUMBER: _ClassVar[int]
    TO_DAY_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[DayCounts]
    from_day: str
    to_day: str
    zone: str
    def __init__(self, rows: _Optional[_Iterable[_Union[DayCounts, _Mapping]]] = ..., from_day: _Optional[str] = ..., to_day: _Optional[str] = ..., zone: _Optional[str] = ...) -> None: ...

class DayCounts(_message.Message):
    __slots__ = ("day", "device", "version", "organisation", "mode", "outcomes", "errors", "categories", "verdicts")
    DAY_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ORGANISATION_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    day: str
    device: str
    version: str
    organisation: str
    mode: _job_pb2.Mode
    outcomes: _containers.RepeatedCompositeFieldContainer[OutcomeCount]
    errors: ErrorCounts
    categories: _containers.RepeatedCompositeFieldContainer[CategoryCount]
    verdicts: VerdictCounts
    def __init__(self, day: _Optional[str] = ..., device: _Optional[str] = ..., version: _Optional[str] = ..., organisation: _Optional[str] = ..., mode: _Optional[_Union[_job_pb2.Mode, str]] = ..., outcomes: _Optional[_Iterable[_Union[OutcomeCount, _Mapping]]] = ..., errors: _Optional[_Union[ErrorCounts, _Mapping]] = ..., categories: _Optional[_Iterable[_Union[CategoryCount, _Mapping]]] = ..., verdicts: _Optional[_Union[VerdictCounts, _Mapping]] = ...) -> None: ...

class OutcomeCount(_message.Message):
    __slots__ = ("outcome", "count")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    outcome: _job_pb2.Outcome
    count: int
    def __init__(self, outcome: _Optional[_Union[_job_pb2.Outcome, str]] = ..., count: _Optional[int] = ...) -> None: ...

class ErrorCounts(_message.Message):
    __slots__ = ("of_device", "not_of_device", "unattributed")
    OF_DEVICE_FIELD_NUMBER: _ClassVar[int]
    NOT_OF_DEVICE_FIELD_NUMBER: _ClassVar[int]
    UNATTRIBUTED_FIELD_NUMBER: _ClassVar[int]
    of_device: int
    not_of_device: int
    unattributed: int
    def __init__(self, of_device: _Optional[int] = ..., not_of_device: _Optional[int] = ..., unattributed: _Optional[int] = ...) -> None: ...

class CategoryCount(_message.Message):
    __slots__ = ("outcome", "category", "count")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    outcome: _job_pb2.Outcome
    category: _job_pb2.ErrorCategory
    count: int
    def __init__(self, outcome: _Optional[_Union[_job_pb2.Outcome, str]] = ..., category: _Optional[_Union[_job_pb2.ErrorCategory, str]] = ..., count: _Optional[int] = ...) -> None: ...

class VerdictCounts(_message.Message):
    __slots__ = ("normal", "pathology", "undetermined", "unknown")
    NORMAL_FIELD_NUMBER: _ClassVar[int]
    PATHOLOGY_FIELD_NUMBER: _ClassVar[int]
    UNDETERMINED_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    normal: int
    pathology: int
    undetermined: int
    unknown: int
    def __init__(self, normal: _Optional[int] = ..., pathology: _Optional[int] = ..., undetermined: _Optional[int] = ..., unknown: _Optional[int] = ...) -> None: ...

class GetJournalStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetJournalStatusResponse(_message.Message):
    __slots__ = ("rows", "producers", "open_gaps", "lost")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    PRODUCERS_FIELD_NUMBER: _ClassVar[int]
    OPEN_GAPS_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    rows: int
    producers: _containers.RepeatedCompositeFieldContainer[Producer]
    open_gaps: _containers.RepeatedCompositeFieldContainer[Gap]
    lost: _containers.RepeatedCompositeFieldContainer[Gap]
    def __init__(self, rows: _Optional[int] = ..., producers: _Optional[_Iterable[_Union[Producer, _Mapping]]] = ..., open_gaps: _Optional[_Iterable[_Union[Gap, _Mapping]]] = ..., lost: _Optional[_Iterable[_Union[Gap, _Mapping]]] = ...) -> None: ...

class Producer(_message.Message):
    __slots__ = ("source", "last_sequence", "rows", "last_recorded_at")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    LAST_RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    source: str
    last_sequence: int
    rows: int
    last_recorded_at: _timestamp_pb2.Timestamp
    def __init__(self, source: _Optional[str] = ..., last_sequence: _Optional[int] = ..., rows: _Optional[int] = ..., last_recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("source", "first", "last")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    source: str
    first: int
    last: int
    def __init__(self, source: _Optional[str] = ..., first: _Optional[int] = ..., last: _Optional[int] = ...) -> None: ...

class RebuildCountsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RebuildCountsResponse(_message.Message):
    __slots__ = ("rows", "cases", "corrected")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    CASES_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_FIELD_NUMBER: _ClassVar[int]
    rows: int
    cases: int
    corrected: int
    def __init__(self, rows: _Optional[int] = ..., cases: _Optional[int] = ..., corrected: _Optional[int] = ...) -> None: ...
