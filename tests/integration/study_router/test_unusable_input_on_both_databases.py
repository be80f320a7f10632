"""Images that a device is meant for and cannot use, and images that somebody rejects, on SQLite and PostgreSQL."""

from dataclasses import replace

import pytest

from integration.study_router.routing import PATIENT, Routing, slice_header
from study_router.domain.instances import RETENTION_EXPIRED, Header
from study_router.domain.jobs import State
from study_router.domain.studies import StudyState
from study_router.usecases.reading import ExplainStudy
from udc.events.v1 import study_pb2
from udckit.database import Database
from udcmodel.vocabulary import ErrorCategory, Outcome

pytestmark = pytest.mark.connected

STUDY = "1.2"
SLICES = [slice_header(number) for number in range(1, 21)]
BONE = [slice_header(number, series="1.2.2", kernel="BONE") for number in range(1, 21)]
TEN_MINUTES = 600
QUALITY, PATIENT_SAFETY = "113001", "113037"


@pytest.fixture
async def routing(database: Database) -> Routing:
    """A router with one archive and one attachment."""
    routing = Routing(database)
    await routing.ready()
    return routing


def lost(header: Header) -> Header:
    return replace(header, position=None, row_direction=None, column_direction=None)


def note(uid: str, rejected: list[Header], *, title: str = QUALITY) -> Header:
    """Return the header of a key object that rejects images."""
    return Header(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.59",
        sop_instance_uid=uid,
        series_instance_uid=f"{uid}.0",
        series_number=900,
        modality="KO",
        document_title=title,
        rejects=tuple(header.sop_instance_uid for header in rejected),
    )


async def notes_of(routing: Routing) -> list[str]:
    [explanation] = await ExplainStudy(store=routing.store, rules=routing.rules)(STUDY)
    return list(explanation.notes)


async def test_a_head_ct_that_lies_nowhere_is_insufficient_for_its_tags(routing: Routing) -> None:
    await routing.arrive(STUDY, [lost(header) for header in SLICES])
    await routing.look(after_s=TEN_MINUTES)
    [outcome] = await routing.outcomes()
    assert (outcome.outcome, outcome.job) == (Outcome.INSUFFICIENT, "")
    assert (outcome.ending.reason, outcome.ending.category) == ("UNPLACED", ErrorCategory.TAG)
    assert "none of 20 images has Image Position" in outcome.ending.detail
    assert [note for note in await notes_of(routing) if "none of 20 images" in note]


async def test_a_chest_ct_that_lies_nowhere_is_none_of_the_devices_business(routing: Routing) -> None:
    await routing.arrive(STUDY, [replace(lost(header), body_part="CHEST") for header in SLICES])
    await routing.look(after_s=TEN_MINUTES)
    [outcome] = await routing.outcomes()
    assert (outcome.outcome, outcome.ending.category) == (Outcome.NOT_ELIGIBLE, None)


async def test_positions_that_come_late_make_the_study_usable(routing: Routing) -> None:
    await routing.arrive(STUDY, [lost(header) for header in SLICES])
    await routing.look(after_s=TEN_MINUTES)
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=TEN_MINUTES)
    assert (await routing.only_study()).revision == 2
    assert (await routing.only_job()).state is State.PENDING


async def test_a_rejected_series_gives_way_to_the_next_best_in_a_new_revision(routing: Routing) -> None:
    await routing.arrive(STUDY, [*SLICES, *BONE])
    await routing.look(after_s=TEN_MINUTES)
    first = await routing.only_job()

    await routing.arrive(STUDY, [note("1.9", SLICES)])
    study = await routing.only_study()
    assert (study.state, study.revision) == (StudyState.OPEN, 2)
    await routing.look()
    [revised] = [event for event in await routing.events() if event.type.endswith("StudyRevised")]
    assert revised.decode(study_pb2.StudyRevised).reason == "source instances were rejected"
    old, new = sorted(await routing.jobs(), key=lambda job: job.revision)
    assert (old.job, old.state, old.successor) == (first.job, State.SUPERSEDED, new.job)
    used = {frame.sop_instance_uid for item in new.inputs for frame in routing.objects[item.digest].frames}
    assert used == {header.sop_instance_uid for header in BONE}
    assert (
        "ct: series 1 (CT, HEAD, 20 images): excluded as REJECTED: Rejected for Quality Reasons, says the note in"
        " series 900"
    ) in await notes_of(routing)


