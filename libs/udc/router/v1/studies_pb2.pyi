import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from udc.events.v1 import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StudyState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STUDY_STATE_UNSPECIFIED: _ClassVar[StudyState]
    STUDY_STATE_OPEN: _ClassVar[StudyState]
    STUDY_STATE_CLOSED: _ClassVar[StudyState]
    STUDY_STATE_QUARANTINED: _ClassVar[StudyState]
STUDY_STATE_UNSPECIFIED: StudyState
STUDY_STATE_OPEN: StudyState
STUDY_STATE_CLOSED: StudyState
STUDY_STATE_QUARANTINED: StudyState

class Study(_message.Message):
    __slots__ = ("study", "study_instance_uid", "organisation", "state", "revision", "archives", "first_seen_at", "last_arrival_at", "stacks", "outcomes", "trace_id", "reason", "history", "notes")
    STUDY_FIELD_NUMBER: _ClassVar[int]
    STUDY_INSTANCE_UID_FIELD_NUMBER: _ClassVar[int]
    ORGANISATION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ARCHIVES_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEEN_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_ARRIVAL_AT_FIELD_NUMBER: _ClassVar[int]
    STACKS_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    study: str
    study_instance_uid: str
    organisation: str
    state: StudyState
    revision: int
    archives: _containers.RepeatedScalarFieldContainer[str]
    first_seen_at: _timestamp_pb2.Timestamp
    last_arrival_at: _timestamp_pb2.Timestamp
    stacks: _containers.RepeatedCompositeFieldContainer[Stack]
    outcomes: _containers.RepeatedCompositeFieldContainer[StudyOutcome]
    trace_id: str
    reason: str
    history: _containers.RepeatedCompositeFieldContainer[StudyEntry]
    notes: _containers.RepeatedCompositeFieldContainer[StudyNote]
    def __init__(self, study: _Optional[str] = ..., study_instance_uid: _Optional[str] = ..., organisation: _Optional[str] = ..., state: _Optional[_Union[StudyState, str]] = ..., revision: _Optional[int] = ..., archives: _Optional[_Iterable[str]] = ..., first_seen_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_arrival_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., stacks: _Optional[_Iterable[_Union[Stack, _Mapping]]] = ..., outcomes: _Optional[_Iterable[_Union[StudyOutcome, _Mapping]]] = ..., trace_id: _Optional[str] = ..., reason: _Optional[str] = ..., history: _Optional[_Iterable[_Union[StudyEntry, _Mapping]]] = ..., notes: _Optional[_Iterable[_Union[StudyNote, _Mapping]]] = ...) -> None: ...

class StudyEntry(_message.Message):
    __slots__ = ("at", "event", "revision", "detail")
    AT_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    event: str
    revision: int
    detail: str
    def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., event: _Optional[str] = ..., revision: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...

class StudyNote(_message.Message):
    __slots__ = ("at", "text")
    AT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    text: str
    def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., text: _Optional[str] = ...) -> None: ...

class Stack(_message.Message):
    __slots__ = ("series_instance_uid", "key", "modality", "description", "frame_count", "closed", "slice_spacing_mm", "excluded")
    SERIES_INSTANCE_UID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    MODALITY_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    SLICE_SPACING_MM_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_FIELD_NUMBER: _ClassVar[int]
    series_instance_uid: str
    key: str
    modality: str
    description: str
    frame_count: int
    closed: bool
    slice_spacing_mm: float
    excluded: str
    def __init__(self, series_instance_uid: _Optional[str] = ..., key: _Optional[str] = ..., modality: _Optional[str] = ..., description: _Optional[str] = ..., frame_count: _Optional[int] = ..., closed: _Optional[bool] = ..., slice_spacing_mm: _Optional[float] = ..., excluded: _Optional[str] = ...) -> None: ...

class StudyOutcome(_message.Message):
    __slots__ = ("attachment", "device", "version", "job", "outcome", "reason", "detail", "revision", "decided_at", "category")
    ATTACHMENT_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DECIDED_AT_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    attachment: str
    device: str
    version: str
    job: str
    outcome: _job_pb2.Outcome
    reason: str
    detail: str
    revision: int
    decided_at: _timestamp_pb2.Timestamp
    category: _job_pb2.ErrorCategory
    def __init__(self, attachment: _Optional[str] = ..., device: _Optional[str] = ..., version: _Optional[str] = ..., job: _Optional[str] = ..., outcome: _Optional[_Union[_job_pb2.Outcome, str]] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ..., revision: _Optional[int] = ..., decided_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., category: _Optional[_Union[_job_pb2.ErrorCategory, str]] = ...) -> None: ...

class ListStudiesRequest(_message.Message):
    __slots__ = ("page_size", "study_instance_uid")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    STUDY_INSTANCE_UID_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    study_instance_uid: str
    def __init__(self, page_size: _Optional[int] = ..., study_instance_uid: _Optional[str] = ...) -> None: ...

