"""Studies that a person names because no feed shows them, on SQLite and PostgreSQL."""

from collections.abc import Sequence

import pytest
from sqlalchemy import select

from integration.study_router.routing import SOMEBODY, Routing, slice_header
from study_router.domain.registry import FeedKind
from study_router.domain.studies import StudyState
from study_router.usecases.submitting import SubmitStudies, Submitted
from udckit.database import Database
from udckit.errors import InvalidRequestError, NotFoundError, PreconditionError
from udckit.plumbing_tables import AUDIT
from udckit.security.identity import acting_as

pytestmark = pytest.mark.connected

SLICES = [slice_header(number) for number in range(1, 21)]


@pytest.fixture
async def routing(database: Database) -> Routing:
    """A router with an archive that only answers queries and holds a study from years ago."""
    routing = Routing(database)
    archive = await routing.add_archive(feed=FeedKind.DICOMWEB)
    await routing.register()
    await routing.attach()
    routing.clock.pass_by(1)
    archive.put("1.2", SLICES, day="20190101", age="058Y")
    for tier in ("today", "week", "sixty_days", "undated"):
        await routing.sweep_archive(tier)
    assert await routing.instances() == []
    return routing


async def submit(routing: Routing, *uids: str, archive: str = "hospital") -> Sequence[Submitted]:
    use = SubmitStudies(store=routing.store, connectors=routing.played, clock=routing.clock)
    with acting_as(SOMEBODY):
        return await use(archive=archive, study_instance_uids=uids)


async def audited(routing: Routing) -> list[tuple[str, str, str]]:
    def read(connection: object) -> list[tuple[str, str, str]]:
        query = select(AUDIT).where(AUDIT.c.action == "study.submitted")
        return [(row.actor, row.subject, row.action) for row in connection.execute(query)]  # type: ignore[attr-defined]  # a Connection

    return await routing.database.read(read)


async def test_a_study_that_no_sweep_sees_goes_through_once_it_is_named(routing: Routing) -> None:
    assert await submit(routing, "1.2") == [Submitted("1.2", series=1, instances=20, series_to_read=1)]
    await routing.index()
    assert (await routing.only_study()).last_arrival_at == routing.clock.now()
    await routing.look(after_s=15)
    [inputs] = [routing.objects[item.digest] for item in (await routing.only_job()).inputs]
    assert inputs.instance_count == 20


async def test_what_comes_to_it_while_it_is_open_is_found(routing: Routing) -> None:
    await submit(routing, "1.2")
    await routing.index()
    routing.played.archives["hospital"].put("1.2", [slice_header(21)], day="20190101", age="058Y")
    routing.clock.pass_by(5)
    await routing.sweep_archive("open")
    assert len(await routing.instances()) == 21


async def test_naming_it_again_changes_nothing_and_leaves_one_trace(routing: Routing) -> None:
    await submit(routing, "1.2", "1.2")
    await routing.index()
    await routing.look(after_s=600)
    before = await routing.only_study()
    assert before.state is StudyState.CLOSED
    assert await submit(routing, "1.2") == [Submitted("1.2", series=1, instances=20, series_to_read=0)]
    await routing.index()
    assert await routing.only_study() == before
    assert await audited(routing) == [("person/tester", "archives/hospital/studies/1.2", "study.submitted")]


async def test_all_are_taken_or_none(routing: Routing) -> None:
    with pytest.raises(NotFoundError, match=r"archive hospital holds no study 1\.9; nothing was submitted"):
        await submit(routing, "1.2", "1.9")
    await routing.index()
    assert await routing.instances() == []
    assert await audited(routing) == []


@pytest.mark.parametrize("uid", ["", "1.2,1.3", "1.2&limit=1", "1" * 65, "1..2"])
async def test_only_uids_reach_an_archive(routing: Routing, uid: str) -> None:
    with pytest.raises(InvalidRequestError, match="no Study Instance UID"):
        await submit(routing, uid)


async def test_wrong_orders_say_what_is_wrong(routing: Routing) -> None:
    with pytest.raises(InvalidRequestError, match="at least one"):
        await submit(routing)
    with pytest.raises(InvalidRequestError, match="at most 1000"):
        await submit(routing, *(f"1.2.{number}" for number in range(1001)))
    with pytest.raises(NotFoundError):
        await submit(routing, "1.2", archive="nowhere")
    await routing.add_archive("results", feed=FeedKind.NONE)
    with pytest.raises(PreconditionError, match="without a feed"):
        await submit(routing, "1.2", archive="results")
