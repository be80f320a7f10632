"""Every state has a timer: what happens when one runs out."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from study_router.domain.jobs import WORKING, Event, State
from study_router.domain.work import Ending, Job
from study_router.ports import Pools, Store, Transaction
from study_router.usecases.moving import move
from udckit.clock import Clock
from udckit.errors import PASSING, ServiceError
from udcmodel.vocabulary import ErrorCategory

_BATCH: Final = 64


class Outages:
    """Until when workers were held up, as far as one watchdog has seen since it began to look."""

    def __init__(self) -> None:
        self._is_looking = False
        self._unseen_until = datetime.min.replace(tzinfo=UTC)
        self._held_up_at: dict[str, datetime] = {}

    def note(self, held_up: Collection[str] | None, *, now: datetime) -> None:
        """Note the pools that are held up now; None when that cannot be seen."""
        if held_up is None or not self._is_looking:
            self._unseen_until = now
        self._is_looking = True
        self._held_up_at |= dict.fromkeys(held_up or (), now)

    def look_away(self) -> None:
        """Note that nothing is seen until the next look."""
        self._is_looking = False

    def may_have_touched(self, pool: str, *, since: datetime) -> bool:
        """Say whether the pool was held up at any time after ``since``, or may have been while nobody saw."""
        return since <= max(self._unseen_until, self._held_up_at.get(pool, self._unseen_until))


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepDeadlines:
    """Give late jobs another attempt, or end them.

    An attempt that ran out of time counts as a failure of the work only if nothing it needs was known to be away
    meanwhile.

    Attributes:
        store: Transactions.
        pools: Whether workers are held up.
        clock: Time.
        max_attempts: How many attempts a worker may use up.
        back_off_s: Pause before the next attempt, by the number of failures; the last repeats.
        outages: What was seen before.
    """

    store: Store
    pools: Pools
    clock: Clock
    max_attempts: int
    back_off_s: tuple[float, ...]
    outages: Outages = field(default_factory=Outages)

    async def __call__(self) -> int:
        """Settle what is late; return how many jobs were.

        A job that cannot be settled keeps no other from it: what is wrong with it is raised at the end.

        Raises:
            UpstreamUnavailableError: the database is away; call again.
        """
        self.outages.note(await self.pools.held_up(), now=self.clock.now())
        try:
            return await self._settle_late()
        except ServiceError as error:
            if error.kind in PASSING:
                self.outages.look_away()
            raise

    async def _settle_late(self) -> int:
        late = await self.store.read(lambda transaction: transaction.jobs.late(self.clock.now(), limit=_BATCH))
        failed: Exception | None = None
        for job in late:
            try:
                await self.store.transact(partial(self._settle, name=job))
            except Exception as error:
                # What one job meets with the others meet too: the database is away, or the role is another's.
                if isinstance(error, ServiceError) and error.kind in PASSING:
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
            by = job.deadline.isoformat()
            never_begun = f"pool {job.pool} had no free slot for it until {by}"
            detail = never_begun if job.attempt == 0 else f"not finished by {by}; last state {job.state.value}"
            ending = Ending(reason="DEADLINE_PASSED", detail=detail, category=job.at_fault_for_lateness(now=now))
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
        # A job that no worker has taken, or that could not go on, was held up: that is no failure of its work.
        is_held_up = self.outages.may_have_touched(job.pool, since=job.dispatched_at or now)
        has_failed = job.state is State.RUNNING and not is_held_up
        failures = job.failures + (1 if has_failed else 0)
        detail = f"attempt {job.attempt} did not finish by its deadline"
        if failures >= self.max_attempts:
            ending = Ending(reason="ATTEMPTS_EXHAUSTED", detail=detail, category=ErrorCategory.OTHER)
            move(transaction, replace(job, failures=failures), Event.EXPIRE, now=now, ending=ending)
            return
        pause_s = self.back_off_s[min(failures, len(self.back_off_s)) - 1] if failures else 0.0
        changed = replace(job, failures=failures, not_before=now + timedelta(seconds=pause_s))
        move(transaction, changed, Event.ATTEMPT_LOST, now=now, attempt=job.attempt, detail=detail)