class ListStudiesResponse(_message.Message):
    __slots__ = ("studies",)
    STUDIES_FIELD_NUMBER: _ClassVar[int]
    studies: _containers.RepeatedCompositeFieldContainer[Study]
    def __init__(self, studies: _Optional[_Iterable[_Union[Study, _Mapping]]] = ...) -> None: ...

class GetStudyRequest(_message.Message):
    __slots__ = ("study",)
    STUDY_FIELD_NUMBER: _ClassVar[int]
    study: str
    def __init__(self, study: _Optional[str] = ...) -> None: ...

class GetStudyResponse(_message.Message):
    __slots__ = ("study",)
    STUDY_FIELD_NUMBER: _ClassVar[int]
    study: Study
    def __init__(self, study: _Optional[_Union[Study, _Mapping]] = ...) -> None: ...

class ExplainStudyRequest(_message.Message):
    __slots__ = ("study",)
    STUDY_FIELD_NUMBER: _ClassVar[int]
    study: str
    def __init__(self, study: _Optional[str] = ...) -> None: ...

class ExplainStudyResponse(_message.Message):
    __slots__ = ("explanations", "study", "stacks", "finished")
    class Clause(_message.Message):
        __slots__ = ("name", "expression", "value", "explanation")
        NAME_FIELD_NUMBER: _ClassVar[int]
        EXPRESSION_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        EXPLANATION_FIELD_NUMBER: _ClassVar[int]
        name: str
        expression: str
        value: str
        explanation: str
        def __init__(self, name: _Optional[str] = ..., expression: _Optional[str] = ..., value: _Optional[str] = ..., explanation: _Optional[str] = ...) -> None: ...
    class Explanation(_message.Message):
        __slots__ = ("attachment", "device", "version", "decision", "clauses", "stacks")
        ATTACHMENT_FIELD_NUMBER: _ClassVar[int]
        DEVICE_FIELD_NUMBER: _ClassVar[int]
        VERSION_FIELD_NUMBER: _ClassVar[int]
        DECISION_FIELD_NUMBER: _ClassVar[int]
        CLAUSES_FIELD_NUMBER: _ClassVar[int]
        STACKS_FIELD_NUMBER: _ClassVar[int]
        attachment: str
        device: str
        version: str
        decision: str
        clauses: _containers.RepeatedCompositeFieldContainer[ExplainStudyResponse.Clause]
        stacks: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, attachment: _Optional[str] = ..., device: _Optional[str] = ..., version: _Optional[str] = ..., decision: _Optional[str] = ..., clauses: _Optional[_Iterable[_Union[ExplainStudyResponse.Clause, _Mapping]]] = ..., stacks: _Optional[_Iterable[str]] = ...) -> None: ...
    class Fact(_message.Message):
        __slots__ = ("name", "raw", "value", "source")
        NAME_FIELD_NUMBER: _ClassVar[int]
        RAW_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        SOURCE_FIELD_NUMBER: _ClassVar[int]
        name: str
        raw: str
        value: str
        source: str
        def __init__(self, name: _Optional[str] = ..., raw: _Optional[str] = ..., value: _Optional[str] = ..., source: _Optional[str] = ...) -> None: ...
    class StackFacts(_message.Message):
        __slots__ = ("series_instance_uid", "modality", "excluded", "facts")
        SERIES_INSTANCE_UID_FIELD_NUMBER: _ClassVar[int]
        MODALITY_FIELD_NUMBER: _ClassVar[int]
        EXCLUDED_FIELD_NUMBER: _ClassVar[int]
        FACTS_FIELD_NUMBER: _ClassVar[int]
        series_instance_uid: str
        modality: str
        excluded: str
        facts: _containers.RepeatedCompositeFieldContainer[ExplainStudyResponse.Fact]
        def __init__(self, series_instance_uid: _Optional[str] = ..., modality: _Optional[str] = ..., excluded: _Optional[str] = ..., facts: _Optional[_Iterable[_Union[ExplainStudyResponse.Fact, _Mapping]]] = ...) -> None: ...
    EXPLANATIONS_FIELD_NUMBER: _ClassVar[int]
    STUDY_FIELD_NUMBER: _ClassVar[int]
    STACKS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    explanations: _containers.RepeatedCompositeFieldContainer[ExplainStudyResponse.Explanation]
    study: Study
    stacks: _containers.RepeatedCompositeFieldContainer[ExplainStudyResponse.StackFacts]
    finished: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, explanations: _Optional[_Iterable[_Union[ExplainStudyResponse.Explanation, _Mapping]]] = ..., study: _Optional[_Union[Study, _Mapping]] = ..., stacks: _Optional[_Iterable[_Union[ExplainStudyResponse.StackFacts, _Mapping]]] = ..., finished: _Optional[_Iterable[str]] = ...) -> None: ...

class CompleteStudyRequest(_message.Message):
    __slots__ = ("request_id", "study")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    STUDY_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    study: str
    def __init__(self, request_id: _Optional[str] = ..., study: _Optional[str] = ...) -> None: ...

