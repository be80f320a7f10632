"""A job as the router keeps it, and what became of a study for an attachment."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from study_router.domain.jobs import OUTCOME_OF, Event, Position, State, Step, Verdict, decide
from udcmodel.grant import Grant
from udcmodel.vocabulary import ErrorCategory, InputKind, Outcome, Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInput:
    """One typed input: its name in the manifest, and the digest of the object that describes it."""

    name: str
    kind: InputKind
    digest: str
    archive: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectFacts:
    """Pseudonymous facts for those who count; what is unknown is empty, 0 for the spacing."""

    age_band: str = ""
    sex: str = ""
    modality: str = ""
    manufacturer: str = ""
    scanner_model: str = ""
    slice_spacing_mm: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why a job ended as it did, for people and for the counts."""

    reason: str = ""
    detail: str = ""
    category: ErrorCategory | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One device version's work on one study.

    Attributes:
        job: Derived id.
        study: Internal id of the study.
        revision: Revision of the study for which the job was made.
        run: 1, and more by explicit re-runs.
        grant: The decision that it may run, pinned.
        inputs: In the order of the manifest.
        pool: Where it may run.
        priority: Who goes first.
        attempt_limit_s: From dispatch to the deadline of the attempt.
        destinations: Archives that receive the result; empty in shadow mode.
        input_ready_at: When its inputs were complete: all there, and quiet for long enough or declared complete.
        issue: Number of this result among those of the study and attachment, from 1.
        patient_fingerprint: Keyed hash of the identity when the job was made.
        facts: For those who count.
        state: Where the job is.
        attempt: Number of the latest attempt, 0 before the first; it only fences.
        failures: Attempts that were really used up; an outage uses up none.
        ending: Why it ended.
        result_digest: The one accepted result, or empty.
        successor: Job that takes its place, or empty.
        not_before: Earliest time of the next attempt.
        attempt_deadline: When the attempt in hand is over; while archiving, when that is.
        deadline: When everything is over.
        trace: W3C trace context of the job's own trace.
    """

    job: str
    study: str
    revision: int
    run: int
    grant: Grant
    inputs: tuple[JobInput, ...]
    pool: str
    priority: Priority
    attempt_limit_s: int
    destinations: tuple[str, ...]
    issue: int
    patient_fingerprint: str
    facts: SubjectFacts
    created_at: datetime
    input_ready_at: datetime
    deadline: datetime
    state: State = State.PENDING
    attempt: int = 0
    failures: int = 0
    ending: Ending = Ending()
    result_digest: str = ""
    successor: str = ""
    not_before: datetime | None = None
    attempt_deadline: datetime | None = None
    dispatched_at: datetime | None = None
    accepted_at: datetime | None = None
    ended_at: datetime | None = None
    trace: str = ""

    @property
    def position(self) -> Position:
        """State and attempt."""
        return Position(self.state, self.attempt)

    @property
    def outcome(self) -> Outcome | None:
        """What came of it; None while it goes on."""
        return OUTCOME_OF.get(self.state)

    def at_fault_for_lateness(self, *, now: datetime) -> ErrorCategory:
        """Say whose fault it is that the job did not end in time: the device's only where it had its time.

        A job that waits for a slot, whose dispatch nobody took, that was begun too late to end, or whose result waits
        to be stored is held up by servers.
        """
        had_its_time = (
            self.state is State.RUNNING
            and self.dispatched_at is not None
            and now >= self.dispatched_at + timedelta(seconds=self.attempt_limit_s)
        )
        is_before_result = self.state in {State.PENDING, State.DISPATCHED, State.RUNNING}
        is_of_device = had_its_time or (is_before_result and self.failures > 0)
        return ErrorCategory.OTHER if is_of_device else ErrorCategory.SERVER_UNAVAILABLE

    def decide(self, event: Event, *, attempt: int | None = None) -> Step:
        """Return what ``event`` would do."""
        return decide(self.position, event, attempt=attempt)

    def moved(self, step: Step, *, now: datetime, ending: Ending | None = None) -> "Job":
        """Return the job after ``step``, which applied."""
        if step.verdict is not Verdict.APPLY:
            return self
        has_ended = step.state in OUTCOME_OF
        return replace(
            self,
            state=step.state,
            ending=ending or (Ending() if has_ended else self.ending),
            ended_at=now if has_ended else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the worker of an attempt is. ``stage`` is the number on the wire: stages follow each other by it."""

    attempt: int
    stage: int
    retrieved: int
    wanted: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """Something that happened to a job, whether or not it changed anything."""

    at: datetime
    event: str
    verdict: Verdict
    state: State
    attempt: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentOutcome:
    """What became of a study revision for an attachment; ``outcome`` is None while a job goes on."""

    study: str
    revision: int
    attachment: str
    device: str
    version: str
    job: str
    outcome: Outcome | None
    ending: Ending
    decided_at: datetime
    successor: str = ""
    snapshot: str = ""
