"""What an error of the database means: the work's fault, a lost race, or a database that is away."""

from enum import Enum, auto
from typing import Final

import sqlalchemy.exc

_LOST_RACES: Final = frozenset({"40001", "40P01"})
"""serialization_failure, deadlock_detected (PostgreSQL, appendix A)."""

_AWAY_CLASSES: Final = frozenset({"08", "53", "57", "58"})
"""Connection exception, insufficient resources (disk full), operator intervention (shutdown), system error."""

_READ_ONLY: Final = "25006"
"""read_only_sql_transaction: after a failover this connection still points at what is now a standby."""

_CANCELED: Final = "57014"
"""query_canceled: the statement took too long; the fault of the work, not of the server."""

_SQLITE_AWAY: Final = frozenset({5, 6, 10, 13, 14})
"""BUSY, LOCKED, IOERR, FULL, CANTOPEN: primary result codes."""

_SQLITE_READ_ONLY: Final = 8
"""READONLY: the file system has become read-only."""


class Fault(Enum):
    """Whose fault it is that a statement failed."""

    WORK = auto()
    """The work's own: repeating it changes nothing."""
    RACE = auto()
    """Another transaction was in the way; the same work succeeds when done again."""
    AWAY = auto()
    """The database cannot be reached or cannot write."""


def fault_of(error: BaseException, *, may_write: bool = True) -> Fault:
    """Return whose fault ``error`` is; anything that is not an error of a database driver is the work's.

    Args:
        error: What a statement raised.
        may_write: Whether the transaction was one that may write; in another, writing is the work's fault.
    """
    if isinstance(error, sqlalchemy.exc.TimeoutError):  # no free connection in the pool
        return Fault.AWAY
    if not isinstance(error, sqlalchemy.exc.DBAPIError):
        return Fault.WORK
    if error.connection_invalidated:
        return Fault.AWAY
    state: str | None = getattr(error.orig, "sqlstate", None)
    if state is not None:
        if state in _LOST_RACES:
            return Fault.RACE
        is_away = (state[:2] in _AWAY_CLASSES and state != _CANCELED) or (may_write and state == _READ_ONLY)
        return Fault.AWAY if is_away else Fault.WORK
    code: int | None = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        primary = code & 0xFF
        is_away = primary in _SQLITE_AWAY or (may_write and primary == _SQLITE_READ_ONLY)
        return Fault.AWAY if is_away else Fault.WORK
    # psycopg gives no SQLSTATE to a connection that was refused or broke.
    return Fault.AWAY if isinstance(error, sqlalchemy.exc.OperationalError) else Fault.WORK
