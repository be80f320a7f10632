"""How studies open, close, grow and are decided, on SQLite and PostgreSQL."""

from dataclasses import replace
from datetime import timedelta

import pytest

from integration.study_router.routing import MANIFEST, ORGANISATION, PATIENT, SECOND, Routing, slice_header
from study_router.domain.instances import Header, InstanceClass
from study_router.domain.jobs import State
from study_router.domain.studies import StudyState
from study_router.ports import Page
from study_router.usecases import planning
from study_router.usecases.reading import ExplainStudy
from study_router.usecases.registering import AlreadyRegisteredError
from udc.events.v1 import job_pb2, study_pb2
from udckit.database import Database
from udckit.errors import InvalidRequestError, PreconditionError
from udcmodel.vocabulary import Mode, Outcome

pytestmark = pytest.mark.connected

STUDY = "1.2"
SLICES = [slice_header(number) for number in range(1, 21)]
TEN_MINUTES = 600


@pytest.fixture
async def routing(database: Database) -> Routing:
    """A router with one archive and one attachment."""
    routing = Routing(database)
    await routing.ready()
    return routing


def report(uid: str) -> Header:
    return Header(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33",
        sop_instance_uid=uid,
        series_instance_uid=f"{uid}.0",
        modality="SR",
    )


async def test_a_job_starts_when_its_input_is_quiet_and_the_study_closes_later(routing: Routing) -> None:
    await routing.arrive(STUDY, SLICES)
    routing.clock.pass_by(14)
    await routing.evaluate((await routing.only_study()).study)
    assert await routing.jobs() == []
    await routing.look(after_s=1)
    ready_at = (await routing.only_study()).last_arrival_at + timedelta(seconds=15)
    assert (await routing.only_job()).input_ready_at == ready_at
    assert (await routing.only_study()).state is StudyState.OPEN
    await routing.look(after_s=TEN_MINUTES)
    assert (await routing.only_study()).state is StudyState.CLOSED
    [event] = [event for event in await routing.events() if event.type.endswith("StudyCompleted")]
    completed = event.decode(study_pb2.StudyCompleted)
    assert (completed.instance_count, completed.series_count) == (20, 1)
    assert list(completed.evidence) == ["quiet for 600 s", "the index equals the archive"]


async def test_a_study_that_is_open_when_a_device_is_attached_does_not_wait_for_its_closing(routing: Routing) -> None:
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=15)
    await routing.attach("second")
    explained = await ExplainStudy(routing.store, routing.rules)(STUDY)
    assert {item.attachment.attachment: item.decision for item in explained} == {
        "pilot": "MATCHED",
        "second": "NOT_YET",
    }
    await routing.look()
    assert (await routing.only_study()).state is StudyState.OPEN
    assert sorted(job.grant.attachment for job in await routing.jobs()) == ["pilot", "second"]


async def test_the_clock_of_silence_starts_anew_with_every_slice(routing: Routing) -> None:
    await routing.arrive(STUDY, SLICES[:10])
    await routing.look(after_s=10)
    await routing.arrive(STUDY, SLICES[10:])
    await routing.look(after_s=10)
    assert await routing.jobs() == []
    await routing.look(after_s=5)
    [inputs] = [routing.objects[item.digest] for item in (await routing.only_job()).inputs]
    assert inputs.instance_count == 20


async def test_nothing_starts_while_the_archive_holds_more_than_the_index(routing: Routing) -> None:
    await routing.arrive(STUDY, SLICES[:19])
    routing.played.archives["hospital"].put(STUDY, SLICES[19:])
    await routing.look(after_s=15)
    assert await routing.jobs() == []
    await routing.index()
    await routing.look(after_s=15)
    [inputs] = [routing.objects[item.digest] for item in (await routing.only_job()).inputs]
    assert inputs.instance_count == 20


async def test_a_slice_that_comes_while_a_study_is_looked_at_is_in_the_job(routing: Routing) -> None:
    await routing.arrive(STUDY, SLICES[:19])

    async def another_slice() -> None:
        await routing.arrive(STUDY, SLICES[19:])

    routing.played.archives["hospital"].meanwhile = another_slice
    await routing.look(after_s=15)
    assert await routing.jobs() == []
    await routing.look(after_s=15)
    [inputs] = [routing.objects[item.digest] for item in (await routing.only_job()).inputs]
    assert inputs.instance_count == 20


