"""How long a station pauses is learnt from its studies, on SQLite and PostgreSQL."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest

from integration.study_router.routing import NOON, Routing, slice_header
from study_router.domain.quiet import KEPT_STUDIES, MIN_STUDIES, Pauses, Sender
from study_router.domain.studies import StudyState
from study_router.ports import Transaction
from udc.events.v1 import study_pb2
from udckit.database import Database

pytestmark = pytest.mark.connected

CT1 = Sender("hospital", "CT1")
SLICES = [replace(slice_header(number), station="CT1") for number in range(1, 21)]


@pytest.fixture
async def routing(database: Database) -> Routing:
    routing = Routing(database)
    await routing.ready()
    return routing


async def remember(routing: Routing, pauses: Pauses, count: int, *, name: str = "earlier") -> None:
    for number in range(count):
        at = NOON + timedelta(seconds=number)
        await routing.store.transact(partial(_note, study=f"{name}{number}", pauses=pauses, at=at))


def _note(transaction: Transaction, *, study: str, pauses: Pauses, at: datetime) -> None:
    transaction.senders.note(study, {CT1: pauses}, at=at)


async def known(routing: Routing) -> list[Pauses]:
    found = await routing.store.read(lambda transaction: transaction.senders.known({CT1}))
    return list(found[CT1])


async def test_a_station_that_pauses_inside_stacks_gets_the_time_it_needs(routing: Routing) -> None:
    await remember(routing, Pauses(timedelta(seconds=40), None), MIN_STUDIES)
    await routing.arrive("1.2", SLICES[:10])
    await routing.look(after_s=40)
    assert await routing.jobs() == []
    await routing.arrive("1.2", SLICES[10:])
    await routing.look(after_s=49)
    assert await routing.jobs() == []
    await routing.look(after_s=1)
    job = await routing.only_job()
    [inputs] = [routing.objects[item.digest] for item in job.inputs]
    assert inputs.instance_count == 20
    [created] = await routing.store.read(lambda transaction: transaction.jobs.history(job.job))
    assert "quiet for 50.0 s (50 s as learnt from 50 studies of CT1 in archive hospital)" in created.detail


async def test_another_station_is_not_made_to_wait(routing: Routing) -> None:
    await remember(routing, Pauses(timedelta(seconds=40), None), MIN_STUDIES)
    await routing.arrive("1.2", [replace(item, station="CT2") for item in SLICES])
    await routing.look(after_s=15)
    assert len(await routing.jobs()) == 1


async def test_a_study_is_closed_when_its_station_would_have_begun_the_next_stack(routing: Routing) -> None:
    await remember(routing, Pauses(None, timedelta(seconds=800)), MIN_STUDIES)
    await routing.arrive("1.2", SLICES)
    await routing.look(after_s=999)
    assert (await routing.only_study()).state is StudyState.OPEN
    await routing.look(after_s=1)
    assert (await routing.only_study()).state is StudyState.CLOSED
    [event] = [event for event in await routing.events() if event.type.endswith("StudyCompleted")]
    assert list(event.decode(study_pb2.StudyCompleted).evidence) == [
        "quiet for 1000 s as learnt from 50 studies of CT1 in archive hospital",
        "the index equals the archive",
    ]


async def test_a_closed_study_teaches_and_a_later_revision_corrects_it(routing: Routing) -> None:
    await routing.arrive("1.2", SLICES[:10])
    routing.clock.pass_by(12)
    await routing.arrive("1.2", SLICES[10:])
    await routing.look(after_s=600)
    assert await known(routing) == [Pauses(timedelta(seconds=12), None)]
    routing.clock.pass_by(100)
    other = [replace(slice_header(number, series="1.2.2"), station="CT1") for number in range(1, 21)]
    await routing.arrive("1.2", other)
    await routing.look(after_s=600)
    assert await known(routing) == [Pauses(timedelta(seconds=12), timedelta(seconds=700))]


async def test_only_the_latest_studies_of_a_station_are_remembered(routing: Routing) -> None:
    await remember(routing, Pauses(timedelta(seconds=1), None), 5, name="old")
    await remember(routing, Pauses(timedelta(seconds=2), None), KEPT_STUDIES + 5)
    found = await known(routing)
    assert len(found) == KEPT_STUDIES
    assert set(found) == {Pauses(timedelta(seconds=2), None)}
