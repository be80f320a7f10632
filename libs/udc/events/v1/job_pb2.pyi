import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InputKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INPUT_KIND_UNSPECIFIED: _ClassVar[InputKind]
    INPUT_KIND_STACK: _ClassVar[InputKind]
    INPUT_KIND_PRIOR_STACK: _ClassVar[InputKind]
    INPUT_KIND_WAVEFORM: _ClassVar[InputKind]
    INPUT_KIND_FEATURES: _ClassVar[InputKind]
    INPUT_KIND_RESULT: _ClassVar[InputKind]

class Priority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRIORITY_UNSPECIFIED: _ClassVar[Priority]
    PRIORITY_URGENT: _ClassVar[Priority]
    PRIORITY_ROUTINE: _ClassVar[Priority]
    PRIORITY_BATCH: _ClassVar[Priority]

class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODE_UNSPECIFIED: _ClassVar[Mode]
    MODE_SHADOW: _ClassVar[Mode]
    MODE_PILOT: _ClassVar[Mode]
    MODE_LIVE: _ClassVar[Mode]

class ErrorCategory(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_CATEGORY_UNSPECIFIED: _ClassVar[ErrorCategory]
    ERROR_CATEGORY_SERVER_UNAVAILABLE: _ClassVar[ErrorCategory]
    ERROR_CATEGORY_NUMBER_OF_IMAGES: _ClassVar[ErrorCategory]
    ERROR_CATEGORY_MODALITY: _ClassVar[ErrorCategory]
    ERROR_CATEGORY_SERIES: _ClassVar[ErrorCategory]
    ERROR_CATEGORY_TAG: _ClassVar[ErrorCategory]
    ERROR_CATEGORY_BODY_PART: _ClassVar[ErrorCategory]
    ERROR_CATEGORY_IMAGES: _ClassVar[ErrorCategory]
    ERROR_CATEGORY_OTHER: _ClassVar[ErrorCategory]

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_ARCHIVED: _ClassVar[Outcome]
    OUTCOME_KEPT: _ClassVar[Outcome]
    OUTCOME_NOT_ELIGIBLE: _ClassVar[Outcome]
    OUTCOME_REFUSED: _ClassVar[Outcome]
    OUTCOME_INSUFFICIENT: _ClassVar[Outcome]
    OUTCOME_FAILED: _ClassVar[Outcome]
    OUTCOME_EXPIRED: _ClassVar[Outcome]
    OUTCOME_CANCELED: _ClassVar[Outcome]
    OUTCOME_SUPERSEDED: _ClassVar[Outcome]
    OUTCOME_WITHDRAWN: _ClassVar[Outcome]

class JobStage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_STAGE_UNSPECIFIED: _ClassVar[JobStage]
    JOB_STAGE_RETRIEVING: _ClassVar[JobStage]
    JOB_STAGE_INFERRING: _ClassVar[JobStage]
    JOB_STAGE_INTERPRETING: _ClassVar[JobStage]
INPUT_KIND_UNSPECIFIED: InputKind
INPUT_KIND_STACK: InputKind
INPUT_KIND_PRIOR_STACK: InputKind
INPUT_KIND_WAVEFORM: InputKind
INPUT_KIND_FEATURES: InputKind
INPUT_KIND_RESULT: InputKind
PRIORITY_UNSPECIFIED: Priority
PRIORITY_URGENT: Priority
PRIORITY_ROUTINE: Priority
PRIORITY_BATCH: Priority
MODE_UNSPECIFIED: Mode
MODE_SHADOW: Mode
MODE_PILOT: Mode
MODE_LIVE: Mode
ERROR_CATEGORY_UNSPECIFIED: ErrorCategory
ERROR_CATEGORY_SERVER_UNAVAILABLE: ErrorCategory
ERROR_CATEGORY_NUMBER_OF_IMAGES: ErrorCategory
ERROR_CATEGORY_MODALITY: ErrorCategory
ERROR_CATEGORY_SERIES: ErrorCategory
ERROR_CATEGORY_TAG: ErrorCategory
ERROR_CATEGORY_BODY_PART: ErrorCategory
ERROR_CATEGORY_IMAGES: ErrorCategory
ERROR_CATEGORY_OTHER: ErrorCategory
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_ARCHIVED: Outcome
OUTCOME_KEPT: Outcome
OUTCOME_NOT_ELIGIBLE: Outcome
OUTCOME_REFUSED: Outcome
OUTCOME_INSUFFICIENT: Outcome
OUTCOME_FAILED: Outcome
OUTCOME_EXPIRED: Outcome
OUTCOME_CANCELED: Outcome
OUTCOME_SUPERSEDED: Outcome
OUTCOME_WITHDRAWN: Outcome
JOB_STAGE_UNSPECIFIED: JobStage
JOB_STAGE_RETRIEVING: JobStage
JOB_STAGE_INFERRING: JobStage
JOB_STAGE_INTERPRETING: JobStage

class Input(_message.Message):
    __slots__ = ("name", "kind", "digest", "archive")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ARCHIVE_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: InputKind
    digest: str
    archive: str
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[_Union[InputKind, str]] = ..., digest: _Optional[str] = ..., archive: _Optional[str] = ...) -> None: ...

