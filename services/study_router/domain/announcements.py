"""What the router tells the others. Each names the fact; the adapter puts it on the wire."""

from dataclasses import dataclass
from datetime import datetime

from study_router.domain.work import Ending, Job, SubjectFacts
from udcmodel.vocabulary import Mode, Outcome


@dataclass(frozen=True, slots=True)
class JobDispatched:
    """The job may start now."""

    job: Job
    at: datetime


@dataclass(frozen=True, slots=True)
class JobCanceled:
    """Nobody needs the job any more."""

    job: Job
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ResultAccepted:
    """The router has taken one result; no other will be taken."""

    job: Job
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeDecided:
    """A study revision has its outcome for an attachment. ``job`` is empty where none was needed."""

    study: str
    revision: int
    attachment: str
    organisation: str
    device: str
    version: str
    mode: Mode
    job: str
    outcome: Outcome
    ending: Ending
    successor: str
    facts: SubjectFacts
    attempts: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCompleted:
    """No further input is expected for this revision."""

    study: str
    revision: int
    organisation: str
    series_count: int
    instance_count: int
    evidence: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRevised:
    """A source instance came after completion."""

    study: str
    revision: int
    organisation: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyQuarantined:
    """A person has to look at the study first."""

    study: str
    revision: int
    organisation: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRegistered:
    """A device version is known."""

    device: str
    version: str
    manifest_digest: str
    model_digest: str
    is_medical_device: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAttached:
    """A device version may run somewhere."""

    attachment: str
    revision: int
    device: str
    version: str
    mode: Mode
    at: datetime


Announcement = (
    JobDispatched
    | JobCanceled
    | ResultAccepted
    | OutcomeDecided
    | StudyCompleted
    | StudyRevised
    | StudyQuarantined
    | DeviceRegistered
    | DeviceAttached
)
