"""The one way in which a job changes: table, history, outcome and announcement together."""

from dataclasses import replace
from datetime import datetime

from study_router.domain.announcements import JobCanceled, OutcomeDecided
from study_router.domain.jobs import WORKING, Event, Step, Verdict
from study_router.domain.work import Ending, HistoryEntry, Job
from study_router.ports import Transaction
from udckit.errors import ConflictError, InternalError


def move(
    transaction: Transaction,
    job: Job,
    event: Event,
    *,
    now: datetime,
    attempt: int | None = None,
    ending: Ending | None = None,
    detail: str = "",
) -> tuple[Job, Step]:
    """Let ``event`` happen to ``job``, which the transaction has locked.

    Whatever the answer, it enters the job's history. When it ends the job, the outcome is settled and announced, and
    workers are told to abandon what they still do.

    Args:
        transaction: The transaction.
        job: The job as it is; fields changed by the caller are stored too when the event applies.
        event: What happened.
        now: Current time.
        attempt: Attempt that the event tells of, if any.
        ending: Why the job ends, if it does.
        detail: For the history.

    Returns:
        The job afterwards and the answer.
    """
    step = job.decide(event, attempt=attempt)
    after = job.moved(step, now=now, ending=ending)
    transaction.jobs.note(
        job.job,
        HistoryEntry(
            at=now,
            event=event.value,
            verdict=step.verdict,
            state=after.state,
            attempt=after.attempt if attempt is None else attempt,
            detail=detail or (ending.detail if ending else ""),
        ),
    )
    if step.verdict is not Verdict.APPLY:
        return job, step
    transaction.jobs.save(after)
    if after.outcome is not None:
        if job.state in WORKING and event in {Event.CANCEL, Event.SUPERSEDE, Event.EXPIRE, Event.REFUSE}:
            transaction.announce(JobCanceled(after, after.ending.reason or event.value, now))
        settle(transaction, after, now=now)
        if event is Event.ARCHIVED and after.successor:
            return move(transaction, after, Event.SUPERSEDE, now=now, ending=superseded(after.successor))
    return after, step


def settle(transaction: Transaction, job: Job, *, now: datetime) -> None:
    """Make what became of ``job`` the outcome of every study revision that rests on it, and announce it."""
    if job.outcome is None:
        raise InternalError(f"job {job.job} has not ended", job=job.job)
    revisions = set()
    for current in transaction.jobs.outcomes_of_job(job.job):
        transaction.jobs.set_outcome(
            replace(current, outcome=job.outcome, ending=job.ending, successor=job.successor, decided_at=now)
        )
        revisions.add(current.revision)
    for revision in sorted(revisions or {job.revision}):
        transaction.announce(
            OutcomeDecided(
                study=job.study,
                revision=revision,
                attachment=job.grant.attachment,
                organisation=job.grant.organisation,
                device=job.grant.device,
                version=job.grant.version,
                mode=job.grant.mode,
                job=job.job,
                outcome=job.outcome,
                ending=job.ending,
                successor=job.successor,
                facts=job.facts,
                attempts=job.attempt,
                at=now,
            )
        )


def superseded(successor: str) -> Ending:
    """Return the ending of a job whose place ``successor`` takes; empty when none does."""
    detail = f"job {successor} takes its place" if successor else "the study has no input for the device any more"
    return Ending(reason="SUPERSEDED", detail=detail)


def supersede(transaction: Transaction, job: Job, *, successor: str, now: datetime) -> None:
    """Let ``successor`` take the place of ``job``.

    A job that is being archived finishes first: its supersession is noted and takes effect when it is archived.
    """
    job = replace(job, successor=successor)
    if job.decide(Event.SUPERSEDE).verdict is Verdict.NOT_YET:
        transaction.jobs.save(job)
    move(transaction, job, Event.SUPERSEDE, now=now, ending=superseded(successor))


def require_settled(job: Job, step: Step, event: Event) -> None:
    """Make a consumer try again when something before the event is still missing.

    Raises:
        ConflictError: it is not yet due.
    """
    if step.verdict is Verdict.NOT_YET:
        raise ConflictError(
            f"{event.value} came for job {job.job} while it is {job.state.value} in attempt {job.attempt}",
            job=job.job,
            state=job.state.value,
        )