async def test_a_person_can_close_a_study_at_once(routing: Routing) -> None:
    await routing.arrive(STUDY, SLICES)
    routing.clock.pass_by(1)
    await routing.complete(STUDY)
    await routing.look()
    assert (await routing.only_study()).state is StudyState.CLOSED
    job = await routing.only_job()
    assert (job.state, job.input_ready_at) == (State.PENDING, routing.clock.now())


async def test_an_input_was_ready_when_silence_had_lasted_however_late_somebody_looks(routing: Routing) -> None:
    await routing.arrive(STUDY, SLICES)
    arrived_at = routing.clock.now()
    await routing.look(after_s=300)
    job = await routing.only_job()
    assert (job.input_ready_at, job.created_at) == (arrived_at + timedelta(seconds=15), routing.clock.now())


async def test_a_late_slice_makes_a_revision_and_supersedes_only_what_it_changes(database: Database) -> None:
    routing = Routing(database)
    await routing.ready("pilot", "second")
    other = [slice_header(number, series="1.2.2", kernel="BONE") for number in range(1, 21)]
    await routing.arrive(STUDY, [*SLICES[:19], *other])
    await routing.look(after_s=15)
    await routing.attach("bone", rule='study.stacks.exists(s, s.kernel == "BONE")')
    old = await routing.jobs()
    for job in old:
        await routing.archive_result(job.job)
    await routing.look(after_s=TEN_MINUTES)
    assert (await routing.only_study()).state is StudyState.CLOSED

    await routing.arrive(STUDY, [slice_header(21, series="1.2.2", kernel="BONE")])
    await routing.look(after_s=TEN_MINUTES)
    study = await routing.only_study()
    assert (study.revision, study.state) == (2, StudyState.CLOSED)
    unchanged = {job.job: job.state for job in await routing.jobs()}
    assert {unchanged[job.job] for job in old} == {State.ARCHIVED}

    await routing.arrive(STUDY, SLICES[19:])
    await routing.look(after_s=TEN_MINUTES)
    states = {job.job: job.state for job in await routing.jobs()}
    assert {states[job.job] for job in old} == {State.SUPERSEDED}
    assert "StudyRevised" in await routing.announced()


async def test_every_revision_has_exactly_one_current_outcome_per_attachment(routing: Routing) -> None:
    await routing.arrive(STUDY, SLICES[:19])
    await routing.look(after_s=15)
    first = (await routing.only_job()).job
    await routing.archive_result(first)
    await routing.look(after_s=TEN_MINUTES)
    await routing.arrive(STUDY, SLICES[19:])
    await routing.look(after_s=TEN_MINUTES)
    second = (await routing.jobs())[-1].job
    await routing.archive_result(second, digest=SECOND)
    outcomes = {item.revision: (item.job, item.outcome, item.successor) for item in await routing.outcomes()}
    assert outcomes == {1: (first, Outcome.SUPERSEDED, second), 2: (second, Outcome.ARCHIVED, "")}
    assert len(await routing.outcomes()) == 2


async def test_a_result_that_is_being_archived_is_superseded_when_it_is_archived(routing: Routing) -> None:
    await routing.arrive(STUDY, SLICES[:19])
    await routing.look(after_s=15)
    first = (await routing.only_job()).job
    await routing.dispatch()
    await routing.infer(first)
    await routing.begin(first)
    await routing.arrive(STUDY, SLICES[19:])
    await routing.look(after_s=15)
    second = (await routing.jobs())[-1].job
    assert (await routing.job(first)).state is State.ARCHIVING
    await routing.deliver(first)
    superseded = await routing.job(first)
    assert (superseded.state, superseded.successor) == (State.SUPERSEDED, second)
    [outcome] = await routing.outcomes()
    assert outcome.job == second


async def test_a_superseded_job_before_the_line_is_abandoned(routing: Routing) -> None:
    await routing.arrive(STUDY, SLICES[:19])
    await routing.look(after_s=15)
    first = (await routing.only_job()).job
    await routing.dispatch()
    await routing.infer(first)
    await routing.arrive(STUDY, SLICES[19:])
    await routing.look(after_s=15)
    answer = await routing.begin(first)
    assert (answer.granted, answer.reason) == (False, "SUPERSEDED")


