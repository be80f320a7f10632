"""What somebody changed behind the router's back is found and mended, on SQLite and PostgreSQL."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import delete, update

from integration.study_router.routing import NOON, Routing, slice_header
from study_router.adapters.tables import JOBS, OUTCOMES, STUDIES
from study_router.domain.instances import Header
from study_router.domain.jobs import State
from study_router.domain.reconciliation import Finding, FindingKind, Unsettled
from study_router.domain.studies import StudyState
from udckit.database import Database
from udcmodel.vocabulary import Outcome

pytestmark = pytest.mark.connected

STUDY = "1.2"
SLICES = [slice_header(number) for number in range(1, 21)]
TEN_MINUTES = 600
DAY = 86400


@pytest.fixture
async def routing(database: Database) -> Routing:
    """A router with one archive and one attachment."""
    routing = Routing(database)
    await routing.ready()
    return routing


def kinds(found: Sequence[Finding | Unsettled]) -> list[FindingKind]:
    assert all(isinstance(item, Finding) for item in found), found
    return [item.kind for item in found if isinstance(item, Finding)]


async def closed(routing: Routing) -> None:
    """Let one study arrive, be closed and have its result archived."""
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=15)
    await routing.archive_result((await routing.only_job()).job)
    await routing.look(after_s=TEN_MINUTES)
    assert (await routing.only_study()).state is StudyState.CLOSED
    assert [item.outcome for item in await routing.outcomes()] == [Outcome.ARCHIVED]


async def test_a_router_that_is_right_says_nothing(routing: Routing) -> None:
    await closed(routing)

    assert await routing.reconcile(repair=True) == []


async def test_a_study_of_results_only_is_no_difference(routing: Routing) -> None:
    report = Header(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33",
        sop_instance_uid="9.1.1",
        series_instance_uid="9.1",
        modality="SR",
    )
    await routing.arrive("9", [report])

    assert await routing.studies() == []
    assert await routing.reconcile() == []


async def test_a_lost_instance_is_read_again_and_its_study_keeps_its_job(routing: Routing) -> None:
    await closed(routing)
    study, lost = (await routing.only_study()).study, [SLICES[3].sop_instance_uid]
    await routing.store.transact(lambda transaction: transaction.studies.remove_instances(study, "hospital", lost))

    assert kinds(await routing.reconcile()) == [FindingKind.INDEX_BEHIND]
    [begun] = await routing.reconcile(repair=True)
    assert isinstance(begun, Finding)
    assert begun.repair
    assert await routing.reconcile() == [Unsettled(f"archives/hospital/studies/{STUDY}")]
    await routing.index()
    await routing.look(after_s=TEN_MINUTES)
    assert await routing.reconcile() == []
    assert (await routing.only_job()).state is State.ARCHIVED


async def test_a_study_that_never_reached_the_index_is_found_and_read(routing: Routing) -> None:
    routing.played.archives["hospital"].put(STUDY, SLICES)

    assert kinds(await routing.reconcile(repair=True)) == [FindingKind.INDEX_BEHIND]
    await routing.index()
    assert (await routing.only_study()).study_instance_uid == STUDY


async def test_what_was_deleted_in_the_archive_is_said_unless_it_is_history(routing: Routing) -> None:
    await closed(routing)
    for header in SLICES:
        routing.played.archives["hospital"].delete(STUDY, header.sop_instance_uid)
    routing.clock.pass_by(DAY)

    assert await routing.reconcile(since=routing.clock.now() - timedelta(hours=1)) == []
    assert kinds(await routing.reconcile(repair=True)) == [FindingKind.INDEX_AHEAD]
    await routing.index()
    assert await routing.reconcile() == []


async def test_a_lost_outcome_is_taken_from_its_job_and_not_announced_twice(routing: Routing) -> None:
    await closed(routing)
    announced = await routing.announced()
    await routing.database.transact(lambda connection: connection.execute(delete(OUTCOMES)))

    assert kinds(await routing.reconcile()) == [FindingKind.OUTCOME_MISSING]
    assert kinds(await routing.reconcile(repair=True)) == [FindingKind.OUTCOME_MISSING]
    assert [item.outcome for item in await routing.outcomes()] == [Outcome.ARCHIVED]
    assert await routing.reconcile() == []
    assert await routing.announced() == announced
    assert len(await routing.jobs()) == 1


async def test_a_lost_outcome_without_a_job_is_decided_again_in_the_same_revision(routing: Routing) -> None:
    await routing.arrive(STUDY, SLICES[:1])
    await routing.look(after_s=TEN_MINUTES)
    [before] = await routing.outcomes()
    announced = await routing.announced()
    assert before.job == ""
    await routing.database.transact(lambda connection: connection.execute(delete(OUTCOMES)))

    assert kinds(await routing.reconcile(repair=True)) == [FindingKind.OUTCOME_MISSING]
    assert await routing.reconcile() == [Unsettled(f"studies/{before.study}")]
    await routing.look()
    [after] = await routing.outcomes()
    assert (after.outcome, after.revision) == (before.outcome, 1)
    assert await routing.reconcile() == []
    assert await routing.announced() == announced


async def test_an_earlier_revision_without_outcome_and_job_is_said_and_left(routing: Routing) -> None:
    await routing.arrive(STUDY, SLICES[:1])
    await routing.look(after_s=TEN_MINUTES)
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=TEN_MINUTES)
    first = delete(OUTCOMES).where(OUTCOMES.c.revision == 1)
    await routing.database.transact(lambda connection: connection.execute(first))

    [found] = await routing.reconcile(repair=True)

    assert isinstance(found, Finding)
    assert (found.kind, found.repair) == (FindingKind.OUTCOME_MISSING, "")
    assert "/revisions/1/" in found.about
    assert (await routing.only_study()).state is StudyState.CLOSED


async def test_an_outcome_that_contradicts_its_job_is_set_right(routing: Routing) -> None:
    await closed(routing)
    await routing.database.transact(lambda connection: connection.execute(update(OUTCOMES).values(outcome="FAILED")))

    assert kinds(await routing.reconcile(repair=True)) == [FindingKind.OUTCOME_WRONG]
    assert [item.outcome for item in await routing.outcomes()] == [Outcome.ARCHIVED]
    assert await routing.reconcile() == []


async def test_a_job_without_a_timer_is_stuck_until_it_gets_one_again(routing: Routing) -> None:
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=15)
    await routing.database.transact(lambda connection: connection.execute(update(JOBS).values(timer_at=None)))
    await routing.look(after_s=DAY + TEN_MINUTES)
    await routing.sweep()
    assert (await routing.only_job()).state is State.PENDING

    assert kinds(await routing.reconcile(repair=True)) == [FindingKind.JOB_STUCK]
    await routing.sweep()
    assert (await routing.only_job()).state is State.EXPIRED
    assert await routing.reconcile() == []


async def test_an_open_study_that_nobody_would_look_at_becomes_due(routing: Routing) -> None:
    await routing.arrive(STUDY, SLICES)
    await routing.database.transact(lambda connection: connection.execute(update(STUDIES).values(due_at=None)))

    assert kinds(await routing.reconcile(repair=True)) == [FindingKind.STUDY_FORGOTTEN]
    await routing.look(after_s=TEN_MINUTES)
    assert (await routing.only_study()).state is StudyState.CLOSED
    assert await routing.reconcile(since=NOON) == []
