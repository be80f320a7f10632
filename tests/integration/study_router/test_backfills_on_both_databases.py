"""Studies from before an attachment began are handed to it by order, on SQLite and PostgreSQL."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from integration.study_router.routing import SOMEBODY, Routing, slice_header
from study_router.domain.backfills import Backfill
from study_router.domain.instances import Header
from study_router.domain.jobs import State
from study_router.domain.studies import StudyState
from study_router.usecases.backfilling import AdvanceBackfills, OrderBackfill, ReadBackfills
from study_router.usecases.reading import ExplainStudy
from udckit.database import Database
from udckit.errors import ConflictError, InvalidRequestError, NotFoundError
from udckit.plumbing_tables import AUDIT
from udckit.security.identity import acting_as
from udcmodel.vocabulary import Mode, Outcome, Priority

pytestmark = pytest.mark.connected

TEN_MINUTES = 600
SLICES = [slice_header(number) for number in range(1, 21)]


@pytest.fixture
async def routing(database: Database) -> Routing:
    """A router that knows one closed study of 1 March 2026, and an attachment made after it was complete."""
    routing = Routing(database)
    await routing.ready("early")
    await routing.arrive("1.2", SLICES)
    await routing.look(after_s=TEN_MINUTES)
    routing.clock.pass_by(1)
    await routing.attach("late")
    return routing


async def order(routing: Routing, request: str = "r1", **wanted: object) -> Backfill:
    asked: dict[str, object] = {"from_day": "2026-03-01", "to_day": "2026-03-01", "study_instance_uids": ()}
    with acting_as(SOMEBODY):
        return await OrderBackfill(store=routing.store, clock=routing.clock)(
            request_id=request,
            **{"attachment": "late", **asked, **wanted},  # type: ignore[arg-type]  # named fields
        )


async def advance(routing: Routing, *, backlog: int = 64) -> int:
    return await AdvanceBackfills(store=routing.store, clock=routing.clock, backlog=backlog)()


async def finish(routing: Routing) -> Backfill:
    while await advance(routing):
        await routing.look()
    [newest, *_] = await ReadBackfills(routing.store)(limit=0)
    assert newest.ended_at is not None
    return newest


async def jobs_of(routing: Routing, attachment: str) -> list[tuple[State, Priority]]:
    return [(job.state, job.priority) for job in await routing.jobs() if job.grant.attachment == attachment]


async def test_an_older_study_becomes_a_batch_job_and_stays_closed_in_its_revision(routing: Routing) -> None:
    await routing.look(after_s=TEN_MINUTES)
    assert await jobs_of(routing, "late") == []
    await order(routing)
    ended = await finish(routing)
    assert ended.handed_on == 1
    assert await jobs_of(routing, "late") == [(State.PENDING, Priority.BATCH)]
    assert await jobs_of(routing, "early") == [(State.PENDING, Priority.ROUTINE)]
    study = await routing.only_study()
    assert (study.state, study.revision, study.due_at) == (StudyState.CLOSED, 1, None)
    assert (await routing.announced()).count("StudyCompleted") == 1
    assert (await routing.announced()).count("StudyRevised") == 0


async def test_what_was_ordered_twice_is_done_once(routing: Routing) -> None:
    first = await order(routing)
    assert await order(routing) == first
    await finish(routing)
    await order(routing, "r2")
    await finish(routing)
    assert len(await jobs_of(routing, "late")) == 1
    with pytest.raises(ConflictError):
        await order(routing, to_day="2026-03-02")


async def test_a_study_outside_the_days_is_left_alone(routing: Routing) -> None:
    await order(routing, from_day="2026-03-02", to_day="2026-03-31")
    assert (await finish(routing)).handed_on == 0
    assert await jobs_of(routing, "late") == []


async def test_studies_may_be_named_instead(routing: Routing) -> None:
    await order(routing, from_day="", to_day="", study_instance_uids=["1.2"])
    assert (await finish(routing)).handed_on == 1
    assert len(await jobs_of(routing, "late")) == 1


async def test_a_study_that_is_not_the_devices_gets_that_as_its_outcome_and_the_others_keep_theirs(
    routing: Routing,
) -> None:
    await routing.attach("bone", rule='study.description == "BONE"')
    await order(routing, attachment="bone")
    await finish(routing)
    outcomes = {item.attachment: item.outcome for item in await routing.outcomes()}
    assert outcomes == {"early": None, "bone": Outcome.NOT_ELIGIBLE}
    explained = await ExplainStudy(routing.store, routing.rules)("1.2")
    assert {item.attachment.attachment: item.decision for item in explained} == {
        "early": "MATCHED",
        "late": "NOT_CONCERNED",
        "bone": "NOT_ELIGIBLE",
    }


async def test_a_late_slice_of_an_older_study_supersedes_the_batch_job(routing: Routing) -> None:
    await order(routing)
    await finish(routing)
    await routing.arrive("1.2", [slice_header(21)])
    await routing.look(after_s=TEN_MINUTES)
    assert await jobs_of(routing, "late") == [(State.SUPERSEDED, Priority.BATCH), (State.PENDING, Priority.ROUTINE)]


async def test_an_open_study_that_is_handed_on_is_closed_as_usual_with_one_job(database: Database) -> None:
    routing = Routing(database)
    await routing.ready()
    await routing.arrive("1.2", SLICES)
    await order(routing, attachment="pilot")
    await finish(routing)
    await routing.look(after_s=TEN_MINUTES)
    assert await jobs_of(routing, "pilot") == [(State.PENDING, Priority.ROUTINE)]
    assert (await routing.only_study()).state is StudyState.CLOSED


async def test_no_more_is_handed_on_than_may_wait(routing: Routing) -> None:
    for number in range(3, 6):
        await routing.arrive(f"1.{number}", [_in_series(item, f"1.{number}.1") for item in SLICES])
    await routing.look(after_s=TEN_MINUTES)
    routing.clock.pass_by(1)
    await routing.attach("later", mode=Mode.SHADOW, destinations=())
    await order(routing, attachment="later")
    for _ in range(5):
        await advance(routing, backlog=2)
        await routing.look()
    assert len(await jobs_of(routing, "later")) == 2
    [backfill] = await ReadBackfills(routing.store)(limit=1)
    assert (backfill.handed_on, backfill.ended_at) == (2, None)
    for job in await routing.jobs():
        if job.grant.attachment == "later":
            await routing.cancel(job.job)
    await finish(routing)
    assert len(await jobs_of(routing, "later")) == 4


def _in_series(item: Header, series: str) -> Header:
    return replace(item, series_instance_uid=series, sop_instance_uid=f"{series}.{item.instance_number}")


async def test_an_order_is_audited_with_who_gave_it(routing: Routing) -> None:
    backfill = await order(routing)
    await order(routing)
    rows = await routing.database.read(
        lambda connection: connection.execute(select(AUDIT).where(AUDIT.c.action == "backfill.ordered")).all()
    )
    [row] = rows
    assert SOMEBODY.actor == row.actor
    assert row.subject == "attachments/late"
    assert backfill.backfill in str(row.facts)


async def test_an_order_that_makes_no_sense_is_refused(routing: Routing) -> None:
    with pytest.raises(InvalidRequestError, match="either"):
        await order(routing, study_instance_uids=["1.2"])
    with pytest.raises(InvalidRequestError, match="either"):
        await order(routing, from_day="", to_day="")
    with pytest.raises(InvalidRequestError, match="is before"):
        await order(routing, to_day="2026-02-01")
    with pytest.raises(InvalidRequestError, match="to_day must be a day"):
        await order(routing, to_day="yesterday")
    with pytest.raises(InvalidRequestError, match="request_id"):
        await order(routing, "")
    with pytest.raises(NotFoundError, match="no attachment"):
        await order(routing, attachment="nobody")
    with pytest.raises(NotFoundError, match="UID 9\\.9"):
        await order(routing, from_day="", to_day="", study_instance_uids=["9.9"])
