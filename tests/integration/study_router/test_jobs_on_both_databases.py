"""The life of jobs through the use cases, on SQLite and PostgreSQL."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import update

from integration.study_router.routing import DEVICE, FIRST, NOON, SECOND, Routing, slice_header
from study_router.adapters.events import may_replay, note_dead_letter
from study_router.adapters.jobs_store import SqlJobs
from study_router.adapters.rows import grant_to_json
from study_router.adapters.tables import JOBS
from study_router.domain.jobs import State, Verdict
from study_router.domain.work import Job, Progress
from study_router.ports import Transaction
from study_router.usecases.reading import ReadJobs
from study_router.usecases.reports import RecordProgress
from udc.events.v1 import job_pb2, result_pb2
from udckit import subjects
from udckit.database import Database
from udckit.dead_letters import DeadLetter, DeadLetterState
from udckit.envelope import headers_of, outgoing, parse
from udckit.errors import ConflictError, InvalidRequestError, PreconditionError
from udcmodel.vocabulary import ErrorCategory, Mode, Outcome, Priority

pytestmark = pytest.mark.connected

STUDY = "1.2"
SLICES = [slice_header(number) for number in range(1, 21)]


STEPS = [(1, 5), (1, 20), (2, 20), (3, 20)]
"""Stage, and images that have come: retrieving, inferring, interpreting."""


@pytest.fixture
async def routing(database: Database) -> Routing:
    """A router with one archive and one attachment, into which one head CT has come."""
    routing = Routing(database)
    await routing.ready()
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=15)
    return routing


async def test_a_job_goes_from_waiting_to_archived_and_tells_of_it(routing: Routing) -> None:
    job = await routing.only_job()
    assert job.state is State.PENDING
    await routing.archive_result(job.job)
    assert (await routing.job(job.job)).state is State.ARCHIVED
    assert (await routing.announced())[-3:] == ["JobDispatched", "ResultAccepted", "JobEnded"]
    [outcome] = await routing.outcomes()
    assert (outcome.job, outcome.outcome) == (job.job, Outcome.ARCHIVED)


async def test_everything_reported_twice_changes_nothing(routing: Routing) -> None:
    job = (await routing.only_job()).job
    await routing.dispatch()
    for _ in range(2):
        await routing.start(job)
    for _ in range(2):
        await routing.infer(job)
    for _ in range(2):
        assert (await routing.begin(job)).granted
    for _ in range(2):
        await routing.deliver(job)
    await routing.start(job)
    await routing.infer(job)
    await routing.fail(job)
    before = await routing.job(job)
    assert before.state is State.ARCHIVED
    names = await routing.announced()
    assert [names.count(name) for name in ("JobDispatched", "ResultAccepted", "JobEnded")] == [1, 1, 1]


async def test_of_two_results_at_the_same_moment_one_is_accepted(routing: Routing) -> None:
    job = (await routing.only_job()).job
    await routing.dispatch()
    await asyncio.gather(*(routing.infer(job, digest=digest) for digest in (FIRST, SECOND) * 8))
    accepted = [
        event.decode(result_pb2.ResultAccepted).result_digest
        for event in await routing.events()
        if event.type.endswith("ResultAccepted")
    ]
    assert accepted == [(await routing.job(job)).result_digest]


async def test_the_result_of_a_job_can_be_set_once(routing: Routing) -> None:
    job = (await routing.only_job()).job
    await routing.dispatch()
    await routing.infer(job)
    assert await routing.store.transact(lambda transaction: transaction.jobs.accept(job, SECOND)) is False
    assert (await routing.job(job)).result_digest == FIRST


async def test_another_result_than_the_accepted_one_never_crosses_the_line(routing: Routing) -> None:
    job = (await routing.only_job()).job
    assert (await routing.begin(job)).reason == "NOT_ACCEPTED"
    await routing.dispatch()
    await routing.infer(job)
    assert (await routing.begin(job, digest=SECOND)).reason == "OTHER_RESULT"
    assert (await routing.begin(job)).granted
    assert (await routing.begin(job, digest=SECOND)).reason == "OTHER_RESULT"
    assert (await routing.job(job)).result_digest == FIRST


async def test_a_report_that_overtakes_the_dispatch_is_told_to_come_again(routing: Routing) -> None:
    job = (await routing.only_job()).job
    with pytest.raises(ConflictError):
        await routing.infer(job, attempt=1)
    assert (await routing.job(job)).state is State.PENDING


async def test_a_job_that_cannot_be_dispatched_is_put_off_and_holds_up_no_other(routing: Routing) -> None:
    broken = (await routing.only_job()).job
    history = await routing.store.read(lambda transaction: transaction.jobs.history(broken))
    await routing.arrive("1.3", [slice_header(number, series="1.3.1") for number in range(1, 21)])
    await routing.look(after_s=15)
    [good] = [job.job for job in await routing.jobs() if job.job != broken]
    grant = (await routing.job(broken)).grant
    await routing.database.transact(
        lambda connection: connection.execute(update(JOBS).where(JOBS.c.job == broken).values(grant={}))
    )

    with pytest.raises(ExceptionGroup) as raised:
        await routing.dispatch()
    assert [type(error) for error in raised.value.exceptions] == [KeyError]
    assert (await routing.job(good)).state is State.DISPATCHED
    assert await routing.dispatch() == 0, "it is left alone for a while"
    [*before, entry] = await routing.store.read(lambda transaction: transaction.jobs.history(broken))
    assert before == history
    assert (entry.event, entry.verdict, entry.state) == ("PUT_OFF", Verdict.NOT_YET, State.PENDING)
    assert "KeyError" in entry.detail

    await routing.database.transact(
        lambda connection: connection.execute(
            update(JOBS).where(JOBS.c.job == broken).values(grant=grant_to_json(grant))
        )
    )
    routing.clock.pass_by(60)
    assert await routing.dispatch() == 1
    assert (await routing.job(broken)).state is State.DISPATCHED


async def test_without_slots_a_job_waits_and_loses_no_attempt(routing: Routing) -> None:
    routing.played.slot_count = 0
    assert await routing.dispatch() == 0
    routing.clock.pass_by(3600)
    await routing.sweep()
    job = await routing.only_job()
    assert (job.state, job.attempt, job.failures) == (State.PENDING, 0, 0)
    routing.played.slot_count = 1
    assert await routing.dispatch() == 1


async def test_a_job_that_is_given_back_waits_and_loses_no_attempt(routing: Routing) -> None:
    job = (await routing.only_job()).job
    for attempt in range(1, 6):
        assert await routing.dispatch() == 1
        await routing.start(job, attempt=attempt)
        await routing.give_back(job, attempt=attempt)
        await routing.give_back(job, attempt=attempt)
        waiting = await routing.job(job)
        assert (waiting.state, waiting.failures) == (State.PENDING, 0)
        assert await routing.dispatch() == 0, "it comes back at once"
        routing.clock.pass_by(61)
    await routing.dispatch()
    await routing.infer(job, attempt=6)
    await routing.give_back(job, attempt=5)
    assert (await routing.job(job)).state is State.ACCEPTED


async def test_progress_never_goes_back_whatever_the_order(routing: Routing) -> None:
    job = (await routing.only_job()).job
    await routing.dispatch()
    told = [Progress(attempt=1, stage=stage, retrieved=came, wanted=20, at=NOON) for stage, came in STEPS]
    for order in (told, told[::-1], [*told, *told]):
        for progress in order:
            await routing.store.transact(partial(RecordProgress(), job=job, progress=progress))
        report = await ReadJobs(routing.store).one(job)
        assert report.progress == told[-1]
    assert (await routing.job(job)).state is State.DISPATCHED, "progress changed the state"

    await routing.give_back(job)
    routing.clock.pass_by(61)
    await routing.dispatch()
    assert (await ReadJobs(routing.store).one(job)).progress is None, "it is of the attempt before"


async def test_jobs_of_an_archive_that_no_worker_can_read_are_not_dispatched(routing: Routing) -> None:
    routing.played.archives_away = frozenset({"hospital"})
    assert await routing.dispatch() == 0
    assert (await routing.only_job()).attempt == 0
    routing.played.archives_away = frozenset({"hospital-2", "hosp"})
    assert await routing.dispatch() == 1


async def test_jobs_of_a_version_that_no_worker_runs_are_not_dispatched(routing: Routing) -> None:
    routing.played.not_activated = frozenset({(DEVICE, "1.0.0")})
    assert await routing.dispatch() == 0
    assert (await routing.only_job()).attempt == 0
    routing.played.not_activated = frozenset({(DEVICE, "1.0.1")})
    assert await routing.dispatch() == 1


async def test_a_worker_that_dies_three_times_ends_the_job(routing: Routing) -> None:
    job = (await routing.only_job()).job
    for attempt in (1, 2, 3):
        await routing.dispatch()
        await routing.start(job, attempt=attempt)
        routing.clock.pass_by(101)
        await routing.sweep()
        routing.clock.pass_by(60)
    ended = await routing.job(job)
    assert (ended.state, ended.attempt, ended.ending.reason) == (State.EXPIRED, 3, "ATTEMPTS_EXHAUSTED")


@pytest.mark.parametrize(
    ("held_up", "failures"),
    [
        pytest.param({"cpu"}, [0, 0, 0, 0, 0], id="its own pool"),
        pytest.param(None, [0, 0, 0, 0, 0], id="nobody can be heard"),
        pytest.param({"gpu"}, [1, 2, 3], id="another pool"),
    ],
)
async def test_time_that_ran_out_while_something_was_away_is_no_failure(
    routing: Routing, held_up: set[str] | None, failures: list[int]
) -> None:
    job = (await routing.only_job()).job
    counted = []
    for attempt in range(1, len(failures) + 1):
        await routing.dispatch()
        await routing.start(job, attempt=attempt)
        routing.clock.pass_by(30)
        routing.played.held_up_pools = held_up
        await routing.sweep()
        # It is back before the time runs out, too late to finish.
        routing.clock.pass_by(60)
        routing.played.held_up_pools = ()
        await routing.sweep()
        routing.clock.pass_by(11)
        await routing.sweep()
        counted.append((await routing.job(job)).failures)
        routing.clock.pass_by(60)
    assert counted == failures


async def test_a_watchdog_that_has_just_begun_to_look_counts_no_failure(routing: Routing) -> None:
    job = (await routing.only_job()).job
    await routing.dispatch()
    await routing.start(job)
    routing.outages.look_away()
    routing.clock.pass_by(101)
    await routing.sweep()
    lost = await routing.job(job)
    assert (lost.state, lost.failures) == (State.PENDING, 0)


async def test_a_dispatch_that_reaches_nobody_uses_up_no_attempt(routing: Routing) -> None:
    job = (await routing.only_job()).job
    for _ in range(5):
        await routing.dispatch()
        routing.clock.pass_by(101)
        await routing.sweep()
    waiting = await routing.job(job)
    assert (waiting.state, waiting.attempt, waiting.failures) == (State.PENDING, 5, 0)
    await routing.dispatch()
    await routing.infer(job, attempt=6)
    assert (await routing.job(job)).state is State.ACCEPTED


async def test_the_result_of_an_attempt_that_was_given_up_is_stale(routing: Routing) -> None:
    job = (await routing.only_job()).job
    await routing.dispatch()
    await routing.start(job)
    routing.clock.pass_by(101)
    await routing.sweep()
    await routing.infer(job, attempt=1)
    assert (await routing.job(job)).state is State.PENDING
    routing.clock.pass_by(10)
    await routing.dispatch()
    await routing.infer(job, attempt=1)
    assert (await routing.job(job)).state is State.DISPATCHED
    history = await routing.store.read(lambda transaction: transaction.jobs.history(job))
    assert [entry.verdict for entry in history if entry.event == "INFERRED"] == [Verdict.STALE, Verdict.STALE]


async def test_a_retryable_failure_waits_before_it_runs_again(routing: Routing) -> None:
    job = (await routing.only_job()).job
    await routing.dispatch()
    await routing.fail(job, is_retryable=True)
    assert await routing.dispatch() == 0
    routing.clock.pass_by(5)
    assert await routing.dispatch() == 1
    assert (await routing.job(job)).attempt == 2


@pytest.mark.parametrize(("insufficient", "state"), [(True, State.INSUFFICIENT), (False, State.FAILED)])
async def test_a_failure_that_no_attempt_can_cure_ends_the_job(
    routing: Routing, insufficient: bool, state: State
) -> None:
    job = (await routing.only_job()).job
    await routing.dispatch()
    await routing.fail(job, is_insufficient=insufficient)
    assert (await routing.job(job)).state is state


async def test_everything_ends_at_the_total_deadline(routing: Routing) -> None:
    routing.played.slot_count = 0
    routing.clock.pass_by(86_401)
    await routing.dispatch()
    routing.played.slot_count = 1
    await routing.dispatch()
    await routing.sweep()
    job = await routing.only_job()
    assert (job.state, job.ending.reason) == (State.EXPIRED, "DEADLINE_PASSED")
    assert job.ending.category is ErrorCategory.SERVER_UNAVAILABLE
    assert "pool cpu had no free slot for it" in job.ending.detail
    [outcome] = await routing.outcomes()
    assert outcome.ending == job.ending


async def test_a_job_that_no_worker_takes_is_not_the_fault_of_the_device(routing: Routing) -> None:
    job = (await routing.only_job()).job
    await routing.dispatch()
    routing.clock.pass_by(86_401)
    await routing.sweep()
    ended = await routing.job(job)
    assert (ended.state, ended.ending.category) == (State.EXPIRED, ErrorCategory.SERVER_UNAVAILABLE)


@pytest.mark.parametrize(("worked_s", "category"), [(99, ErrorCategory.SERVER_UNAVAILABLE), (100, ErrorCategory.OTHER)])
async def test_a_device_at_work_is_at_fault_only_when_it_had_its_time(
    routing: Routing, worked_s: int, category: ErrorCategory
) -> None:
    job = (await routing.only_job()).job
    routing.clock.time = (await routing.only_job()).deadline - timedelta(seconds=worked_s)
    await routing.dispatch()
    await routing.start(job)
    routing.clock.pass_by(worked_s)
    await routing.sweep()
    ended = await routing.job(job)
    assert (ended.state, ended.ending.reason) == (State.EXPIRED, "DEADLINE_PASSED")
    assert ended.ending.category is category


async def test_a_device_that_failed_before_is_at_fault_for_the_time_that_it_took(routing: Routing) -> None:
    job = (await routing.only_job()).job
    await routing.dispatch()
    await routing.start(job)
    await routing.fail(job, is_retryable=True)
    routing.clock.pass_by(86_401)
    await routing.sweep()
    ended = await routing.job(job)
    assert (ended.state, ended.ending.category) == (State.EXPIRED, ErrorCategory.OTHER)


async def test_a_result_that_comes_too_late_to_be_stored_is_not_the_fault_of_the_device(routing: Routing) -> None:
    job = (await routing.only_job()).job
    await routing.dispatch()
    await routing.infer(job)
    routing.clock.pass_by(86_401)
    answer = await routing.begin(job)
    assert (answer.granted, answer.reason) == (False, "DEADLINE_PASSED")
    ended = await routing.job(job)
    assert (ended.state, ended.ending.category) == (State.EXPIRED, ErrorCategory.SERVER_UNAVAILABLE)


async def test_a_job_that_cannot_be_settled_keeps_no_other_from_its_deadline(
    routing: Routing, monkeypatch: pytest.MonkeyPatch
) -> None:
    await routing.arrive("1.3", [slice_header(number, series="1.3.1") for number in range(1, 21)])
    await routing.look(after_s=15)
    routing.clock.pass_by(86_401)
    first, _ = await routing.store.read(lambda transaction: transaction.jobs.late(routing.clock.now(), limit=10))
    save = SqlJobs.save

    def fail(self: SqlJobs, job: Job) -> None:
        if job.job == first:
            raise InvalidRequestError("an event of it is too large")
        save(self, job)

    with monkeypatch.context() as patched:
        patched.setattr(SqlJobs, "save", fail)
        with pytest.raises(InvalidRequestError):
            await routing.sweep()
    assert sorted(job.state for job in await routing.jobs()) == [State.EXPIRED, State.PENDING]


async def test_what_a_worker_may_not_run_is_refused_and_no_failure(routing: Routing) -> None:
    job = (await routing.only_job()).job
    await routing.dispatch()
    with pytest.raises(ConflictError):
        await routing.fail(job, attempt=2, reason="REFUSED_DEVICE_SUSPENDED")
    await routing.fail(job, reason="REFUSED_DEVICE_SUSPENDED")
    await routing.fail(job, reason="REFUSED_DEVICE_SUSPENDED")
    ended = await routing.job(job)
    assert (ended.state, ended.ending.reason, ended.failures) == (State.REFUSED, "DEVICE_SUSPENDED", 0)
    assert ended.ending.category is None


async def test_what_the_archiver_may_not_store_is_refused_and_no_failure(routing: Routing) -> None:
    job = (await routing.only_job()).job
    await routing.dispatch()
    await routing.infer(job)
    for _ in range(2):
        await routing.fail_delivery(job, reason="CERTIFICATE_EXPIRED")
    ended = await routing.job(job)
    assert (ended.state, ended.ending.reason, ended.ending.category) == (State.REFUSED, "CERTIFICATE_EXPIRED", None)


async def test_a_refusal_of_one_destination_after_the_line_is_a_failure(routing: Routing) -> None:
    job = (await routing.only_job()).job
    await routing.dispatch()
    await routing.infer(job)
    await routing.begin(job)
    await routing.fail_delivery(job, reason="CERTIFICATE_EXPIRED")
    assert (await routing.job(job)).state is State.FAILED


async def test_a_suspended_device_is_refused_at_dispatch(routing: Routing) -> None:
    await routing.suspend()
    await routing.dispatch()
    job = await routing.only_job()
    assert (job.state, job.ending.reason) == (State.REFUSED, "DEVICE_SUSPENDED")
    assert "JobDispatched" not in await routing.announced()


async def test_a_suspension_before_the_line_prevents_archiving_and_after_it_does_not(routing: Routing) -> None:
    job = (await routing.only_job()).job
    await routing.dispatch()
    await routing.infer(job)
    await routing.suspend()
    answer = await routing.begin(job)
    assert (answer.granted, answer.reason) == (False, "DEVICE_SUSPENDED")
    assert (await routing.job(job)).state is State.REFUSED

    await routing.suspend(is_suspended=False)
    again = await routing.retry(job)
    await routing.dispatch()
    await routing.infer(again.job)
    assert (await routing.begin(again.job)).granted
    await routing.suspend()
    assert (await routing.begin(again.job)).granted
    await routing.deliver(again.job)
    assert (await routing.job(again.job)).state is State.ARCHIVED


async def test_an_expired_certificate_prevents_archiving(routing: Routing) -> None:
    routing.clock.pass_by(29.9 * 86_400)
    await routing.arrive("1.3", [slice_header(number, series="1.3.1") for number in range(1, 21)])
    await routing.look(after_s=15)
    job = (await routing.jobs())[-1].job
    await routing.sweep()
    await routing.dispatch()
    await routing.infer(job)
    routing.clock.pass_by(0.2 * 86_400)
    answer = await routing.begin(job)
    assert (answer.granted, answer.reason) == (False, "CERTIFICATE_EXPIRED")


async def test_a_canceled_job_is_abandoned_by_its_worker_and_never_archived(routing: Routing) -> None:
    job = (await routing.only_job()).job
    await routing.dispatch()
    await routing.start(job)
    await routing.cancel(job)
    assert (await routing.cancel(job)).state is State.CANCELED
    await routing.infer(job)
    assert (await routing.begin(job)).reason == "CANCELED"
    names = await routing.announced()
    assert names[-2:] == ["JobCanceled", "JobEnded"]


async def test_what_is_being_archived_cannot_be_canceled(routing: Routing) -> None:
    job = (await routing.only_job()).job
    await routing.dispatch()
    await routing.infer(job)
    await routing.begin(job)
    with pytest.raises(PreconditionError):
        await routing.cancel(job)


async def test_a_failed_delivery_that_succeeds_after_all_is_archived(routing: Routing) -> None:
    job = (await routing.only_job()).job
    await routing.dispatch()
    await routing.infer(job)
    await routing.begin(job)
    await routing.fail_delivery(job)
    assert (await routing.job(job)).state is State.FAILED
    await routing.deliver(job)
    assert (await routing.job(job)).state is State.ARCHIVED
    [outcome] = await routing.outcomes()
    assert outcome.outcome is Outcome.ARCHIVED


async def test_archiving_that_never_ends_expires(routing: Routing) -> None:
    job = (await routing.only_job()).job
    await routing.dispatch()
    await routing.infer(job)
    await routing.begin(job)
    routing.clock.pass_by(601)
    await routing.sweep()
    ended = await routing.job(job)
    assert (ended.state, ended.ending.reason) == (State.EXPIRED, "ARCHIVING_TIMED_OUT")


async def test_a_failed_job_runs_again_as_a_new_job_and_the_old_one_stays(routing: Routing) -> None:
    old = (await routing.only_job()).job
    await routing.dispatch()
    await routing.fail(old)
    new = await routing.retry(old)
    assert (await routing.retry(old)).job == new.job
    assert (new.run, new.state) == (2, State.PENDING)
    await routing.archive_result(new.job)
    assert (await routing.job(old)).state is State.FAILED
    [outcome] = await routing.outcomes()
    assert (outcome.job, outcome.outcome) == (new.job, Outcome.ARCHIVED)


async def test_a_result_that_is_archived_after_its_job_was_repeated_is_superseded(routing: Routing) -> None:
    old = (await routing.only_job()).job
    await routing.dispatch()
    await routing.infer(old)
    assert (await routing.begin(old)).granted
    await routing.fail_delivery(old)
    new = (await routing.retry(old)).job
    await routing.deliver(old)
    ended = await routing.job(old)
    assert (ended.state, ended.successor) == (State.SUPERSEDED, new)
    [outcome] = await routing.outcomes()
    assert (outcome.job, outcome.outcome) == (new, None)


async def test_work_with_a_result_is_not_repeated(routing: Routing) -> None:
    job = (await routing.only_job()).job
    with pytest.raises(PreconditionError):
        await routing.retry(job)
    await routing.archive_result(job)
    with pytest.raises(PreconditionError):
        await routing.retry(job)


async def test_in_shadow_mode_the_result_is_kept_and_goes_nowhere(database: Database) -> None:
    routing = Routing(database)
    await routing.add_archive()
    await routing.register()
    await routing.attach(mode=Mode.SHADOW)
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=15)
    job = (await routing.only_job()).job
    await routing.dispatch()
    await routing.infer(job)
    assert (await routing.job(job)).state is State.KEPT
    [accepted] = [event for event in await routing.events() if event.type.endswith("ResultAccepted")]
    assert list(accepted.decode(result_pb2.ResultAccepted).destinations) == []
    assert (await routing.begin(job)).granted is False


async def test_a_pool_gets_no_more_than_its_slots_and_attachments_share_them(database: Database) -> None:
    routing = Routing(database)
    await routing.add_archive()
    await routing.register()
    await routing.attach("busy", priority=Priority.ROUTINE)
    await routing.attach("other", priority=Priority.ROUTINE)
    await routing.attach("background", priority=Priority.BATCH)
    routing.clock.pass_by(1)
    for number in range(6):
        headers = [slice_header(item, series=f"1.9.{number}") for item in range(1, 21)]
        await routing.arrive(f"9.{number}", headers)
    await routing.look(after_s=15)
    routing.played.slot_count = 4
    await routing.dispatch()
    await routing.dispatch()
    working = [job for job in await routing.jobs() if job.state is State.DISPATCHED]
    assert sorted(job.grant.attachment for job in working) == ["busy", "busy", "other", "other"]
    dispatched = [event for event in await routing.events() if event.type.endswith("JobDispatched")]
    assert {event.decode(job_pb2.JobDispatched).attempt for event in dispatched} == {1}


async def test_an_interrupted_transaction_leaves_neither_state_nor_event(routing: Routing) -> None:
    job = (await routing.only_job()).job
    before = await routing.announced()

    def interrupted(transaction: Transaction) -> None:
        transaction.jobs.accept(job, FIRST)
        raise PreconditionError("interrupted")

    with pytest.raises(PreconditionError):
        await routing.store.transact(interrupted)
    assert (await routing.job(job)).result_digest == ""
    assert await routing.announced() == before


async def test_a_report_that_was_given_up_is_in_the_history_and_not_handled_again_once_the_job_has_ended(
    routing: Routing,
) -> None:
    job = (await routing.only_job()).job
    body = job_pb2.JobInferred(job=job, attempt=1)
    fact = outgoing(body, key=job, subject=subjects.JOB_INFERRED, about=f"jobs/{job}", occurred_at=routing.clock.now())
    headers = headers_of(fact, source="/services/model-serving", region="r77", sequence=1, trace={})
    event = parse(headers, fact.body)
    await routing.database.transact(note_dead_letter(event, "UNEXPECTED", "KeyError"))
    history = await routing.store.read(lambda transaction: transaction.jobs.history(job))
    assert (history[-1].event, history[-1].detail) == ("DEAD_LETTER JobInferred", "UNEXPECTED: KeyError")

    letter = DeadLetter(
        id="1",
        consumer=subjects.DURABLE_ROUTER_JOBS,
        event_id=fact.id,
        state=DeadLetterState.DEAD,
        subject=subjects.JOB_INFERRED,
        headers=headers,
        body=fact.body,
        reason="UNEXPECTED",
        detail="",
        attempts=5,
        died_at=routing.clock.now(),
        changed_at=routing.clock.now(),
    )
    await routing.database.read(lambda connection: may_replay(connection, letter))
    await routing.cancel(job)
    with pytest.raises(PreconditionError):
        await routing.database.read(lambda connection: may_replay(connection, letter))
