"""What must agree between archive, index, outcomes and jobs, and what can be done where it does not."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique

from study_router.domain.jobs import State
from study_router.domain.studies import Study, StudyState
from study_router.domain.work import CurrentOutcome, Job


@unique
class FindingKind(StrEnum):
    """What does not agree."""

    ARCHIVE_AWAY = "ARCHIVE_AWAY"
    INDEX_BEHIND = "INDEX_BEHIND"
    INDEX_AHEAD = "INDEX_AHEAD"
    STUDY_FORGOTTEN = "STUDY_FORGOTTEN"
    OUTCOME_MISSING = "OUTCOME_MISSING"
    OUTCOME_WRONG = "OUTCOME_WRONG"
    JOB_STUCK = "JOB_STUCK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that does not agree.

    Attributes:
        kind: What.
        about: ``studies/<id>`` and the like; the same as long as it is the same finding.
        detail: A sentence for people.
        repair: What was done about it, a sentence; empty when nothing was.
    """

    kind: FindingKind
    about: str
    detail: str
    repair: str = ""


@dataclass(frozen=True, slots=True)
class Unsettled:
    """What is being read or decided just now; whether it agrees shows when that is done."""

    about: str


@dataclass(frozen=True, slots=True)
class Difference:
    """The series of a study in which the index and an archive differ.

    Attributes:
        missing: Instances that the archive holds and the index lacks, by series.
        gone: Instances that the index knows and the archive lacks, by series.
    """

    missing: Mapping[str, int]
    gone: Mapping[str, int]

    def __bool__(self) -> bool:
        return bool(self.missing or self.gone)

    @property
    def series(self) -> tuple[str, ...]:
        """All series that differ."""
        return tuple(sorted({*self.missing, *self.gone}))


def difference(*, held: Mapping[str, int], known: Mapping[str, int]) -> Difference:
    """Compare the numbers of instances of each series of a study.

    Args:
        held: What the archive holds.
        known: What the index knows.
    """
    missing = {series: count - known.get(series, 0) for series, count in held.items() if count > known.get(series, 0)}
    gone = {series: count - held.get(series, 0) for series, count in known.items() if count > held.get(series, 0)}
    return Difference(missing, gone)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an outcome belongs."""

    revision: int
    attachment: str


def places(study: Study, *, concerned: Collection[str], decided: Mapping[int, Collection[str]]) -> tuple[Place, ...]:
    """Return where a study must have outcomes: every revision that was closed has one per attachment.

    Args:
        study: The study.
        concerned: Attachments that its present revision concerns.
        decided: By revision, the attachments that were decided about; attachments change, and this was kept.
    """
    if study.state is StudyState.QUARANTINED:
        return ()
    last = study.revision if study.state is StudyState.CLOSED else study.revision - 1
    expected = {Place(revision, name) for revision in range(1, last + 1) for name in decided.get(revision, ())}
    if last == study.revision:
        expected |= {Place(last, name) for name in concerned}
    return tuple(sorted(expected))


def without_outcome(expected: Collection[Place], outcomes: Collection[CurrentOutcome]) -> tuple[Place, ...]:
    """Return the places that have no outcome."""
    there = {Place(outcome.revision, outcome.attachment) for outcome in outcomes}
    return tuple(place for place in expected if place not in there)


def job_for(place: Place, jobs: Sequence[Job]) -> Job | None:
    """Return the job on which a lost outcome rested, if that is certain.

    One that was superseded says only that something else came after it.

    Args:
        place: Where the outcome belongs.
        jobs: All jobs of the study, oldest first.
    """
    made = [job for job in jobs if (job.revision, job.grant.attachment) == (place.revision, place.attachment)]
    return made[-1] if made and made[-1].state is not State.SUPERSEDED and not made[-1].successor else None


def contradicted(outcomes: Sequence[CurrentOutcome], jobs: Mapping[str, Job]) -> tuple[tuple[CurrentOutcome, str], ...]:
    """Return the outcomes that say something else than their job, each with what the job says."""
    wrong: list[tuple[CurrentOutcome, str]] = []
    for outcome in outcomes:
        if not outcome.job:
            continue
        job = jobs.get(outcome.job)
        if job is None:
            wrong.append((outcome, "there is no such job"))
        elif job.outcome is not outcome.outcome:
            wrong.append((outcome, f"the job is {job.state.value}"))
    return tuple(wrong)
