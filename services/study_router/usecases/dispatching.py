"""Hands waiting jobs to the pools that have room for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Final

from study_router.domain.announcements import JobDispatched
from study_router.domain.jobs import Event, Verdict
from study_router.domain.queue import Held, PoolOffer, pick
from study_router.domain.work import Ending, Job
from study_router.ports import BeginTrace, Pools, Store, Transaction
from study_router.usecases.moving import move
from udckit.clock import Clock
from udckit.errors import PASSING, ServiceError
from udcmodel.grant import check_grant

_PUT_OFF_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchJobs:
    """Start what may start now.

    A pool that nobody hears of has no slots: its jobs wait and lose no attempt. So do jobs whose archive the pool
    cannot read from, and jobs of versions that it does not run.

    Attributes:
        store: Transactions.
        pools: Slots of the replicas.
        clock: Time.
        begin_trace: Begins the trace of a job.
        batch_ageing_s: When waiting batch work counts as routine.
    """

    store: Store
    pools: Pools
    clock: Clock
    begin_trace: BeginTrace
    batch_ageing_s: float

    async def __call__(self) -> int:
        """Dispatch up to the free slots of every pool; return how many jobs were dispatched or refused.

        Raises:
            ExceptionGroup: some jobs could not be dispatched; they were put off, and all others were dispatched.
            ServiceError: the database is away, or the role belongs to another process.
        """
        offers = await self.pools.offers()
        count = 0
        failures: list[Exception] = []
        for pool in await self.store.read(partial(self._with_room, offers=offers)):
            try:
                count += await self.store.transact(partial(self._start, pool=pool, offer=offers[pool]))
            except Exception as error:
                if _is_passing(error):
                    raise
                failures += await self._start_singly(pool, offers[pool])
        if failures:
            raise ExceptionGroup("jobs could not be dispatched and were put off", failures)
        return count

    async def _start_singly(self, pool: str, offer: PoolOffer) -> list[Exception]:
        """Start the jobs of a pool each on its own; put off those that fail, and return why they did."""
        failures: list[Exception] = []
        for name in await self.store.read(partial(self._choose, pool=pool, offer=offer)):
            try:
                await self.store.transact(partial(self._start_named, name=name))
            except Exception as error:
                if _is_passing(error):
                    raise
                failures.append(error)
                # Of an error that nobody foresaw only the kind: its text may quote anything.
                why = error.message if isinstance(error, ServiceError) else type(error).__name__
                await self.store.transact(partial(self._put_off, name=name, why=why))
        return failures

    def _with_room(self, transaction: Transaction, *, offers: Mapping[str, PoolOffer]) -> Sequence[str]:
        waiting = [pool for pool in transaction.jobs.waiting_pools(self.clock.now()) if pool in offers]
        return [pool for pool in waiting if offers[pool].slots > sum(transaction.jobs.working(pool).values())]

    def _start(self, transaction: Transaction, *, pool: str, offer: PoolOffer) -> int:
        chosen = self._choose(transaction, pool=pool, offer=offer)
        for name in chosen:
            self._start_named(transaction, name=name)
        return len(chosen)

    def _choose(self, transaction: Transaction, *, pool: str, offer: PoolOffer) -> Sequence[str]:
        now = self.clock.now()
        working = transaction.jobs.working(pool)
        free = offer.slots - sum(working.values())
        if free <= 0:
            return ()
        return pick(
            transaction.jobs.waiting(pool, now=now, each=free, held=_held(transaction, offer)),
            free=free,
            most=max(1, offer.slots - 1),
            working=working,
            now=now,
            batch_ageing=timedelta(seconds=self.batch_ageing_s),
        )

    def _start_named(self, transaction: Transaction, *, name: str) -> None:
        self._start_one(transaction, transaction.jobs.lock(name))

    def _put_off(self, transaction: Transaction, *, name: str, why: str) -> None:
        now = self.clock.now()
        detail = f"could not be dispatched and is put off for {_PUT_OFF_S} s: {why}"
        transaction.jobs.put_off(name, now=now, until=now + timedelta(seconds=_PUT_OFF_S), detail=detail)

    def _start_one(self, transaction: Transaction, job: Job) -> None:
        now = self.clock.now()
        if now >= job.deadline:
            # The watchdog ends it: its grant ends at the same moment, but being late is no lack of authority.
            return
        device = transaction.registry.device(job.grant.device, job.grant.version)
        attachment = transaction.registry.attachment(job.grant.attachment)
        refused = check_grant(
            job.grant,
            device=None if device is None else device.record(),
            attachment=None if attachment is None else attachment.record(),
            now=now,
        )
        if refused is not None:
            ending = Ending(reason=refused.refusal.value, detail=refused.detail)
            move(transaction, job, Event.REFUSE, now=now, ending=ending)
            return
        deadline = min(now + timedelta(seconds=job.attempt_limit_s), job.deadline)
        begun = replace(
            job,
            attempt=job.attempt + 1,
            attempt_deadline=deadline,
            dispatched_at=now,
            not_before=None,
            trace=job.trace or self.begin_trace(transaction.studies.get(job.study).trace),
        )
        dispatched, step = move(transaction, begun, Event.DISPATCH, now=now, detail=f"pool {job.pool}")
        if step.verdict is Verdict.APPLY:
            transaction.announce(JobDispatched(dispatched, now))


def _is_passing(error: Exception) -> bool:
    """Say whether it is no fault of a job: the database is away, or somebody else was in the way."""
    return isinstance(error, ServiceError) and error.kind in PASSING


def _held(transaction: Transaction, offer: PoolOffer) -> Held:
    if not offer.not_activated:
        return Held(archives=offer.archives_away)
    idle = [item for item in transaction.registry.attachments() if (item.device, item.version) in offer.not_activated]
    return Held(archives=offer.archives_away, attachments=frozenset(item.attachment for item in idle))
