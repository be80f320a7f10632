"""What the router does unasked, each kind of work as a role that one replica holds."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from study_router.adapters.loops import Backfilling, Bell, Dispatching, Evaluation, Intake, Watchdog
from study_router.adapters.manifests import KeepingManifests
from study_router.adapters.measures import Measuring
from study_router.adapters.pools import RosterPools
from study_router.adapters.registry_bucket import RegistryPublisher
from study_router.adapters.tracing import begin_job, begin_study
from study_router.parts import Parts, plan_of
from study_router.usecases.backfilling import AdvanceBackfills
from study_router.usecases.dispatching import DispatchJobs
from study_router.usecases.evaluating import EvaluateStudy
from study_router.usecases.following import FollowFeed
from study_router.usecases.indexing import IndexSeries
from study_router.usecases.sweeping import SweepArchive
from study_router.usecases.watching import SweepDeadlines
from udckit.roles import Lease

_BACK_OFF_S: Final = 5.0
_MANIFESTS_S: Final = 86_400.0


def dispatching_of(parts: Parts, pools: RosterPools) -> Dispatching:
    """Return what hands out jobs."""
    settings = parts.settings
    return Dispatching(
        store=parts.store,
        dispatch=DispatchJobs(
            store=parts.store,
            pools=pools,
            clock=parts.clock,
            begin_trace=begin_job,
            batch_ageing_s=settings.batch_ageing_s,
        ),
        bell=Bell(),
        poll_s=settings.dispatch_poll_s,
        back_off_s=_BACK_OFF_S,
    )


def evaluation_of(parts: Parts) -> Evaluation:
    """Return what looks at studies that are due."""
    settings = parts.settings
    return Evaluation(
        store=parts.store,
        evaluate=EvaluateStudy(
            store=parts.store,
            connectors=parts.connectors,
            plan=plan_of(parts),
            clock=parts.clock,
            retry_s=settings.feed_poll_s,
        ),
        clock=parts.clock,
        bell=Bell(),
        poll_s=settings.evaluation_poll_s,
        back_off_s=_BACK_OFF_S,
    )


def roles_of(
    parts: Parts,
    publisher: RegistryPublisher,
    dispatching: Dispatching,
    evaluation: Evaluation,
    pools: RosterPools,
) -> Sequence[tuple[str, Callable[[Lease], Awaitable[None]]]]:
    """Return every role by its name, with what its holder does."""
    settings = parts.settings
    intake = Intake(
        store=parts.store,
        follow=FollowFeed(
            store=parts.store,
            connectors=parts.connectors,
            clock=parts.clock,
            pause_s=settings.arrival_pause_s,
            sweep_every_s=settings.sweep_every_s,
        ),
        sweep=SweepArchive(
            store=parts.store,
            connectors=parts.connectors,
            clock=parts.clock,
            tiers=settings.tiers(),
            zone=settings.time_zone,
            pause_s=settings.arrival_pause_s,
        ),
        index=IndexSeries(
            store=parts.store,
            connectors=parts.connectors,
            clock=parts.clock,
            region=settings.region,
            begin_trace=begin_study,
            input_quiet_s=settings.input_quiet_s,
        ),
        clock=parts.clock,
        poll_s=settings.feed_poll_s,
        back_off_s=settings.feed_back_off_s,
    )
    watchdog = Watchdog(
        store=parts.store,
        sweep=SweepDeadlines(
            store=parts.store,
            pools=pools,
            clock=parts.clock,
            max_attempts=settings.max_attempts,
            back_off_s=settings.attempt_back_off_s,
        ),
        poll_s=settings.watchdog_poll_s,
        back_off_s=_BACK_OFF_S,
    )
    backfilling = Backfilling(
        store=parts.store,
        advance=AdvanceBackfills(store=parts.store, clock=parts.clock, backlog=settings.backfill_backlog),
        poll_s=settings.backfill_poll_s,
        back_off_s=_BACK_OFF_S,
    )
    return (
        ("registry", publisher.run),
        ("manifests", KeepingManifests(store=parts.store, put=parts.objects.put, every_s=_MANIFESTS_S).run),
        ("intake", intake.run),
        ("evaluation", evaluation.run),
        ("dispatch", dispatching.run),
        ("backfill", backfilling.run),
        ("watchdog", watchdog.run),
        ("measures", Measuring(parts.database, parts.clock, every_s=settings.measure_s).run),
    )
