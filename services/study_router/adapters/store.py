"""Transactions of the use cases on the database."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection

from study_router.adapters import measures
from study_router.adapters.announcing import announce
from study_router.adapters.backfills_store import SqlBackfills
from study_router.adapters.intake_store import SqlIntake
from study_router.adapters.jobs_store import SqlJobs
from study_router.adapters.registry_store import SqlRegistry
from study_router.adapters.senders_store import SqlSenders
from study_router.adapters.studies_store import SqlStudies
from study_router.adapters.sweeps_store import SqlSweeps
from study_router.domain.announcements import Announcement
from study_router.ports import Transaction
from udckit import audit
from udckit.database import Database
from udckit.errors import Fact
from udckit.roles import Lease, guard
from udckit.security.identity import current_identity

T = TypeVar("T")


class SqlTransaction:
    """``ports.Transaction`` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self.jobs = SqlJobs(connection)
        self.studies = SqlStudies(connection)
        self.intake = SqlIntake(connection)
        self.sweeps = SqlSweeps(connection)
        self.registry = SqlRegistry(connection)
        self.backfills = SqlBackfills(connection)
        self.senders = SqlSenders(connection)
        self.announced: list[Announcement] = []
        self._connection = connection

    def announce(self, announcement: Announcement) -> None:
        """Add to the outbox; published after commit, once."""
        announce(self._connection, announcement)
        self.announced.append(announcement)

    def audit(self, *, action: str, subject: str, at: datetime, **facts: Fact) -> None:
        """Add to the audit trail what the caller did."""
        audit.append(
            self._connection,
            actor=current_identity().actor,
            action=action,
            subject=subject,
            facts=facts,
            at=at,
        )


class SqlStore:
    """``ports.Store`` on the database; with a lease, every write is guarded by it."""

    def __init__(self, database: Database, *, lease: Lease | None = None) -> None:
        self._database = database
        self._lease = lease

    def under(self, lease: Lease) -> "SqlStore":
        """Return a store whose writes fail once ``lease`` belongs to another process."""
        return SqlStore(self._database, lease=lease)

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` and return its result once it is durable."""

        def guarded(connection: Connection) -> tuple[T, Sequence[Announcement]]:
            if self._lease is not None:
                guard(connection, self._lease)
            transaction = SqlTransaction(connection)
            return work(transaction), transaction.announced

        result, announced = await self._database.transact(guarded)
        measures.count(announced)
        return result

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` on one snapshot; it cannot write."""
        return await self._database.read(lambda connection: work(SqlTransaction(connection)))
