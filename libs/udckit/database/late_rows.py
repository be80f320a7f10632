"""Rows that are inserted at the end of a transaction, all at once for everybody who shares its commit."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection

from udckit.database.statements import Insert
from udckit.errors import PreconditionError

_KEY: Final = "udckit.late_rows"


class LateRows:
    """What waits for the end of a transaction, in the order in which it came."""

    def __init__(self) -> None:
        self._rows: dict[Insert, list[Mapping[str, Any]]] = {}

    def add(self, statement: Insert, row: Mapping[str, Any]) -> None:
        """Have ``statement`` insert ``row``."""
        self._rows.setdefault(statement, []).append(row)

    def write(self, connection: Connection) -> None:
        """Insert what waits."""
        for statement, rows in self._rows.items():
            connection.execute(statement, rows)


def collecting(connection: Connection) -> LateRows:
    """Collect from now on what works on ``connection`` insert late, and forget what they did before."""
    rows = LateRows()
    connection.info[_KEY] = rows
    return rows


def insert_late(connection: Connection, statement: Insert, row: Mapping[str, Any]) -> None:
    """Insert ``row`` at the end of the transaction, in one go with the rows of all works that share its commit.

    That costs a fraction of a statement of its own. Rows of one statement are inserted in the order in which works hand
    them in; no work sees them, and an error in one fails the work it comes from.

    Args:
        connection: Of a work handed to ``Database.transact``.
        statement: Always the same object for the same table: rows are gathered by it.
        row: Values of the columns.

    Raises:
        PreconditionError: the connection is none on which works may write, or the work has opened a savepoint, which
            could be rolled back without the row.
    """
    rows: LateRows | None = connection.info.get(_KEY)
    if rows is None:
        raise PreconditionError("rows are inserted late only by a work of Database.transact")
    if connection.in_nested_transaction():
        raise PreconditionError("rows cannot be inserted late within a savepoint: it may be rolled back without them")
    rows.add(statement, row)
