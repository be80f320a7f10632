"""The facts that are counted, as the journal tells them."""

from dataclasses import dataclass
from datetime import datetime

from udcmodel.vocabulary import ErrorCategory, Mode, Outcome


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """What has one current outcome: a study, for an attachment."""

    study: str
    attachment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A job ended, or none was needed.

    Attributes:
        case: Study and attachment.
        job: The job; empty when none was needed.
        revision: Revision of the study.
        sequence: Number that its producer gave the event: of two events about one job the higher one is the later.
        outcome: What became of it.
        category: Why there is no result; None where there is one, or where nobody said.
        successor: Job that takes the place of a superseded one; empty when none does.
        mode: Mode of the attachment.
        device: The device.
        version: Its version.
        organisation: FRMO OID.
        occurred_at: When the outcome came about, aware.
    """

    case: Case
    job: str
    revision: int
    sequence: int
    outcome: Outcome
    category: ErrorCategory | None
    successor: str
    mode: Mode
    device: str
    version: str
    organisation: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """One result was accepted for a job."""

    job: str
    issue: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferred:
    """A worker had a result, which may have been accepted or not.

    Attributes:
        job: The job.
        digest: Digest of the result; the same digest says the same.
        attempt: Attempt of the job.
        findings_present: How many findings are present.
        findings_undetermined: About how many the device could not decide.
    """

    job: str
    digest: str
    attempt: int
    findings_present: int
    findings_undetermined: int


Fact = Ended | Accepted | Inferred
