"""The instances of closed studies are kept as lists, and nobody can tell, on SQLite and PostgreSQL."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from integration.study_router.routing import SOMEBODY, Routing, slice_header
from study_router.adapters.store import SqlStore
from study_router.adapters.tables import INSTANCE_LISTS, INSTANCES
from study_router.domain.instances import Header
from study_router.domain.jobs import State
from study_router.domain.reconciliation import Finding
from study_router.domain.studies import StoredInstance, StudyState
from study_router.ports import Transaction
from study_router.usecases.backfilling import AdvanceBackfills, OrderBackfill
from study_router.usecases.reading import ExplainStudy, ReadStudies
from udckit.database import Database, opened
from udckit.errors import InternalError
from udckit.security.identity import acting_as

pytestmark = pytest.mark.connected

STUDY = "1.2"
SLICES = [slice_header(number) for number in range(1, 21)]
BONE = [slice_header(number, kernel="BONE") for number in range(101, 121)]
TEN_MINUTES = 600


@pytest.fixture
async def routing(database: Database) -> Routing:
    """A router with one archive, one attachment, and an open study of two stacks in one series."""
    routing = Routing(database)
    await routing.ready()
    await routing.arrive(STUDY, [*SLICES[:10], *BONE])
    routing.clock.pass_by(5)
    await routing.arrive(STUDY, SLICES[10:])
    return routing


async def kept(routing: Routing) -> tuple[int, list[int]]:
    """Return how many rows there are, and the lengths of the lists."""

    def read(connection: Any) -> tuple[int, list[int]]:
        rows = connection.execute(select(func.count()).select_from(INSTANCES)).scalar_one()
        return rows, sorted(connection.execute(select(INSTANCE_LISTS.c.instances)).scalars())

    return await routing.database.read(read)


async def close(routing: Routing) -> None:
    await routing.look(after_s=TEN_MINUTES)
    assert (await routing.only_study()).state is StudyState.CLOSED


async def change(routing: Routing, statement: Any) -> None:
    """Change the database behind the router's back."""
    changed = await routing.database.transact(lambda connection: connection.execute(statement).rowcount)
    assert changed == 1


def report(uid: str) -> Header:
    return Header(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33",
        sop_instance_uid=uid,
        series_instance_uid=f"{uid}.0",
        modality="SR",
    )


async def test_closing_makes_a_list_of_every_stack_and_loses_nothing(routing: Routing) -> None:
    before = await routing.instances()
    assert await kept(routing) == (40, [])
    await close(routing)
    assert await kept(routing) == (0, [20, 20])
    assert await routing.instances() == before
    assert len({instance.arrived_at for instance in before}) == 2


async def test_a_list_is_a_small_part_of_what_its_rows_were(routing: Routing) -> None:
    def size_of(connection: Any) -> int:
        return sum(len(json.dumps(header)) for header in connection.execute(select(INSTANCES.c.header)).scalars())

    rows = await routing.database.read(size_of)
    await close(routing)
    lists = await routing.database.read(
        lambda connection: sum(map(len, connection.execute(select(INSTANCE_LISTS.c.content)).scalars()))
    )
    assert lists < rows / 5


async def test_people_see_the_same_study_before_and_after(routing: Routing) -> None:
    read, explain = ReadStudies(routing.store), ExplainStudy(routing.store, routing.rules)
    await routing.look(after_s=15)
    before = (await read.one(STUDY)).stacks
    await close(routing)
    assert (await read.one(STUDY)).stacks == before
    [explanation] = await explain(STUDY)
    assert explanation.decision == "MATCHED"


async def test_a_late_slice_is_compared_with_the_list_and_makes_a_revision(routing: Routing) -> None:
    await close(routing)
    old = await routing.only_job()
    await routing.arrive(STUDY, [slice_header(21)])
    assert await kept(routing) == (41, [])
    await close(routing)
    assert (await routing.only_study()).revision == 2
    assert await kept(routing) == (0, [20, 21])
    states = {job.job: job.state for job in await routing.jobs()}
    assert states.pop(old.job) is State.SUPERSEDED
    assert list(states.values()) == [State.PENDING]


async def test_a_late_slice_of_one_series_leaves_the_lists_of_others(routing: Routing) -> None:
    await routing.arrive(STUDY, [slice_header(number, series="1.2.2") for number in range(1, 6)])
    await close(routing)
    await routing.arrive(STUDY, [slice_header(6, series="1.2.2")])
    assert await kept(routing) == (6, [20, 20])


async def test_reading_a_series_again_that_has_not_changed_touches_nothing(routing: Routing) -> None:
    await close(routing)
    study = await routing.only_study()
    await routing.touch(STUDY, {"1.2.1"})
    await routing.index()
    assert await kept(routing) == (0, [20, 20])
    assert await routing.only_study() == study


