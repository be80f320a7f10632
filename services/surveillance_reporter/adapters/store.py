"""Transactions of the use cases on the database."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, select

from surveillance_reporter.adapters.journal import SqlJournal
from surveillance_reporter.adapters.tables import COUNTING
from surveillance_reporter.adapters.tally import SqlTally
from surveillance_reporter.ports import Journal, Tally, Transaction
from udckit.database import Database

T = TypeVar("T")


class SqlTransaction:
    """``ports.Transaction`` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self.journal: Journal = SqlJournal(connection)
        self.tally: Tally = SqlTally(connection)
        self._connection = connection

    def lock(self) -> None:
        """Let nobody else journal or count until this transaction ends; on SQLite nobody can anyway."""
        self._connection.execute(select(COUNTING.c.id).with_for_update())


class SqlStore:
    """``ports.Store`` on the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` and return its result once it is durable."""
        return await self._database.transact(lambda connection: work(SqlTransaction(connection)))

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` on one snapshot; it cannot write."""
        return await self._database.read(lambda connection: work(SqlTransaction(connection)))
