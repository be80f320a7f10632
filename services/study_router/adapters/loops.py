"""Work that goes on in the background, each kind as a role that one replica holds."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import structlog

from study_router.adapters.asking import MalformedAnswerError
from study_router.adapters.store import SqlStore
from study_router.domain.registry import Archive, FeedKind
from study_router.ports import Arrival
from study_router.usecases.backfilling import AdvanceBackfills
from study_router.usecases.dispatching import DispatchJobs
from study_router.usecases.evaluating import EvaluateStudy
from study_router.usecases.following import FollowFeed
from study_router.usecases.indexing import IndexSeries
from study_router.usecases.sweeping import SweepArchive
from study_router.usecases.watching import Outages, SweepDeadlines
from udckit.clock import Clock
from udckit.errors import PASSING, ServiceError
from udckit.roles import Lease, LostLeaseError

log: Final = structlog.get_logger()

_SERIES_AT_ONCE: Final = 8
_STUDIES_AT_ONCE: Final = 16
_ARCHIVES_LOOK_S: Final = 1.0
_BREATH_S: Final = 0.02
"""Shortest pause between two looks: a burst of commits is one look, not thousands."""
_DOUBLINGS: Final = 16
"""No pause becomes longer after so many failures: powers of two have an end."""

Step = Callable[[], Awaitable[bool]]
"""Does a piece of work and says whether more is waiting."""


class Bell:
    """Something to wait for that others may ring, from the event loop."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake whoever waits."""
        self._rung.set()

    async def wait(self, at_most_s: float) -> None:
        """Wait until it is rung, or for ``at_most_s``."""
        try:
            async with asyncio.timeout(at_most_s):
                await self._rung.wait()
        except TimeoutError:
            return
        finally:
            self._rung.clear()


async def keep_doing(step: Step, *, name: str, bell: Bell, pause_s: float, longest_s: float) -> None:
    """Do ``step`` again and again: at once while there is more, else when the bell rings or after ``pause_s``.

    A step that fails is taken again after a pause, longer and longer up to ``longest_s``, whatever the reason: what one
    archive answers must not end the loops of the others.

    Raises:
        LostLeaseError: the role belongs to another process.
    """
    failures = 0
    while True:
        try:
            is_more: bool | None = await step()
        except LostLeaseError:
            raise
        except ServiceError as error:
            level = log.warning if error.kind in PASSING else log.error
            level("loop.failed", loop=name, reason=error.reason, error=error.message)
            is_more = None
        except Exception:
            log.exception("loop.failed", loop=name)
            is_more = None
        if is_more is None:
            failures += 1
            await asyncio.sleep(min(longest_s, pause_s * 2.0 ** min(failures, _DOUBLINGS)))
            continue
        failures = 0
        if is_more:
            await asyncio.sleep(_BREATH_S)
        else:
            await bell.wait(pause_s)
            await asyncio.sleep(_BREATH_S)


@asynccontextmanager
async def _together() -> AsyncIterator[asyncio.TaskGroup]:
    """Run tasks together; a lost lease in one of them is what the whole raises."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failed:
        lost, _ = failed.split(LostLeaseError)
        if lost is not None:
            raise LostLeaseError("the role belongs to another process") from failed
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Follows every archive: its feed, and the series that were touched.

    Attributes:
        store: Transactions.
        follow: Reads a page of a feed.
        sweep: Looks at an archive without one.
        index: Reads a series.
        clock: Time.
        poll_s: Pause between looks at a feed that has nothing new.
        back_off_s: Longest pause while an archive is away.
    """

    store: SqlStore
    follow: FollowFeed
    sweep: SweepArchive
    index: IndexSeries
    clock: Clock
    poll_s: float
    back_off_s: float

    async def run(self, lease: Lease) -> None:
        """Follow the archives for as long as the lease is ours, new ones as they are added; never returns."""
        store = self.store.under(lease)
        running: dict[Archive, asyncio.Task[None]] = {}
        async with _together() as group:
            while True:
                archives = await store.read(lambda transaction: transaction.registry.archives())
                wanted = {archive for archive in archives if archive.feed is not FeedKind.NONE}
                for gone in running.keys() - wanted:
                    running.pop(gone).cancel()
                for archive in wanted - running.keys():
                    running[archive] = group.create_task(self._follow(archive, store), name=f"intake:{archive.archive}")
                await asyncio.sleep(_ARCHIVES_LOOK_S)

    async def _follow(self, archive: Archive, store: SqlStore) -> None:
        index = replace(self.index, store=store)
        touched = Bell()

        async def read_series() -> bool:
            now = self.clock.now()
            arrivals = await store.read(
                lambda transaction: transaction.intake.arrivals(archive.archive, now, limit=_SERIES_AT_ONCE)
            )
            for arrival in arrivals:
                await self._read_series(archive, arrival, index)
            return bool(arrivals)

        pause_s = min(self.poll_s, self.follow.pause_s or self.poll_s)
        async with _together() as group:
            self._keep(group, read_series, name=f"index:{archive.archive}", bell=touched, pause_s=pause_s)
            for name, look in self._looks(archive, store):
                step = _ringing(touched, look)
                self._keep(group, step, name=f"{name}:{archive.archive}", bell=Bell(), pause_s=self.poll_s)

    async def _read_series(self, archive: Archive, arrival: Arrival, index: IndexSeries) -> None:
        """Read a series; one that cannot be read or stored is put off and holds up no other."""
        try:
            await index(archive, arrival)
        except ServiceError as error:
            if error.kind in PASSING and not isinstance(error, MalformedAnswerError):
                raise
            log.error(  # noqa: TRY400 the message says all
                "series.put_off", archive=archive.archive, reason=error.reason, error=error.message
            )
            await index.put_off(arrival, self.back_off_s)
        except Exception:  # what one series does to our code or our database is no reason to read no other
            log.exception("series.put_off", archive=archive.archive)
            await index.put_off(arrival, self.back_off_s)

    def _keep(self, group: asyncio.TaskGroup, step: Step, *, name: str, bell: Bell, pause_s: float) -> None:
        group.create_task(keep_doing(step, name=name, bell=bell, pause_s=pause_s, longest_s=self.back_off_s))

    def _looks(self, archive: Archive, store: SqlStore) -> Iterator[tuple[str, Step]]:
        """Return how the archive is looked at: by its feed, or by sweeps that do not wait for each other."""
        if archive.feed is FeedKind.DICOMWEB:
            sweep = replace(self.sweep, store=store)
            for tier in sweep.tiers:
                yield f"sweep:{tier.name}", partial(sweep, archive, tier)
        else:
            yield "feed", partial(replace(self.follow, store=store), archive)