async def test_a_slice_deleted_and_sent_again_is_worked_on_again(routing: Routing) -> None:
    archive = routing.played.archives["hospital"]
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=15)
    first = (await routing.only_job()).job
    archive.delete(STUDY, SLICES[-1].sop_instance_uid)
    await routing.touch(STUDY, {"1.2.1"})
    await routing.index()
    await routing.look(after_s=15)
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=15)
    jobs = await routing.jobs()
    assert len(jobs) == 3
    assert jobs[-1].grant.input_digests == (await routing.job(first)).grant.input_digests
    assert (jobs[-1].run, jobs[-1].state) == (2, State.PENDING)


async def test_our_own_results_open_and_reopen_nothing(routing: Routing) -> None:
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=15)
    job = (await routing.only_job()).job
    await routing.dispatch()
    await routing.infer(job)
    await routing.begin(job, uids=["5.1"])
    await routing.deliver(job)
    await routing.look(after_s=TEN_MINUTES)
    await routing.arrive(STUDY, [report("5.1"), report("5.2")])
    await routing.look(after_s=TEN_MINUTES)
    study = await routing.only_study()
    assert (study.revision, study.state) == (1, StudyState.CLOSED)
    stored = await routing.store.read(lambda transaction: transaction.studies.instances(study.study))
    classes = {item.header.sop_instance_uid: item.instance_class for item in stored}
    assert (classes["5.1"], classes["5.2"]) == (InstanceClass.OWN_RESULT, InstanceClass.FOREIGN_DERIVED)


async def test_a_report_alone_opens_no_study(routing: Routing) -> None:
    await routing.arrive(STUDY, [report("5.2")])
    assert await routing.studies() == []


async def test_a_copy_elsewhere_is_the_same_study_and_adds_no_work(routing: Routing) -> None:
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=15)
    await routing.add_archive("central")
    await routing.look(after_s=TEN_MINUTES)
    await routing.arrive(STUDY, SLICES, archive="central")
    await routing.look(after_s=TEN_MINUTES)
    assert (await routing.only_study()).revision == 1
    assert len(await routing.jobs()) == 1


async def test_an_archive_that_purges_what_is_old_starts_no_work_again(routing: Routing) -> None:
    await routing.add_archive("central")
    await routing.arrive(STUDY, SLICES)
    await routing.arrive(STUDY, SLICES, archive="central")
    await routing.look(after_s=15)
    await routing.archive_result((await routing.only_job()).job)
    await routing.look(after_s=TEN_MINUTES)
    routing.played.archives["hospital"].held.clear()
    await routing.touch(STUDY, {"1.2.1"})
    await routing.index()
    await routing.look(after_s=TEN_MINUTES)
    study = await routing.only_study()
    assert (study.revision, study.state) == (1, StudyState.CLOSED)
    assert (await routing.only_job()).state is State.ARCHIVED


async def test_one_uid_under_two_patients_stops_all_work(routing: Routing) -> None:
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=15)
    other = [slice_header(number, series="1.2.8") for number in range(1, 21)]
    await routing.arrive(STUDY, other, patient=replace(PATIENT, patient_id="P2"))
    await routing.look(after_s=TEN_MINUTES)
    assert {study.state for study in await routing.studies()} == {StudyState.QUARANTINED}
    job = await routing.only_job()
    assert (job.state, job.ending.reason) == (State.CANCELED, "TWO_PATIENTS")
    names = await routing.announced()
    assert names.count("StudyQuarantined") == 2
    with pytest.raises(PreconditionError):
        await routing.complete((await routing.studies())[0].study)


async def test_no_event_carries_who_the_patient_is(routing: Routing) -> None:
    secret = replace(PATIENT, patient_id="SECRET-ID-4711", issuer="SECRET-ISSUER", birth_date="19610203")
    await routing.arrive(STUDY, SLICES, patient=secret)
    await routing.look(after_s=15)
    await routing.archive_result((await routing.only_job()).job)
    await routing.look(after_s=TEN_MINUTES)
    told = b"".join(event.body + event.about.encode() for event in await routing.events())
    assert not [word for word in (b"SECRET", b"4711", b"19610203", b"1.2.1") if word in told]
    assert "SECRET" not in repr(await routing.only_study())


