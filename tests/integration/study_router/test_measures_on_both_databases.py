"""What operators see of the router: what is open and what became of studies, on SQLite and PostgreSQL."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from opentelemetry.metrics import CallbackOptions

from integration.study_router.routing import Routing, slice_header
from study_router.adapters import measures
from study_router.adapters.events import Reports
from study_router.adapters.measures import Measuring
from study_router.domain.announcements import OutcomeDecided
from study_router.domain.work import Job
from study_router.ports import Transaction
from study_router.usecases.reports import (
    AcceptResult,
    RecordDelivery,
    RecordDeliveryFailure,
    RecordFailure,
    RecordProgress,
    RecordReturn,
    RecordStart,
)
from udc.events.v1 import job_pb2
from udckit import subjects
from udckit.clock import Clock
from udckit.consumer.work import Worker, in_inbox
from udckit.database import Database
from udckit.envelope import headers_of, outgoing, parse
from udckit.roles import holding
from udcmodel.vocabulary import Outcome

pytestmark = pytest.mark.connected

STUDY = "1.2"
SLICES = [slice_header(number) for number in range(1, 21)]
LOOK = CallbackOptions()


class Recorded:
    """Counts like an instrument of OpenTelemetry, by the values of its attributes."""

    def __init__(self) -> None:
        self.totals: Counter[tuple[str, ...]] = Counter()

    def add(self, amount: int, attributes: Mapping[str, str] | None = None) -> None:
        self.totals[tuple((attributes or {}).values())] += amount


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    recorded = Recorded()
    monkeypatch.setattr(measures, "_outcomes", recorded)
    return recorded


@pytest.fixture
async def routing(database: Database) -> Routing:
    """A router with one archive and one attachment, into which one head CT has come."""
    routing = Routing(database)
    await routing.ready()
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=15)
    return routing


@asynccontextmanager
async def measuring(database: Database, clock: Clock) -> AsyncIterator[Measuring]:
    measuring = Measuring(database, clock, every_s=0.02)
    async with holding(database, "measures", measuring.run):
        async with asyncio.timeout(30):
            while not list(measuring.jobs(LOOK)):  # noqa: ASYNC110 - the gauge is asked as an exporter asks it
                await asyncio.sleep(0.02)
        yield measuring


async def test_what_is_open_is_counted_by_its_state_and_a_state_without_any_is_zero(
    routing: Routing, database: Database
) -> None:
    await routing.dispatch()
    routing.clock.pass_by(40)

    async with measuring(database, routing.clock) as measured:
        jobs = {item.attributes["udc.state"]: item.value for item in measured.jobs(LOOK) if item.attributes}
        studies = {item.attributes["udc.state"]: item.value for item in measured.studies(LOOK) if item.attributes}
        [oldest] = measured.oldest_job(LOOK)

    assert jobs == {"PENDING": 0, "DISPATCHED": 1, "RUNNING": 0, "INFERRED": 0, "ACCEPTED": 0, "ARCHIVING": 0}
    assert studies == {"OPEN": 1, "QUARANTINED": 0}
    assert oldest.value == 40.0


async def test_a_replica_without_the_role_tells_nothing(routing: Routing, database: Database) -> None:
    async with measuring(database, routing.clock) as measured:
        assert list(measured.jobs(LOOK))

    assert [*measured.jobs(LOOK), *measured.studies(LOOK), *measured.oldest_job(LOOK)] == []


async def test_an_outcome_is_counted_once_with_its_device_and_reason(routing: Routing, outcomes: Recorded) -> None:
    job = (await routing.only_job()).job
    assert not outcomes.totals

    await routing.archive_result(job)
    await routing.deliver(job)

    assert [(found[1], number) for found, number in outcomes.totals.items()] == [("ARCHIVED", 1)]


async def test_an_outcome_that_a_service_reports_is_counted_once_it_is_durable(
    routing: Routing, outcomes: Recorded
) -> None:
    job = (await routing.only_job()).job
    await routing.dispatch()
    clock = routing.clock
    reports = Reports(
        record_start=RecordStart(clock=clock),
        accept_result=AcceptResult(clock=clock),
        record_progress=RecordProgress(),
        record_return=RecordReturn(clock=clock),
        record_failure=RecordFailure(clock=clock, max_attempts=3, back_off_s=(5.0,)),
        record_delivery=RecordDelivery(clock=clock),
        record_delivery_failure=RecordDeliveryFailure(clock=clock),
    )
    body = job_pb2.JobFailed(job=job, attempt=1, reason="NO_CONTRAST", insufficient=True)
    fact = outgoing(body, key=job, subject=subjects.JOB_FAILED, about=f"jobs/{job}", occurred_at=clock.now())
    event = parse(headers_of(fact, source="/services/model-serving", region="r77", sequence=1, trace={}), fact.body)
    [of_jobs, _] = reports.subscriptions()
    worker = Worker(routing.database, of_jobs)

    for _ in range(2):
        assert await worker.attempt(event, in_inbox(of_jobs, event.id, event)) is None

    assert [(found[1:], number) for found, number in outcomes.totals.items()] == [(("INSUFFICIENT", "NO_CONTRAST"), 1)]


async def test_what_is_rolled_back_is_not_counted(routing: Routing, outcomes: Recorded) -> None:
    job = await routing.only_job()
    await routing.archive_result(job.job)
    before = Counter(outcomes.totals)

    def fail(transaction: Transaction) -> None:
        transaction.announce(archived_again(job))
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        await routing.store.transact(fail)

    assert outcomes.totals == before


def archived_again(job: Job) -> OutcomeDecided:
    return OutcomeDecided(
        study=job.study,
        revision=job.revision,
        attachment=job.grant.attachment,
        organisation=job.grant.organisation,
        device=job.grant.device,
        version=job.grant.version,
        mode=job.grant.mode,
        job=job.job,
        outcome=Outcome.ARCHIVED,
        ending=job.ending,
        successor="",
        facts=job.facts,
        attempts=2,
        at=job.created_at,
    )
