"""The worker's own records: which attempts it began, how they ended, and what was announced with that."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, assert_never

from google.protobuf.message import Message
from sqlalchemy import Column, Connection, Index, Integer, MetaData, String, Table, func, select, update

from model_serving.domain.failure import Consequence, Failed
from model_serving.domain.progress import Reached, Stage
from model_serving.domain.run import Abandoned, Dispatch, Ending, Inferred, Returned, RunState
from udc.events.v1 import job_pb2
from udckit import subjects
from udckit.clock import Clock
from udckit.database import Database, UtcTime, insert
from udckit.envelope import outgoing
from udckit.outbox import announce
from udcmodel.codec import CATEGORY_TO_PROTO, timestamp
from udcmodel.vocabulary import ErrorCategory

METADATA: Final = MetaData()

RUNS: Final = Table(
    "runs",
    METADATA,
    Column("job", String, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("state", String, nullable=False),
    Column("device", String, nullable=False),
    Column("version", String, nullable=False),
    Column("organisation", String, nullable=False),
    Column("worker", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("detail", String, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
)
Index("runs_started_at", RUNS.c.started_at)

Effect = Callable[[Connection], None]

_STAGES: Final = {
    Stage.RETRIEVING: job_pb2.JOB_STAGE_RETRIEVING,
    Stage.INFERRING: job_pb2.JOB_STAGE_INFERRING,
    Stage.INTERPRETING: job_pb2.JOB_STAGE_INTERPRETING,
}
_UNEXPECTED: Final = Consequence(ErrorCategory.OTHER, is_retryable=True)


class SqlRuns:
    """Runs in the service's database.

    Args:
        database: With the tables of this module.
        worker: Name of this replica, told with every report.
        clock: For the times of the reports.
    """

    def __init__(self, database: Database, *, worker: str, clock: Clock) -> None:
        self._database = database
        self._worker = worker
        self._clock = clock

    async def begin(self, dispatch: Dispatch) -> bool:
        """Record and announce that an attempt starts; see ``ports.Runs``."""
        now = self._clock.now()
        return await self._database.transact(lambda connection: self._begin(connection, dispatch, now))

    async def progressed(self, dispatch: Dispatch, reached: Reached) -> None:
        """Announce how far an attempt is; see ``ports.Runs``."""
        now = self._clock.now()
        message = job_pb2.JobProgressed(
            job=dispatch.job,
            attempt=dispatch.attempt,
            worker=self._worker,
            stage=_STAGES[reached.stage],
            retrieved=reached.retrieved,
            wanted=reached.wanted,
        )
        kind = f"progressed|{reached.stage.value}|{reached.retrieved}"

        def write(connection: Connection) -> None:
            self._announce(connection, dispatch, message, kind=kind, subject=subjects.JOB_PROGRESSED, now=now)

        await self._database.transact(write)

    def ended(self, dispatch: Dispatch, ending: Ending) -> Effect:
        """Return the statements that record how an attempt ended, and announce it unless it was abandoned."""
        now = self._clock.now()
        return lambda connection: self._end(connection, dispatch, ending, now)

    def given_up(self, dispatch: Dispatch, reason: str, detail: str) -> Effect:
        """Return the statements that record and announce that this worker could not handle the attempt at all."""
        return self.ended(dispatch, Failed(reason=reason, detail=detail, consequence=_UNEXPECTED))

    def _begin(self, connection: Connection, dispatch: Dispatch, now: datetime) -> bool:
        newest = connection.execute(
            select(func.max(RUNS.c.attempt)).where(RUNS.c.job == dispatch.job)
        ).scalar_one_or_none()
        if newest is not None and newest > dispatch.attempt:
            return False
        self._record(connection, dispatch, now)
        # The same attempt, redelivered, announces the same event: the outbox knows it.
        self._announce(
            connection,
            dispatch,
            job_pb2.JobStarted(job=dispatch.job, attempt=dispatch.attempt, worker=self._worker),
            kind="started",
            subject=subjects.JOB_STARTED,
            now=now,
        )
        return True

    def _end(self, connection: Connection, dispatch: Dispatch, ending: Ending, now: datetime) -> None:
        match ending:
            case Inferred():
                self._close(connection, dispatch, RunState.INFERRED, now)
                self._announce(
                    connection,
                    dispatch,
                    self._inferred(dispatch, ending),
                    kind="inferred",
                    subject=subjects.JOB_INFERRED,
                    now=now,
                )
            case Failed():
                self._close(connection, dispatch, RunState.FAILED, now, reason=ending.reason, detail=ending.detail)
                self._announce(
                    connection,
                    dispatch,
                    self._failed(dispatch, ending),
                    kind="failed",
                    subject=subjects.JOB_FAILED,
                    now=now,
                )
            case Returned():
                self._close(connection, dispatch, RunState.RETURNED, now, reason=ending.reason, detail=ending.detail)
                self._announce(
                    connection,
                    dispatch,
                    job_pb2.JobReturned(
                        job=dispatch.job,
                        attempt=dispatch.attempt,
                        worker=self._worker,
                        reason=ending.reason,
                        detail=ending.detail,
                    ),
                    kind="returned",
                    subject=subjects.JOB_RETURNED,
                    now=now,
                )
            case Abandoned():
                self._close(connection, dispatch, RunState.ABANDONED, now, reason=ending.why.value)
            case _:
                assert_never(ending)

    def _record(self, connection: Connection, dispatch: Dispatch, now: datetime) -> None:
        row: dict[str, Any] = {
            "job": dispatch.job,
            "attempt": dispatch.attempt,
            "state": RunState.STARTED.value,
            "device": dispatch.grant.device,
            "version": dispatch.grant.version,
            "organisation": dispatch.grant.organisation,
            "worker": self._worker,
            "reason": "",
            "detail": "",
            "started_at": now,
        }
        recording = insert(RUNS, dialect=connection.dialect.name).values(row)
        connection.execute(recording.on_conflict_do_nothing(index_elements=[RUNS.c.job, RUNS.c.attempt]))

    def _close(
        self,
        connection: Connection,
        dispatch: Dispatch,
        state: RunState,
        now: datetime,
        *,
        reason: str = "",
        detail: str = "",
    ) -> None:
        # A run that was refused or expired before it began is recorded as well.
        self._record(connection, dispatch, now)
        connection.execute(
            update(RUNS)
            .where(RUNS.c.job == dispatch.job, RUNS.c.attempt == dispatch.attempt)
            .values(state=state.value, reason=reason, detail=detail, ended_at=now, worker=self._worker)
        )

    def _inferred(self, dispatch: Dispatch, ending: Inferred) -> job_pb2.JobInferred:
        return job_pb2.JobInferred(
            job=dispatch.job,
            attempt=dispatch.attempt,
            worker=self._worker,
            result_digest=ending.result_digest,
            processing_version=ending.processing_version,
            findings_present=ending.findings_present,
            findings_undetermined=ending.findings_undetermined,
            highest_probability=ending.highest_probability,
            inference_started_at=timestamp(ending.inference_started_at),
            inference_ended_at=timestamp(ending.inference_ended_at),
        )

    def _failed(self, dispatch: Dispatch, ending: Failed) -> job_pb2.JobFailed:
        return job_pb2.JobFailed(
            job=dispatch.job,
            attempt=dispatch.attempt,
            worker=self._worker,
            reason=ending.reason,
            detail=ending.detail,
            category=CATEGORY_TO_PROTO[ending.consequence.category],
            insufficient=ending.consequence.is_insufficient,
            retryable=ending.consequence.is_retryable,
        )

    def _announce(
        self, connection: Connection, dispatch: Dispatch, message: Message, *, kind: str, subject: str, now: datetime
    ) -> None:
        announce(
            connection,
            outgoing(
                message,
                key=f"{dispatch.job}|{dispatch.attempt}|{kind}",
                subject=subject,
                about=f"jobs/{dispatch.job}",
                occurred_at=now,
                organisation=dispatch.grant.organisation,
            ),
        )