class Grant(_message.Message):
    __slots__ = ("job", "device", "version", "attachment", "attachment_revision", "organisation", "mode", "manifest_digest", "model_digest", "input_digests", "valid_until")
    JOB_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ATTACHMENT_FIELD_NUMBER: _ClassVar[int]
    ATTACHMENT_REVISION_FIELD_NUMBER: _ClassVar[int]
    ORGANISATION_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    INPUT_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    job: str
    device: str
    version: str
    attachment: str
    attachment_revision: int
    organisation: str
    mode: Mode
    manifest_digest: str
    model_digest: str
    input_digests: _containers.RepeatedScalarFieldContainer[str]
    valid_until: _timestamp_pb2.Timestamp
    def __init__(self, job: _Optional[str] = ..., device: _Optional[str] = ..., version: _Optional[str] = ..., attachment: _Optional[str] = ..., attachment_revision: _Optional[int] = ..., organisation: _Optional[str] = ..., mode: _Optional[_Union[Mode, str]] = ..., manifest_digest: _Optional[str] = ..., model_digest: _Optional[str] = ..., input_digests: _Optional[_Iterable[str]] = ..., valid_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SubjectFacts(_message.Message):
    __slots__ = ("age_band", "sex", "modality", "manufacturer", "scanner_model", "slice_spacing_mm")
    AGE_BAND_FIELD_NUMBER: _ClassVar[int]
    SEX_FIELD_NUMBER: _ClassVar[int]
    MODALITY_FIELD_NUMBER: _ClassVar[int]
    MANUFACTURER_FIELD_NUMBER: _ClassVar[int]
    SCANNER_MODEL_FIELD_NUMBER: _ClassVar[int]
    SLICE_SPACING_MM_FIELD_NUMBER: _ClassVar[int]
    age_band: str
    sex: str
    modality: str
    manufacturer: str
    scanner_model: str
    slice_spacing_mm: float
    def __init__(self, age_band: _Optional[str] = ..., sex: _Optional[str] = ..., modality: _Optional[str] = ..., manufacturer: _Optional[str] = ..., scanner_model: _Optional[str] = ..., slice_spacing_mm: _Optional[float] = ...) -> None: ...

class JobDispatched(_message.Message):
    __slots__ = ("job", "attempt", "deadline", "priority", "pool", "grant", "inputs")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    job: str
    attempt: int
    deadline: _timestamp_pb2.Timestamp
    priority: Priority
    pool: str
    grant: Grant
    inputs: _containers.RepeatedCompositeFieldContainer[Input]
    def __init__(self, job: _Optional[str] = ..., attempt: _Optional[int] = ..., deadline: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., priority: _Optional[_Union[Priority, str]] = ..., pool: _Optional[str] = ..., grant: _Optional[_Union[Grant, _Mapping]] = ..., inputs: _Optional[_Iterable[_Union[Input, _Mapping]]] = ...) -> None: ...

class JobStarted(_message.Message):
    __slots__ = ("job", "attempt", "worker")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    job: str
    attempt: int
    worker: str
    def __init__(self, job: _Optional[str] = ..., attempt: _Optional[int] = ..., worker: _Optional[str] = ...) -> None: ...

class JobInferred(_message.Message):
    __slots__ = ("job", "attempt", "worker", "result_digest", "processing_version", "findings_present", "highest_probability", "inference_started_at", "inference_ended_at", "findings_undetermined")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    RESULT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PROCESSING_VERSION_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_PRESENT_FIELD_NUMBER: _ClassVar[int]
    HIGHEST_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_UNDETERMINED_FIELD_NUMBER: _ClassVar[int]
    job: str
    attempt: int
    worker: str
    result_digest: str
    processing_version: str
    findings_present: int
    highest_probability: float
    inference_started_at: _timestamp_pb2.Timestamp
    inference_ended_at: _timestamp_pb2.Timestamp
    findings_undetermined: int
    def __init__(self, job: _Optional[str] = ..., attempt: _Optional[int] = ..., worker: _Optional[str] = ..., result_digest: _Optional[str] = ..., processing_version: _Optional[str] = ..., findings_present: _Optional[int] = ..., highest_probability: _Optional[float] = ..., inference_started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., inference_ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., findings_undetermined: _Optional[int] = ...) -> None: ...

class JobFailed(_message.Message):
    __slots__ = ("job", "attempt", "worker", "reason", "detail", "category", "insufficient", "retryable")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    INSUFFICIENT_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    job: str
    attempt: int
    worker: str
    reason: str
    detail: str
    category: ErrorCategory
    insufficient: bool
    retryable: bool
    def __init__(self, job: _Optional[str] = ..., attempt: _Optional[int] = ..., worker: _Optional[str] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ..., category: _Optional[_Union[ErrorCategory, str]] = ..., insufficient: _Optional[bool] = ..., retryable: _Optional[bool] = ...) -> None: ...

class JobProgressed(_message.Message):
    __slots__ = ("job", "attempt", "worker", "stage", "retrieved", "wanted")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    RETRIEVED_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    job: str
    attempt: int
    worker: str
    stage: JobStage
    retrieved: int
    wanted: int
    def __init__(self, job: _Optional[str] = ..., attempt: _Optional[int] = ..., worker: _Optional[str] = ..., stage: _Optional[_Union[JobStage, str]] = ..., retrieved: _Optional[int] = ..., wanted: _Optional[int] = ...) -> None: ...

class JobReturned(_message.Message):
    __slots__ = ("job", "attempt", "worker", "reason", "detail")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    job: str
    attempt: int
    worker: str
    reason: str
    detail: str
    def __init__(self, job: _Optional[str] = ..., attempt: _Optional[int] = ..., worker: _Optional[str] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class JobCanceled(_message.Message):
    __slots__ = ("job", "attempt", "reason")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    job: str
    attempt: int
    reason: str
    def __init__(self, job: _Optional[str] = ..., attempt: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class JobEnded(_message.Message):
    __slots__ = ("job", "outcome", "reason", "detail", "category", "device", "version", "attachment", "organisation", "mode", "study", "revision", "successor", "facts", "attempts")
    JOB_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ATTACHMENT_FIELD_NUMBER: _ClassVar[int]
    ORGANISATION_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    STUDY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SUCCESSOR_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    job: str
    outcome: Outcome
    reason: str
    detail: str
    category: ErrorCategory
    device: str
    version: str
    attachment: str
    organisation: str
    mode: Mode
    study: str
    revision: int
    successor: str
    facts: SubjectFacts
    attempts: int
    def __init__(self, job: _Optional[str] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ..., category: _Optional[_Union[ErrorCategory, str]] = ..., device: _Optional[str] = ..., version: _Optional[str] = ..., attachment: _Optional[str] = ..., organisation: _Optional[str] = ..., mode: _Optional[_Union[Mode, str]] = ..., study: _Optional[str] = ..., revision: _Optional[int] = ..., successor: _Optional[str] = ..., facts: _Optional[_Union[SubjectFacts, _Mapping]] = ..., attempts: _Optional[int] = ...) -> None: ...
