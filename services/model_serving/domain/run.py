"""One attempt at one job, as a worker sees it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique

from model_serving.domain.failure import Failed
from udcmodel.grant import Grant
from udcmodel.vocabulary import InputKind, Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInput:
    """An input of a job: ``digest`` names the object that describes it."""

    name: str
    kind: InputKind
    digest: str
    archive: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """The router's word that a job may start now.

    Attributes:
        job: Id of the job.
        attempt: From 1; a redelivery carries the same attempt.
        deadline: After it nobody wants the result.
        priority: For people who look.
        grant: What was allowed, to be checked against the current registry.
        inputs: In the order of the manifest.
    """

    job: str
    attempt: int
    deadline: datetime
    priority: Priority
    grant: Grant
    inputs: tuple[JobInput, ...]


@unique
class Abandonment(StrEnum):
    """Why a run ends without a report."""

    STALE = "STALE"
    """A newer attempt is known here."""
    CANCELED = "CANCELED"
    """Nobody needs the result."""
    EXPIRED = "EXPIRED"
    """The deadline passed; the router knows that by itself."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The run ends, and nothing is reported."""

    why: Abandonment


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferred:
    """The run has a result, which is kept under its digest."""

    result_digest: str
    processing_version: str
    findings_present: int
    findings_undetermined: int
    highest_probability: float | None
    inference_started_at: datetime
    inference_ended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The run ends without having used up the attempt: it lacks something that other jobs may not need."""

    reason: str
    detail: str


Ending = Inferred | Failed | Abandoned | Returned


@unique
class RunState(StrEnum):
    """Where an attempt is, in the worker's own records."""

    STARTED = "STARTED"
    INFERRED = "INFERRED"
    FAILED = "FAILED"
    ABANDONED = "ABANDONED"
    RETURNED = "RETURNED"