async def test_a_result_that_comes_later_is_listed_too_and_reopens_nothing(routing: Routing) -> None:
    await close(routing)
    await routing.arrive(STUDY, [report("1.2.88")])
    study = await routing.only_study()
    assert (study.state, study.revision) == (StudyState.CLOSED, 1)
    assert await kept(routing) == (0, [1, 20, 20])


async def test_what_is_deleted_later_is_forgotten_and_reopens_nothing(routing: Routing) -> None:
    await close(routing)
    routing.played.archives["hospital"].delete(STUDY, "1.2.1.7")
    await routing.touch(STUDY, {"1.2.1"})
    await routing.index()
    assert await kept(routing) == (0, [19, 20])
    assert "1.2.1.7" not in {item.header.sop_instance_uid for item in await routing.instances()}
    study = await routing.only_study()
    assert (study.state, study.revision) == (StudyState.CLOSED, 1)


async def test_a_copy_in_another_archive_is_known_by_the_list(routing: Routing) -> None:
    await close(routing)
    await routing.add_archive("central")
    await routing.arrive(STUDY, [*SLICES, *BONE], archive="central")
    study = await routing.only_study()
    assert (study.state, study.revision) == (StudyState.CLOSED, 1)
    assert await kept(routing) == (0, [20, 20, 20, 20])
    await routing.arrive(STUDY, [slice_header(21)], archive="central")
    assert (await routing.only_study()).revision == 2


async def test_reconciliation_counts_lists_as_it_counts_rows(routing: Routing) -> None:
    await close(routing)
    assert await routing.reconcile() == []
    await change(
        routing,
        delete(INSTANCE_LISTS).where(INSTANCE_LISTS.c.number == 0, INSTANCE_LISTS.c.series_instance_uid == "1.2.1"),
    )
    [found] = await routing.reconcile(repair=True)
    assert isinstance(found, Finding)
    assert found.detail == "20 instances of 1 series in the archive are not in the index"
    await routing.index()
    await close(routing)
    assert await kept(routing) == (0, [20, 20])
    assert await routing.reconcile() == []
    routing.played.archives["hospital"].delete(STUDY, "1.2.1.7")
    [gone] = await routing.reconcile()
    assert isinstance(gone, Finding)
    assert gone.detail == "1 instances of 1 series in the index are no longer in the archive"


async def test_a_sweep_finds_what_a_list_lacks_and_what_the_archive_lacks(routing: Routing) -> None:
    await close(routing)
    await routing.sweep_archive("today")
    assert await kept(routing) == (0, [20, 20])
    routing.played.archives["hospital"].delete(STUDY, "1.2.1.7")
    routing.clock.pass_by(60)
    await routing.sweep_archive("today")
    assert await kept(routing) == (0, [19, 20])


async def test_a_backfill_works_on_the_whole_of_a_listed_study(routing: Routing) -> None:
    await close(routing)
    routing.clock.pass_by(60)
    await routing.attach("late")
    with acting_as(SOMEBODY):
        await OrderBackfill(store=routing.store, clock=routing.clock)(
            request_id="r1", attachment="late", from_day="", to_day="", study_instance_uids=[STUDY]
        )
    await AdvanceBackfills(store=routing.store, clock=routing.clock, backlog=10)()
    await routing.look()
    [job] = [job for job in await routing.jobs() if job.grant.attachment == "late"]
    [inputs] = [routing.objects[item.digest] for item in job.inputs]
    assert inputs.instance_count == 20
    assert await kept(routing) == (0, [20, 20])


async def test_a_slice_that_comes_from_another_replica_while_a_list_is_made_is_kept_once(postgresql_url: str) -> None:
    async with (
        opened(postgresql_url, migrations="study_router.migrations") as one,
        opened(postgresql_url) as another,
    ):
        routing, store = Routing(one), SqlStore(another)
        await routing.ready()
        await routing.arrive(STUDY, SLICES)
        study = (await routing.only_study()).study
        stored = await routing.instances()
        for number in range(100, 120):
            late = replace(stored[0], header=slice_header(number))
            again = replace(stored[1], header=replace(stored[1].header, series_description=f"changed {number}"))
            await asyncio.gather(
                routing.store.transact(lambda transaction: transaction.studies.collapse(study)),
                store.transact(partial(_put, study=study, instances=[late, again])),
            )
            now = await routing.instances()
            assert len(now) == len({item.header.sop_instance_uid for item in now}) == number - 79
            assert again in now


def _put(transaction: Transaction, *, study: str, instances: Sequence[StoredInstance]) -> None:
    transaction.studies.put_instances(study, instances)


@pytest.mark.parametrize("content", [b"", b"not compressed"])
async def test_a_damaged_list_is_an_error_that_says_what_to_do(routing: Routing, content: bytes) -> None:
    await close(routing)
    first = INSTANCE_LISTS.c.number == 0
    await change(routing, update(INSTANCE_LISTS).where(first).values(content=content))
    with pytest.raises(InternalError, match="udc reconcile --repair"):
        await routing.instances()
