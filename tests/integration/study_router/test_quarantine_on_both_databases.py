"""A study that was quarantined goes on when its conflict is gone, on SQLite and PostgreSQL."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from integration.study_router.routing import PATIENT, REGION, SOMEBODY, Routing, slice_header
from study_router.domain.jobs import State
from study_router.domain.studies import Study, StudyState
from study_router.usecases.releasing import ConflictRemainsError, ReleaseStudy
from udc.events.v1 import study_pb2
from udckit.database import Database
from udckit.errors import PreconditionError
from udckit.plumbing_tables import AUDIT
from udckit.security.identity import acting_as
from udcmodel.ids import study_id
from udcmodel.vocabulary import Outcome

pytestmark = pytest.mark.connected

STUDY = "1.2"
TEN_MINUTES = 600
SLICES = [slice_header(number) for number in range(1, 21)]
STRAY = [slice_header(number, series="1.2.8") for number in range(1, 21)]
OTHER = replace(PATIENT, patient_id="P2")
OURS = study_id(region=REGION, patient_id="P1", issuer="I", study_instance_uid=STUDY)
THEIRS = study_id(region=REGION, patient_id="P2", issuer="I", study_instance_uid=STUDY)


@pytest.fixture
async def routing(database: Database) -> Routing:
    """A router that has a job for one patient's study and then sees its UID under another."""
    routing = Routing(database)
    await routing.ready()
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=15)
    await routing.arrive(STUDY, STRAY, patient=OTHER)
    return routing


async def release(routing: Routing, study: str = OURS) -> Study:
    use = ReleaseStudy(
        store=routing.store,
        connectors=routing.played,
        clock=routing.clock,
        region=REGION,
        begin_trace=lambda linked: linked,
    )
    with acting_as(SOMEBODY):
        return await use(study, reason="the stray images were deleted")


async def states(routing: Routing) -> dict[str, tuple[StudyState, int]]:
    return {study.study: (study.state, study.revision) for study in await routing.studies()}


def correct(routing: Routing) -> None:
    """Delete the other patient's images from the archive, without a word."""
    for item in STRAY:
        routing.played.archives["hospital"].delete(STUDY, item.sop_instance_uid)


async def test_a_study_is_not_released_while_an_archive_holds_it_under_two_patients(routing: Routing) -> None:
    with pytest.raises(ConflictRemainsError, match=r"archive hospital holds the StudyInstanceUID .* another patient"):
        await release(routing)
    assert await states(routing) == {OURS: (StudyState.QUARANTINED, 1), THEIRS: (StudyState.QUARANTINED, 1)}


async def test_nothing_runs_again_on_a_quarantined_study(routing: Routing) -> None:
    [job] = await routing.jobs()
    assert job.state is State.CANCELED
    with pytest.raises(PreconditionError, match=r"is quarantined for TWO_PATIENTS; udc study release"):
        await routing.retry(job.job)
    assert await routing.jobs() == [job]


async def test_a_released_study_goes_on_in_a_new_revision_with_a_new_run(routing: Routing) -> None:
    correct(routing)
    await release(routing)
    assert await states(routing) == {OURS: (StudyState.OPEN, 2), THEIRS: (StudyState.QUARANTINED, 1)}
    await routing.look()
    assert [job.state for job in await routing.jobs()] == [State.CANCELED]
    await routing.index()
    await routing.look(after_s=TEN_MINUTES)
    assert await states(routing) == {OURS: (StudyState.CLOSED, 2), THEIRS: (StudyState.QUARANTINED, 1)}
    old, new = await routing.jobs()
    assert (old.state, old.successor) == (State.SUPERSEDED, new.job)
    assert (new.state, new.run, new.grant.input_digests) == (State.PENDING, 2, old.grant.input_digests)
    outcomes = await routing.store.read(lambda transaction: transaction.jobs.outcomes(OURS))
    assert {item.revision: (item.job, item.outcome) for item in outcomes} == {
        1: (old.job, Outcome.SUPERSEDED),
        2: (new.job, None),
    }
    revised = [event for event in await routing.events() if event.type.endswith("StudyRevised")]
    [event] = [event.decode(study_pb2.StudyRevised) for event in revised]
    assert (event.study, event.revision, event.reason) == (OURS, 2, "released from quarantine")


async def test_the_images_of_the_other_patient_are_forgotten_on_release(routing: Routing) -> None:
    correct(routing)
    await release(routing)
    await routing.index()
    assert await routing.store.read(lambda transaction: transaction.studies.instances(THEIRS)) == []


async def test_images_that_were_moved_to_the_right_patient_become_part_of_the_study(routing: Routing) -> None:
    routing.played.archives["hospital"].put(STUDY, STRAY)
    await release(routing)
    await routing.index()
    await routing.look(after_s=TEN_MINUTES)
    instances = await routing.store.read(lambda transaction: transaction.studies.instances(OURS))
    assert len(instances) == 40


async def test_the_study_that_no_archive_holds_any_more_is_not_released(routing: Routing) -> None:
    correct(routing)
    with pytest.raises(ConflictRemainsError, match="another patient"):
        await release(routing, THEIRS)
    routing.played.archives["hospital"].held.clear()
    with pytest.raises(ConflictRemainsError, match="no archive holds"):
        await release(routing, THEIRS)


async def test_a_conflict_that_comes_back_quarantines_again_as_another_fact(routing: Routing) -> None:
    correct(routing)
    await release(routing)
    await routing.index()
    await routing.look(after_s=TEN_MINUTES)
    await routing.arrive(STUDY, STRAY, patient=OTHER)
    assert await states(routing) == {OURS: (StudyState.QUARANTINED, 2), THEIRS: (StudyState.QUARANTINED, 1)}
    told = [event for event in await routing.events() if event.type.endswith("StudyQuarantined")]
    assert [event.about for event in told].count(f"studies/{OURS}") == 2
    assert len({event.id for event in told}) == 3
    assert (await routing.jobs())[-1].state is State.CANCELED


async def test_release_is_asked_for_by_id_and_twice_is_once(routing: Routing) -> None:
    with pytest.raises(PreconditionError, match="ask for one of"):
        await release(routing, STUDY)
    correct(routing)
    first = await release(routing)
    assert await release(routing) == first
    rows = await routing.database.read(
        lambda connection: connection.execute(select(AUDIT).where(AUDIT.c.action == "study.released")).all()
    )
    [row] = rows
    assert (row.actor, row.subject) == (SOMEBODY.actor, f"studies/{OURS}")
    assert "the stray images were deleted" in str(row.facts)


async def test_a_study_quarantined_before_it_could_be_read_knows_its_facts_after_release(database: Database) -> None:
    routing = Routing(database)
    archive = await routing.ready()
    archive.put(STUDY, SLICES)
    archive.put(STUDY, STRAY, patient=OTHER)
    series, archive.held[STUDY]["1.2.1"] = archive.held[STUDY]["1.2.1"], []
    archive.held[STUDY]["1.2.9"] = series
    await routing.touch(STUDY, {"1.2.1"})
    await routing.index()
    assert await states(routing) == {OURS: (StudyState.QUARANTINED, 1), THEIRS: (StudyState.QUARANTINED, 1)}
    archive.held[STUDY] = {"1.2.1": series}
    await release(routing)
    await routing.index()
    await routing.look(after_s=TEN_MINUTES)
    study = await routing.store.read(lambda transaction: transaction.studies.get(OURS))
    assert (study.study_date, study.age) == ("20260301", "066Y")
    assert [job.state for job in await routing.jobs()] == [State.PENDING]
