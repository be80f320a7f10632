"""What workers and the archiver report. Each is an effect on one transaction and may come late, twice, in any order."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from study_router.domain.announcements import ResultAccepted
from study_router.domain.jobs import Event, Verdict
from study_router.domain.work import Ending, Progress
from study_router.ports import Transaction
from study_router.usecases.moving import move, require_settled
from udckit.clock import Clock
from udcmodel.grant import Refusal
from udcmodel.vocabulary import ErrorCategory, Mode

REFUSED: Final = "REFUSED_"
"""What workers put before a refusal, to tell it from the reasons of their own."""
_REFUSALS: Final = frozenset(refusal.value for refusal in Refusal)
_RETURN_PAUSE_S: Final = 2.0
"""Longer than the workers take to say what they lack."""
_LONGEST_RETURN_PAUSE_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStart:
    """A worker has taken the job."""

    clock: Clock

    def __call__(self, transaction: Transaction, *, job: str, attempt: int, worker: str) -> None:
        """Note it.

        Raises:
            ConflictError: our own dispatch is not visible yet.
        """
        current = transaction.jobs.lock(job)
        _, step = move(
            transaction, current, Event.STARTED, now=self.clock.now(), attempt=attempt, detail=f"worker {worker}"
        )
        require_settled(current, step, Event.STARTED)


class RecordProgress:
    """A worker says how far it is: kept for people, and nothing follows from it."""

    def __call__(self, transaction: Transaction, *, job: str, progress: Progress) -> None:
        """Keep it, unless a worker was further."""
        transaction.progress.advance(job, progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptResult:
    """A worker has a result: the first one is accepted, and no other ever."""

    clock: Clock

    def __call__(self, transaction: Transaction, *, job: str, attempt: int, worker: str, digest: str) -> None:
        """Accept the result, or note that it comes too late.

        Raises:
            ConflictError: our own dispatch is not visible yet.
        """
        now = self.clock.now()
        current = transaction.jobs.lock(job)
        inferred, step = move(
            transaction, current, Event.INFERRED, now=now, attempt=attempt, detail=f"worker {worker}: {digest}"
        )
        require_settled(current, step, Event.INFERRED)
        if step.verdict is not Verdict.APPLY:
            return
        issue = 1 + transaction.jobs.accepted_before(study=current.study, attachment=current.grant.attachment)
        if not transaction.jobs.accept(job, digest):
            return
        accepted, _ = move(
            transaction,
            replace(inferred, result_digest=digest, issue=issue, accepted_at=now),
            Event.ACCEPT,
            now=now,
            detail=digest,
        )
        transaction.announce(ResultAccepted(accepted, now))
        if accepted.grant.mode is Mode.SHADOW:
            move(transaction, accepted, Event.KEEP, now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFailure:
    """A worker could not make a result.

    Attributes:
        clock: Time.
        max_attempts: How often the work itself may fail.
        back_off_s: Pause before the next attempt, by the number of failures; the last repeats.
    """

    clock: Clock
    max_attempts: int
    back_off_s: tuple[float, ...]

    def __call__(
        self,
        transaction: Transaction,
        *,
        job: str,
        attempt: int,
        ending: Ending,
        is_insufficient: bool,
        is_retryable: bool,
    ) -> None:
        """End the job, or let it try again later. A job that may not run any more is refused and no failure.

        Raises:
            ConflictError: our own dispatch is not visible yet.
        """
        now = self.clock.now()
        current = transaction.jobs.lock(job)
        refusal = _refusal(ending.reason, ending.detail)
        if refusal is not None and current.decide(Event.FAILED, attempt=attempt).verdict is Verdict.APPLY:
            move(transaction, current, Event.REFUSE, now=now, attempt=attempt, ending=refusal)
            return
        failures = current.failures + 1
        if is_insufficient:
            event = Event.INSUFFICIENT
        elif is_retryable and failures < self.max_attempts:
            event = Event.ATTEMPT_LOST
        else:
            event = Event.FAILED
        pause_s = self.back_off_s[min(failures, len(self.back_off_s)) - 1]
        changed = replace(current, failures=failures, not_before=now + timedelta(seconds=pause_s))
        _, step = move(
            transaction,
            changed,
            event,
            now=now,
            attempt=attempt,
            ending=None if event is Event.ATTEMPT_LOST else ending,
            detail=f"{ending.reason}: {ending.detail}",
        )
        require_settled(current, step, event)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordReturn:
    """A worker lacks something that this job needs: it waits, and no attempt is used up."""

    clock: Clock

    def __call__(self, transaction: Transaction, *, job: str, attempt: int, reason: str, detail: str) -> None:
        """Let the job wait for its turn again, longer each time that it comes back.

        Raises:
            ConflictError: our own dispatch is not visible yet.
        """
        now = self.clock.now()
        current = transaction.jobs.lock(job)
        returns = max(1, current.attempt - current.failures)
        pause_s = min(_RETURN_PAUSE_S * 2 ** min(returns - 1, 16), _LONGEST_RETURN_PAUSE_S)
        _, step = move(
            transaction,
            replace(current, not_before=now + timedelta(seconds=pause_s)),
            Event.RETURNED,
            now=now,
            attempt=attempt,
            detail=f"{reason}: {detail}",
        )
        require_settled(current, step, Event.RETURNED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDelivery:
    """A destination holds the result; the job is archived when all do."""

    clock: Clock

    def __call__(self, transaction: Transaction, *, job: str, digest: str, archive: str) -> None:
        """Note it.

        Raises:
            ConflictError: archiving has not begun as far as we know.
        """
        now = self.clock.now()
        current = transaction.jobs.lock(job)
        if digest != current.result_digest:
            return
        transaction.jobs.deliver(job, archive, is_archived=True, at=now)
        delivered = transaction.jobs.deliveries(job)
        if not all(delivered.get(destination, False) for destination in current.destinations):
            return
        _, step = move(transaction, current, Event.ARCHIVED, now=now, detail=archive)
        require_settled(current, step, Event.ARCHIVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDeliveryFailure:
    """A destination cannot take the result."""

    clock: Clock

    def __call__(
        self,
        transaction: Transaction,
        *,
        job: str,
        digest: str,
        archive: str,
        reason: str,
        detail: str,
        category: ErrorCategory | None,
    ) -> None:
        """End the job. One that may not be archived any more is refused and no failure.

        Raises:
            ConflictError: the result is not accepted as far as we know.
        """
        now = self.clock.now()
        current = transaction.jobs.lock(job)
        if digest != current.result_digest:
            return
        refusal = _refusal(reason, f"{archive}: {detail}")
        if refusal is not None and current.decide(Event.REFUSE).verdict is Verdict.APPLY:
            move(transaction, current, Event.REFUSE, now=now, ending=refusal)
            return
        transaction.jobs.deliver(job, archive, is_archived=False, at=now)
        ending = Ending(reason=reason, detail=f"{archive}: {detail}", category=category)
        _, step = move(transaction, current, Event.RESULT_FAILED, now=now, ending=ending)
        require_settled(current, step, Event.RESULT_FAILED)


def _refusal(reason: str, detail: str) -> Ending | None:
    """Return the ending of a job of which a service says that the device may not run it; None for other reasons."""
    name = reason.removeprefix(REFUSED)
    return Ending(reason=name, detail=detail) if name in _REFUSALS else None