async def test_a_study_all_of_whose_images_are_rejected_is_insufficient_and_its_job_stops(routing: Routing) -> None:
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=TEN_MINUTES)
    await routing.arrive(STUDY, [note("1.9", SLICES, title=PATIENT_SAFETY)])
    await routing.look()
    assert (await routing.only_job()).state is State.SUPERSEDED
    current = max(await routing.outcomes(), key=lambda outcome: outcome.revision)
    assert (current.revision, current.outcome, current.ending.reason) == (2, Outcome.INSUFFICIENT, "REJECTED")
    assert current.ending.category is ErrorCategory.SERIES
    assert current.ending.detail.endswith("Rejected for Patient Safety Reasons, says the note in series 900")


async def test_one_rejected_image_leaves_a_gap_that_is_judged(routing: Routing) -> None:
    await routing.arrive(STUDY, [*SLICES, note("1.9", SLICES[9:10])])
    await routing.look(after_s=TEN_MINUTES)
    [outcome] = await routing.outcomes()
    assert (outcome.outcome, outcome.ending.reason) == (Outcome.INSUFFICIENT, "GAP")


async def test_a_note_that_changes_no_input_opens_nothing(routing: Routing) -> None:
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=TEN_MINUTES)
    await routing.arrive(STUDY, [note("1.9", [slice_header(1, series="9.9.1")])])
    assert ((await routing.only_study()).state, (await routing.only_study()).revision) == (StudyState.CLOSED, 1)
    await routing.arrive(STUDY, [note("1.9", SLICES), note("1.8", SLICES)])
    await routing.look()
    await routing.arrive(STUDY, [note("1.7", SLICES)])
    assert ((await routing.only_study()).state, (await routing.only_study()).revision) == (StudyState.CLOSED, 2)


async def test_the_end_of_retention_opens_no_study_and_its_images_are_no_input_for_what_comes_later(
    routing: Routing,
) -> None:
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=TEN_MINUTES)
    await routing.arrive(STUDY, [note("1.9", SLICES, title=RETENTION_EXPIRED)])
    assert ((await routing.only_study()).state, (await routing.only_study()).revision) == (StudyState.CLOSED, 1)
    assert (await routing.only_job()).state is State.PENDING
    await routing.arrive(STUDY, [slice_header(21)])
    await routing.look(after_s=TEN_MINUTES)
    current = max(await routing.outcomes(), key=lambda outcome: outcome.revision)
    assert (current.revision, current.outcome) == (2, Outcome.INSUFFICIENT)


async def test_a_note_that_is_rejected_gives_the_input_back(routing: Routing) -> None:
    await routing.arrive(STUDY, [*SLICES, note("1.9", SLICES)])
    await routing.look(after_s=TEN_MINUTES)
    await routing.arrive(STUDY, [note("1.8", [note("1.9", [])])])
    await routing.look(after_s=TEN_MINUTES)
    assert ((await routing.only_study()).revision, (await routing.only_job()).state) == (2, State.PENDING)


async def test_a_note_that_comes_first_holds_for_what_follows(routing: Routing) -> None:
    await routing.arrive(STUDY, [note("1.9", SLICES)])
    assert await routing.studies() == []
    await routing.arrive(STUDY, [*SLICES, *BONE])
    await routing.look(after_s=TEN_MINUTES)
    [descriptor] = [routing.objects[item.digest] for item in (await routing.only_job()).inputs]
    assert descriptor.series_instance_uid == "1.2.2"


async def test_a_note_without_issuer_of_the_patient_id_holds_too_and_one_of_another_patient_does_not(
    routing: Routing,
) -> None:
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=TEN_MINUTES)
    await routing.arrive(STUDY, [note("1.8", SLICES)], patient=replace(PATIENT, patient_id="P2"))
    assert (await routing.only_study()).revision == 1
    await routing.arrive(STUDY, [note("1.9", SLICES)], patient=replace(PATIENT, issuer=""))
    assert (await routing.only_study()).revision == 2
