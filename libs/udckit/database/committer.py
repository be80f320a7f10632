"""Group commit: up to 64 callers share one transaction, and with it one fsync."""

import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import sqlalchemy.exc
from sqlalchemy import Connection, Engine

from udckit import crash
from udckit.database.faults import Fault, fault_of
from udckit.database.late_writes import collecting
from udckit.database.work import Job
from udckit.errors import ConflictError, TimedOutError, UpstreamUnavailableError

GROUP_SIZE: Final = 64
RACES: Final = 10
"""How often a work that loses against other transactions is done in all."""

_RECONNECT_S: Final = 0.1

Jobs = queue.SimpleQueue[Job | None]
"""Waiting work; each ``None`` ends one committer."""


class _JobFailedError(Exception):
    """A job failed in a transaction without savepoints; its error is the cause."""


class _LostRaceError(Exception):
    """The database gave way to another transaction, or refused the group as a whole: nothing was stored."""


class _LostConnectionError(Exception):
    """The database went away before the commit was sent: nothing was stored."""


class _UnknownOutcomeError(Exception):
    """The database went away while it committed."""


class Committer(threading.Thread):
    """One thread with one connection that turns waiting jobs into group commits.

    A group first runs as it is. Only when a member fails is it rolled back and run again with a savepoint around each
    member, so that the failure stays with its own job: on PostgreSQL savepoints cost two round trips per job. A group
    that loses against another transaction is run again member by member.

    Args:
        engine: Gives the connection; its transactions may write.
        jobs: Shared by all committers of a database.
        deliver: Called from this thread with jobs whose outcome is durable, or which failed.
        name: Name of the thread.
    """

    def __init__(self, engine: Engine, jobs: Jobs, deliver: Callable[[Sequence[Job]], None], *, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._engine = engine
        self._jobs = jobs
        self._deliver = deliver
        self._connection: Connection | None = None

    def run(self) -> None:
        """Commit groups until told to stop."""
        stopping = False
        while not stopping:
            group, stopping = self._next_group()
            wanted = [job for job in group if not job.is_abandoned]
            if wanted:
                self._settle_or_fail(wanted)
        self._disconnect()

    def _next_group(self) -> tuple[list[Job], bool]:
        """Return what waits, at least one job, and whether to stop after it."""
        group: list[Job] = []
        job = self._jobs.get()
        while job is not None:
            group.append(job)
            if len(group) == GROUP_SIZE:
                return group, False
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _settle_or_fail(self, jobs: Sequence[Job]) -> None:
        try:
            try:
                self._settle(jobs)
            except _LostRaceError:
                for job in jobs:
                    self._settle_alone(job)
        except Exception as error:  # noqa: BLE001 whatever it is, callers must be answered and this thread must live
            # Such as a work that ended the transaction itself; an outcome that was delivered before stays.
            self._disconnect()
            for job in jobs:
                job.error = error
            self._deliver(jobs)

    def _settle_alone(self, job: Job) -> None:
        for _ in range(RACES):
            try:
                self._settle([job])
            except _LostRaceError:
                time.sleep(random.uniform(0.002, 0.03))  # noqa: S311 spreads two racers, protects nothing
            else:
                return
        job.error = ConflictError(f"other transactions were in the way {RACES} times; nothing was stored")
        self._deliver([job])

    def _settle(self, jobs: Sequence[Job]) -> None:
        """Commit ``jobs`` in one transaction and deliver them; wait for a database that is away while callers do.

        Raises:
            _LostRaceError: nothing was stored or delivered; the members must be settled one by one.
        """
        waiting = list(jobs)
        while waiting:
            try:
                self._commit(waiting)
            except _LostConnectionError as lost:
                self._disconnect()
                waiting = self._dismiss_impatient(waiting, lost)
                if waiting:
                    time.sleep(_RECONNECT_S)
            except _UnknownOutcomeError as lost:
                self._disconnect()
                for job in waiting:
                    job.error = TimedOutError("the database went away while it committed; the outcome is unknown")
                    job.error.__cause__ = lost.__cause__
                self._deliver(waiting)
                return
            else:
                self._deliver(waiting)
                return

    def _dismiss_impatient(self, jobs: Sequence[Job], lost: Exception) -> list[Job]:
        """Tell those who waited long enough; return the others."""
        patient: list[Job] = []
        impatient: list[Job] = []
        for job in jobs:
            (impatient if job.is_out_of_patience else patient).append(job)
        for job in impatient:
            job.error = UpstreamUnavailableError("the database is away; nothing was stored")
            job.error.__cause__ = lost.__cause__
        self._deliver(impatient)
        return patient

    def _commit(self, jobs: Sequence[Job]) -> None:
        """Run and commit ``jobs``; what the work of one raises is kept in that job."""
        try:
            self._run_and_commit(jobs, isolated=False)
        except _JobFailedError as failed:
            if len(jobs) == 1:
                jobs[0].error = failed.__cause__
            else:
                self._run_and_commit(jobs, isolated=True)

    def _run_and_commit(self, jobs: Sequence[Job], *, isolated: bool) -> None:
        connection = self._connected()
        try:
            transaction = connection.begin()
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise _LostConnectionError from error
        try:
            if isolated:
                for job in jobs:
                    _run_isolated(job, connection)
            else:
                _run(jobs, connection)
        except Exception:
            self._roll_back(transaction)
            raise
        crash.point("database.before_commit")
        try:
            transaction.commit()
        except sqlalchemy.exc.DBAPIError as error:
            self._roll_back(transaction)
            if error.connection_invalidated:
                raise _UnknownOutcomeError from error
            if fault_of(error) is Fault.AWAY:
                raise _LostConnectionError from error
            if len(jobs) > 1 or fault_of(error) is Fault.RACE:
                raise _LostRaceError from error
            raise _JobFailedError from error  # a constraint that is checked at the end of the transaction
        crash.point("database.after_commit")

    def _connected(self) -> Connection:
        if self._connection is None:
            try:
                self._connection = self._engine.connect()
            except sqlalchemy.exc.SQLAlchemyError as error:
                raise _LostConnectionError from error
        return self._connection

    def _roll_back(self, transaction: sqlalchemy.RootTransaction) -> None:
        try:
            transaction.rollback()
        except sqlalchemy.exc.SQLAlchemyError:
            # A connection that cannot even roll back is given up; the server rolls back when it notices.
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def _run(jobs: Sequence[Job], connection: Connection) -> None:
    late_writes = collecting(connection)
    try:
        for job in jobs:
            job.run(connection)
        late_writes.write(connection)
    except BaseException as error:
        _raise_unless_own_fault(error)
        raise _JobFailedError from error


def _run_isolated(job: Job, connection: Connection) -> None:
    try:
        connection.exec_driver_sql("SAVEPOINT job")
        late_writes = collecting(connection)
        job.run(connection)
        late_writes.write(connection)
        connection.exec_driver_sql("RELEASE SAVEPOINT job")
    except BaseException as error:  # noqa: BLE001 whatever a work raises belongs to its caller, not to this thread
        _raise_unless_own_fault(error)
        job.error = error
        try:
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT job")
            connection.exec_driver_sql("RELEASE SAVEPOINT job")
        except sqlalchemy.exc.DBAPIError as lost:
            raise _LostConnectionError from lost


def _raise_unless_own_fault(error: BaseException) -> None:
    match fault_of(error):
        case Fault.AWAY:
            raise _LostConnectionError from error
        case Fault.RACE:
            raise _LostRaceError from error
        case Fault.WORK:
            return
