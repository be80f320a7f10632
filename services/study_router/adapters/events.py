"""What the router hears from the others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from google.protobuf.message import Message
from sqlalchemy import Connection

from study_router.adapters import measures
from study_router.adapters.jobs_store import SqlJobs
from study_router.adapters.store import SqlTransaction
from study_router.domain.announcements import Announcement
from study_router.domain.jobs import Verdict, has_ended
from study_router.domain.work import Ending, HistoryEntry, Job, Progress
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
from udc.events.v1 import job_pb2, result_pb2
from udckit import subjects
from udckit.consumer import Effect, Handler, Subscription
from udckit.dead_letters import DeadLetter
from udckit.envelope import HEADER_SUBJECT, Event
from udckit.errors import PreconditionError
from udcmodel.codec import CATEGORY_FROM_PROTO


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """The use cases behind the events; each handler translates and leaves the rest to its transaction."""

    record_start: RecordStart
    accept_result: AcceptResult
    record_progress: RecordProgress
    record_return: RecordReturn
    record_failure: RecordFailure
    record_delivery: RecordDelivery
    record_delivery_failure: RecordDeliveryFailure

    def subscriptions(self) -> tuple[Subscription, ...]:
        """Return what the router consumes: one durable for jobs, one for results."""
        return (
            Subscription(
                stream=subjects.STREAM_EVENTS,
                durable=subjects.DURABLE_ROUTER_JOBS,
                handlers=_by_type(
                    {
                        job_pb2.JobStarted: self._started,
                        job_pb2.JobProgressed: self._progressed,
                        job_pb2.JobReturned: self._returned,
                        job_pb2.JobInferred: self._inferred,
                        job_pb2.JobFailed: self._failed,
                    }
                ),
                on_dead_letter=note_dead_letter,
            ),
            Subscription(
                stream=subjects.STREAM_EVENTS,
                durable=subjects.DURABLE_ROUTER_RESULTS,
                handlers=_by_type(
                    {result_pb2.ResultArchived: self._archived, result_pb2.ResultFailed: self._result_failed}
                ),
                on_dead_letter=note_dead_letter,
            ),
        )

    async def _started(self, event: Event) -> Effect:
        report = event.decode(job_pb2.JobStarted)
        return _Report(partial(self.record_start, job=report.job, attempt=report.attempt, worker=report.worker))

    async def _progressed(self, event: Event) -> Effect:
        report = event.decode(job_pb2.JobProgressed)
        progress = Progress(
            attempt=report.attempt,
            stage=int(report.stage),
            retrieved=report.retrieved,
            wanted=report.wanted,
            at=event.occurred_at,
        )
        return _Report(partial(self.record_progress, job=report.job, progress=progress))

    async def _returned(self, event: Event) -> Effect:
        report = event.decode(job_pb2.JobReturned)
        return _Report(
            partial(
                self.record_return,
                job=report.job,
                attempt=report.attempt,
                reason=report.reason,
                detail=report.detail,
            )
        )

    async def _inferred(self, event: Event) -> Effect:
        report = event.decode(job_pb2.JobInferred)
        return _Report(
            partial(
                self.accept_result,
                job=report.job,
                attempt=report.attempt,
                worker=report.worker,
                digest=report.result_digest,
            )
        )

    async def _failed(self, event: Event) -> Effect:
        report = event.decode(job_pb2.JobFailed)
        ending = Ending(reason=report.reason, detail=report.detail, category=CATEGORY_FROM_PROTO.get(report.category))
        return _Report(
            partial(
                self.record_failure,
                job=report.job,
                attempt=report.attempt,
                ending=ending,
                is_insufficient=report.insufficient,
                is_retryable=report.retryable,
            )
        )

    async def _archived(self, event: Event) -> Effect:
        report = event.decode(result_pb2.ResultArchived)
        return _Report(
            partial(self.record_delivery, job=report.job, digest=report.result_digest, archive=report.archive)
        )

    async def _result_failed(self, event: Event) -> Effect:
        report = event.decode(result_pb2.ResultFailed)
        return _Report(
            partial(
                self.record_delivery_failure,
                job=report.job,
                digest=report.result_digest,
                archive=report.archive,
                reason=report.reason,
                detail=report.detail,
                category=CATEGORY_FROM_PROTO.get(report.category),
            )
        )


class _Report:
    """What a report changes; what it decides is counted when that is durable."""

    def __init__(self, record: Callable[[Transaction], None]) -> None:
        self._record = record
        self._announced: Sequence[Announcement] = ()

    def __call__(self, connection: Connection) -> None:
        transaction = SqlTransaction(connection)
        self._announced = transaction.announced
        self._record(transaction)

    def committed(self) -> None:
        """Count it."""
        measures.count(self._announced)


def note_dead_letter(event: Event, reason: str, detail: str) -> Effect:
    """Have the history of the job say that a report about it could not be handled.

    The state needs no change: every state that waits for a report has a timer.
    """

    def effect(connection: Connection) -> None:
        jobs = SqlTransaction(connection).jobs
        job = _job_of(event.about, jobs)
        if job is not None:
            name = event.type.rpartition(".")[2]
            entry = HistoryEntry(
                at=event.occurred_at,
                event=f"DEAD_LETTER {name}",
                verdict=Verdict.STALE,
                state=job.state,
                attempt=job.attempt,
                detail=f"{reason}: {detail}",
            )
            jobs.note(job.job, entry)

    return effect


def _job_of(about: str, jobs: SqlJobs) -> Job | None:
    collection, _, name = about.partition("/")
    return jobs.find(name) if collection == "jobs" else None


def may_replay(connection: Connection, letter: DeadLetter) -> None:
    """Allow a dead letter to be handled again.

    Raises:
        PreconditionError: its job has ended, so that nothing it says matters any more.
    """
    job = _job_of(letter.headers.get(HEADER_SUBJECT, ""), SqlTransaction(connection).jobs)
    if job is not None and has_ended(job.state):
        raise PreconditionError(f"job {job.job} has ended as {job.state.value}", job=job.job)


def _by_type(handlers: Mapping[type[Message], Handler]) -> Mapping[str, Handler]:
    return {message.DESCRIPTOR.full_name: handler for message, handler in handlers.items()}