class CompleteStudyResponse(_message.Message):
    __slots__ = ("study",)
    STUDY_FIELD_NUMBER: _ClassVar[int]
    study: Study
    def __init__(self, study: _Optional[_Union[Study, _Mapping]] = ...) -> None: ...

class ReleaseStudyRequest(_message.Message):
    __slots__ = ("request_id", "study", "reason")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    STUDY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    study: str
    reason: str
    def __init__(self, request_id: _Optional[str] = ..., study: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ReleaseStudyResponse(_message.Message):
    __slots__ = ("study",)
    STUDY_FIELD_NUMBER: _ClassVar[int]
    study: Study
    def __init__(self, study: _Optional[_Union[Study, _Mapping]] = ...) -> None: ...

class SubmitStudyRequest(_message.Message):
    __slots__ = ("request_id", "archive", "study_instance_uids")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ARCHIVE_FIELD_NUMBER: _ClassVar[int]
    STUDY_INSTANCE_UIDS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    archive: str
    study_instance_uids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, request_id: _Optional[str] = ..., archive: _Optional[str] = ..., study_instance_uids: _Optional[_Iterable[str]] = ...) -> None: ...

class SubmitStudyResponse(_message.Message):
    __slots__ = ("studies",)
    class Submitted(_message.Message):
        __slots__ = ("study_instance_uid", "series", "instances", "series_to_read")
        STUDY_INSTANCE_UID_FIELD_NUMBER: _ClassVar[int]
        SERIES_FIELD_NUMBER: _ClassVar[int]
        INSTANCES_FIELD_NUMBER: _ClassVar[int]
        SERIES_TO_READ_FIELD_NUMBER: _ClassVar[int]
        study_instance_uid: str
        series: int
        instances: int
        series_to_read: int
        def __init__(self, study_instance_uid: _Optional[str] = ..., series: _Optional[int] = ..., instances: _Optional[int] = ..., series_to_read: _Optional[int] = ...) -> None: ...
    STUDIES_FIELD_NUMBER: _ClassVar[int]
    studies: _containers.RepeatedCompositeFieldContainer[SubmitStudyResponse.Submitted]
    def __init__(self, studies: _Optional[_Iterable[_Union[SubmitStudyResponse.Submitted, _Mapping]]] = ...) -> None: ...

class Backfill(_message.Message):
    __slots__ = ("backfill", "attachment", "from_day", "to_day", "study_instance_uids", "ordered_at", "handed_on", "ended_at")
    BACKFILL_FIELD_NUMBER: _ClassVar[int]
    ATTACHMENT_FIELD_NUMBER: _ClassVar[int]
    FROM_DAY_FIELD_NUMBER: _ClassVar[int]
    TO_DAY_FIELD_NUMBER: _ClassVar[int]
    STUDY_INSTANCE_UIDS_FIELD_NUMBER: _ClassVar[int]
    ORDERED_AT_FIELD_NUMBER: _ClassVar[int]
    HANDED_ON_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    backfill: str
    attachment: str
    from_day: str
    to_day: str
    study_instance_uids: _containers.RepeatedScalarFieldContainer[str]
    ordered_at: _timestamp_pb2.Timestamp
    handed_on: int
    ended_at: _timestamp_pb2.Timestamp
    def __init__(self, backfill: _Optional[str] = ..., attachment: _Optional[str] = ..., from_day: _Optional[str] = ..., to_day: _Optional[str] = ..., study_instance_uids: _Optional[_Iterable[str]] = ..., ordered_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., handed_on: _Optional[int] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class BackfillStudiesRequest(_message.Message):
    __slots__ = ("request_id", "attachment", "from_day", "to_day", "study_instance_uids")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ATTACHMENT_FIELD_NUMBER: _ClassVar[int]
    FROM_DAY_FIELD_NUMBER: _ClassVar[int]
    TO_DAY_FIELD_NUMBER: _ClassVar[int]
    STUDY_INSTANCE_UIDS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    attachment: str
    from_day: str
    to_day: str
    study_instance_uids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, request_id: _Optional[str] = ..., attachment: _Optional[str] = ..., from_day: _Optional[str] = ..., to_day: _Optional[str] = ..., study_instance_uids: _Optional[_Iterable[str]] = ...) -> None: ...

class BackfillStudiesResponse(_message.Message):
    __slots__ = ("backfill",)
    BACKFILL_FIELD_NUMBER: _ClassVar[int]
    backfill: Backfill
    def __init__(self, backfill: _Optional[_Union[Backfill, _Mapping]] = ...) -> None: ...

class ListBackfillsRequest(_message.Message):
    __slots__ = ("page_size",)
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    def __init__(self, page_size: _Optional[int] = ...) -> None: ...

class ListBackfillsResponse(_message.Message):
    __slots__ = ("backfills",)
    BACKFILLS_FIELD_NUMBER: _ClassVar[int]
    backfills: _containers.RepeatedCompositeFieldContainer[Backfill]
    def __init__(self, backfills: _Optional[_Iterable[_Union[Backfill, _Mapping]]] = ...) -> None: ...