async def test_not_eligible_is_settled_only_when_the_study_is_closed(routing: Routing) -> None:
    chest = [replace(item, body_part="CHEST") for item in SLICES]
    await routing.arrive(STUDY, chest)
    await routing.look(after_s=15)
    assert await routing.outcomes() == []
    await routing.look(after_s=TEN_MINUTES)
    [outcome] = await routing.outcomes()
    assert (outcome.outcome, outcome.ending.reason, outcome.job) == (Outcome.NOT_ELIGIBLE, "NO_INPUT", "")
    [event] = [event for event in await routing.events() if event.type.endswith("JobEnded")]
    assert event.decode(job_pb2.JobEnded).outcome == job_pb2.OUTCOME_NOT_ELIGIBLE


@pytest.mark.parametrize(
    ("birth_date", "age", "reason"),
    [
        ("", "000Y", "AGE_UNKNOWN"),
        ("19000101", "", "AGE_UNKNOWN"),
        ("20200101", "066Y", "AGE_UNKNOWN"),
        ("20150101", "", "PURPOSE"),
    ],
)
async def test_an_age_that_is_unknown_refuses_as_a_child_does(
    routing: Routing, birth_date: str, age: str, reason: str
) -> None:
    await routing.arrive(STUDY, SLICES, patient=replace(PATIENT, birth_date=birth_date), age=age)
    await routing.look(after_s=TEN_MINUTES)
    [outcome] = await routing.outcomes()
    assert (outcome.outcome, outcome.ending.reason) == (Outcome.NOT_ELIGIBLE, reason)


async def test_images_that_cannot_be_used_are_insufficient_with_a_category(routing: Routing) -> None:
    await routing.arrive(STUDY, [item for item in SLICES if item.instance_number != 10])
    await routing.look(after_s=15)
    assert await routing.jobs() == []
    await routing.look(after_s=TEN_MINUTES)
    [outcome] = await routing.outcomes()
    assert (outcome.outcome, outcome.ending.reason) == (Outcome.INSUFFICIENT, "GAP")
    assert outcome.ending.category is not None
    assert outcome.ending.category.value == "Incorrect number of images"


async def test_a_study_that_was_complete_before_is_not_taken_by_a_new_attachment(database: Database) -> None:
    routing = Routing(database)
    await routing.add_archive()
    await routing.register()
    await routing.arrive(STUDY, SLICES)
    routing.clock.pass_by(TEN_MINUTES)
    await routing.attach()
    await routing.look(after_s=1)
    assert (await routing.only_study()).state is StudyState.CLOSED
    assert (await routing.jobs(), await routing.outcomes()) == ([], [])


async def test_an_attachment_looks_at_its_own_organisations_and_archives_only(database: Database) -> None:
    routing = Routing(database)
    await routing.add_archive()
    await routing.add_archive("central")
    await routing.register()
    await routing.attach("elsewhere", organisations=("1.2.643.0",))
    await routing.attach("here", organisations=(ORGANISATION,), sources=("hospital",))
    await routing.attach("central", sources=("central",))
    routing.clock.pass_by(1)
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=TEN_MINUTES)
    assert [item.attachment for item in await routing.outcomes()] == ["here"]


async def test_explain_judges_the_kept_facts_again(routing: Routing) -> None:
    await routing.arrive(STUDY, SLICES, patient=replace(PATIENT, birth_date=""), age="")
    await routing.look(after_s=TEN_MINUTES)
    [explanation] = await ExplainStudy(routing.store, routing.rules)(STUDY)
    assert explanation.decision == "NOT_ELIGIBLE"
    [clause] = explanation.clauses
    assert (clause.name, clause.answer.truth.value, clause.answer.why) == ("adult", "UNKNOWN", "study.age_years")


async def test_a_feed_that_is_another_one_is_compared_as_a_whole(routing: Routing) -> None:
    archive = routing.played.archives["hospital"]
    archive.put(STUDY, SLICES)
    routing.played.pages.append(Page((), "new cursor", is_last=False, is_broken=True))
    await routing.follow()
    await routing.index()
    assert (await routing.only_study()).study_instance_uid == STUDY


