"""What is written at the end of a transaction, all at once for everybody who shares its commit."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from udckit.errors import PreconditionError

T = TypeVar("T")

_KEY: Final = "udckit.late_writes"


class LateWrites:
    """What waits for the end of a transaction, in the order in which it came."""

    def __init__(self) -> None:
        self._items: dict[Callable[[Connection, Sequence[Any]], None], list[Any]] = {}

    def add(self, write: Callable[[Connection, Sequence[T]], None], item: T) -> None:
        """Have ``write`` write ``item``."""
        self._items.setdefault(write, []).append(item)

    def write(self, connection: Connection) -> None:
        """Write what waits."""
        for write, items in self._items.items():
            write(connection, items)


def collecting(connection: Connection) -> LateWrites:
    """Collect from now on what works on ``connection`` write late, and forget what they handed in before."""
    waiting = LateWrites()
    connection.info[_KEY] = waiting
    return waiting


def write_late(connection: Connection, write: Callable[[Connection, Sequence[T]], None], item: T) -> None:
    """Have ``write`` write ``item`` at the end of the transaction, with those of all works that share its commit.

    That costs a fraction of a statement of its own. Items of one ``write`` keep the order in which they are handed in;
    no work sees what they become, and an error in writing one fails the work that it comes from.

    Args:
        connection: Of a work handed to ``Database.transact``.
        write: Writes any number of items; always the same function for the same kind, for they are gathered by it.
        item: What to write.

    Raises:
        PreconditionError: the connection is none on which works may write, or the work has opened a savepoint, which
            could be rolled back without the item.
    """
    waiting: LateWrites | None = connection.info.get(_KEY)
    if waiting is None:
        raise PreconditionError("only by a work of Database.transact is anything written late")
    if connection.in_nested_transaction():
        raise PreconditionError("nothing can be written late within a savepoint: it may be rolled back without it")
    waiting.add(write, item)