def _ringing(bell: Bell, step: Step) -> Step:
    """Return ``step``, followed by a ring."""

    async def ring() -> bool:
        is_more = await step()
        bell.ring()
        return is_more

    return ring


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Looks at studies that are due; one that fails is put off and holds up no other."""

    store: SqlStore
    evaluate: EvaluateStudy
    clock: Clock
    bell: Bell
    poll_s: float
    back_off_s: float

    async def run(self, lease: Lease) -> None:
        """Look for as long as the lease is ours; never returns."""
        store = self.store.under(lease)
        evaluate = replace(self.evaluate, store=store)

        async def look() -> bool:
            now = self.clock.now()
            due = await store.read(lambda transaction: transaction.studies.due(now, limit=_STUDIES_AT_ONCE))
            for study in due:
                await self._look_at(study, evaluate)
            return bool(due)

        await keep_doing(look, name="evaluation", bell=self.bell, pause_s=self.poll_s, longest_s=self.back_off_s)

    async def _look_at(self, study: str, evaluate: EvaluateStudy) -> None:
        try:
            await evaluate(study)
        except LostLeaseError:
            raise
        except ServiceError as error:
            level = log.warning if error.kind in PASSING else log.error
            level("study.put_off", study=study, reason=error.reason, error=error.message)
            await evaluate.put_off(study, self.back_off_s)
        except Exception:  # a study that hits a bug must not keep all others from being looked at
            log.exception("study.put_off", study=study)
            await evaluate.put_off(study, self.back_off_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatching:
    """Hands out jobs."""

    store: SqlStore
    dispatch: DispatchJobs
    bell: Bell
    poll_s: float
    back_off_s: float

    async def run(self, lease: Lease) -> None:
        """Dispatch for as long as the lease is ours; never returns."""
        dispatch = replace(self.dispatch, store=self.store.under(lease))

        async def step() -> bool:
            return await dispatch() > 0

        await keep_doing(step, name="dispatch", bell=self.bell, pause_s=self.poll_s, longest_s=self.back_off_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfilling:
    """Hands older studies to attachments."""

    store: SqlStore
    advance: AdvanceBackfills
    poll_s: float
    back_off_s: float

    async def run(self, lease: Lease) -> None:
        """Hand on for as long as the lease is ours; never returns."""
        advance = replace(self.advance, store=self.store.under(lease))

        async def step() -> bool:
            return await advance() > 0

        await keep_doing(step, name="backfill", bell=Bell(), pause_s=self.poll_s, longest_s=self.back_off_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchdog:
    """Looks at timers."""

    store: SqlStore
    sweep: SweepDeadlines
    poll_s: float
    back_off_s: float

    async def run(self, lease: Lease) -> None:
        """Sweep for as long as the lease is ours; never returns."""
        sweep = replace(self.sweep, store=self.store.under(lease), outages=Outages())

        async def step() -> bool:
            return await sweep() > 0

        await keep_doing(step, name="watchdog", bell=Bell(), pause_s=self.poll_s, longest_s=self.back_off_s)