async def test_a_deletion_without_a_trace_in_the_feed_is_found_by_the_sweep(routing: Routing) -> None:
    archive = routing.played.archives["hospital"]
    await routing.arrive(STUDY, SLICES)
    archive.held.clear()
    routing.clock.pass_by(3601)
    await routing.follow()
    await routing.index()
    study = await routing.only_study()
    assert await routing.store.read(lambda transaction: transaction.studies.instances(study.study)) == []


async def test_a_version_is_registered_once_and_never_with_other_content(database: Database) -> None:
    routing = Routing(database)
    assert await routing.register() is True
    assert await routing.register() is False
    with pytest.raises(AlreadyRegisteredError):
        await routing.register(model=b"another model")
    changed = MANIFEST.read_bytes().replace(b"threshold: 0.5", b"threshold: 0.6")
    with pytest.raises(AlreadyRegisteredError):
        await routing.register(manifest=changed)
    assert (await routing.announced()).count("DeviceRegistered") == 1


@pytest.mark.parametrize(("most", "jobs", "outcome"), [(2, [State.PENDING], None), (1, [], Outcome.INSUFFICIENT)])
async def test_a_study_with_more_stacks_than_a_job_can_name_is_insufficient(
    database: Database, monkeypatch: pytest.MonkeyPatch, most: int, jobs: list[State], outcome: Outcome | None
) -> None:
    monkeypatch.setattr(planning, "MAX_INPUTS", most)
    routing = Routing(database)
    await routing.add_archive()
    await routing.register(manifest=with_a_second_input(MANIFEST.read_text()).encode())
    await routing.attach()
    routing.clock.pass_by(1)
    for series in ("1.2.1", "1.2.2"):
        await routing.arrive(STUDY, [slice_header(number, series=series) for number in range(1, 21)])
    await routing.look(after_s=TEN_MINUTES)
    assert [job.state for job in await routing.jobs()] == jobs
    [current] = await routing.outcomes()
    assert current.outcome is outcome
    assert current.ending.reason == ("" if outcome is None else "TOO_MANY_INPUTS")


def with_a_second_input(manifest: str) -> str:
    """Return the manifest with its input twice, under two names."""
    start, end = manifest.index("  - name: ct\n"), manifest.index("model:\n")
    again = manifest[start:end].replace("name: ct\n", "name: other\n").replace("name: VOLUME", "name: OTHER")
    return manifest[:end] + again + manifest[end:]


async def test_an_input_of_several_stacks_is_refused_while_no_worker_takes_it(database: Database) -> None:
    several = MANIFEST.read_bytes().replace(b"cardinality: one ", b"at_most: 3\n    cardinality: each ")
    with pytest.raises(InvalidRequestError, match="input ct: no worker takes several stacks"):
        await Routing(database).register(manifest=several)


async def test_a_rule_with_a_mistake_is_refused_at_registration_with_clause_and_position(database: Database) -> None:
    routing = Routing(database)
    broken = MANIFEST.read_bytes().replace(b"study.age_years >= 18.0", b"study.age >= 18.0")
    with pytest.raises(InvalidRequestError, match=r"purpose adult: position 7: study has no fact 'age'"):
        await routing.register(manifest=broken)


async def test_an_attachment_that_shows_results_needs_a_destination_and_a_certificate(database: Database) -> None:
    routing = Routing(database)
    await routing.add_archive()
    await routing.register()
    with pytest.raises(InvalidRequestError):
        await routing.attach(destinations=())
    routing.clock.pass_by(31 * 86_400)
    with pytest.raises(PreconditionError, match="shadow mode only"):
        await routing.attach()
    assert (await routing.attach(mode=Mode.SHADOW)).revision == 1


async def test_changing_an_attachment_is_a_new_revision_and_repeating_it_is_not(database: Database) -> None:
    routing = Routing(database)
    await routing.add_archive()
    await routing.register()
    first = await routing.attach()
    assert await routing.attach() == first
    assert (await routing.attach(mode=Mode.LIVE)).revision == 2
