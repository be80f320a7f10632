"""Every state has a timer: what happens when one runs out."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from study_router.domain.jobs import WORKING, Event, State
from study_router.domain.work import Ending, Job
from study_router.ports import Store, Transaction
from study_router.usecases.moving import move
from udckit.clock import Clock
from udckit.errors import Kind, ServiceError
from udcmodel.vocabulary import ErrorCategory

_BATCH: Final = 64
_OF_ALL: Final = frozenset({Kind.UNAVAILABLE, Kind.TIMED_OUT, Kind.OVERLOADED, Kind.CONFLICT})
"""What one job meets with the others meet too: the database is away, or the role is another's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepDeadlines:
    """Give late jobs another attempt, or end them.

    Attributes:
        store: Transactions.
        clock: Time.
        max_attempts: How many attempts a worker may use up.
        back_off_s: Pause before the next attempt, by the number of failures; the last repeats.
    """

    store: Store
    clock: Clock
    max_attempts: int
    back_off_s: tuple[float, ...]

    async def __call__(self) -> int:
        """Settle what is late; return how many jobs were.

        A job that cannot be settled keeps no other from it: what is wrong with it is raised at the end.
        """
        late = await self.store.read(lambda transaction: transaction.jobs.late(self.clock.now(), limit=_BATCH))
        failed: Exception | None = None
        for job in late:
            try:
                await self.store.transact(partial(self._settle, name=job))
            except Exception as error:
                if isinstance(error, ServiceError) and error.kind in _OF_ALL:
                    raise
                failed = failed or error
        if failed is not None:
            raise failed
        return len(late)

    def _settle(self, transaction: Transaction, *, name: str) -> None:
        now = self.clock.now()
        job = transaction.jobs.lock(name)
        if job.state is State.ARCHIVING:
            self._settle_archiving(transaction, job, now)
        elif now >= job.deadline:
            has_run = job.state is State.RUNNING or job.failures > 0
            ending = Ending(
                reason="DEADLINE_PASSED",
                detail=f"not finished by {job.deadline.isoformat()}; last state {job.state.value}",
                # A device that never had the work is not what it waited for.
                category=ErrorCategory.OTHER if has_run else ErrorCategory.SERVER_UNAVAILABLE,
            )
            move(transaction, job, Event.EXPIRE, now=now, ending=ending)
        elif job.state in WORKING and job.attempt_deadline is not None and now >= job.attempt_deadline:
            self._lose_attempt(transaction, job, now)

    def _settle_archiving(self, transaction: Transaction, job: Job, now: datetime) -> None:
        if job.attempt_deadline is None or now < job.attempt_deadline:
            return
        ending = Ending(
            reason="ARCHIVING_TIMED_OUT",
            detail="the result did not reach every destination in time",
            category=ErrorCategory.SERVER_UNAVAILABLE,
        )
        move(transaction, job, Event.EXPIRE, now=now, ending=ending)

    def _lose_attempt(self, transaction: Transaction, job: Job, now: datetime) -> None:
        # A job that no worker has taken was held up on its way: that uses up no attempt.
        was_started = job.state is State.RUNNING
        failures = job.failures + (1 if was_started else 0)
        detail = f"attempt {job.attempt} did not finish by its deadline"
        if failures >= self.max_attempts:
            ending = Ending(reason="ATTEMPTS_EXHAUSTED", detail=detail, category=ErrorCategory.OTHER)
            move(transaction, replace(job, failures=failures), Event.EXPIRE, now=now, ending=ending)
            return
        pause_s = self.back_off_s[min(failures, len(self.back_off_s)) - 1] if failures else 0.0
        changed = replace(job, failures=failures, not_before=now + timedelta(seconds=pause_s))
        move(transaction, changed, Event.ATTEMPT_LOST, now=now, attempt=job.attempt, detail=detail)
