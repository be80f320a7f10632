"""Whose fault it is that a statement failed."""

import sqlite3

import psycopg.errors
import pytest
import sqlalchemy.exc

from udckit.database.faults import Fault, fault_of


def wrapped(error: Exception, kind: type[sqlalchemy.exc.DBAPIError] = sqlalchemy.exc.OperationalError) -> Exception:
    return kind("SELECT 1", {}, error)


def sqlite_error(code: int) -> Exception:
    error = sqlite3.OperationalError("?")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (wrapped(psycopg.errors.UniqueViolation(), sqlalchemy.exc.IntegrityError), Fault.WORK),
        (wrapped(psycopg.errors.UndefinedTable(), sqlalchemy.exc.ProgrammingError), Fault.WORK),
        (wrapped(psycopg.errors.QueryCanceled()), Fault.WORK),
        (wrapped(psycopg.errors.DeadlockDetected()), Fault.RACE),
        (wrapped(psycopg.errors.SerializationFailure()), Fault.RACE),
        (wrapped(psycopg.errors.AdminShutdown()), Fault.AWAY),
        (wrapped(psycopg.errors.DiskFull()), Fault.AWAY),
        (wrapped(psycopg.errors.TooManyConnections()), Fault.AWAY),
        (wrapped(psycopg.errors.ReadOnlySqlTransaction()), Fault.AWAY),
        (wrapped(psycopg.OperationalError("connection refused")), Fault.AWAY),
        (wrapped(sqlite_error(sqlite3.SQLITE_FULL)), Fault.AWAY),
        (wrapped(sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT)), Fault.AWAY),
        (wrapped(sqlite_error(sqlite3.SQLITE_IOERR_FSYNC)), Fault.AWAY),
        (wrapped(sqlite_error(sqlite3.SQLITE_READONLY)), Fault.AWAY),
        (wrapped(sqlite_error(sqlite3.SQLITE_CONSTRAINT_UNIQUE)), Fault.WORK),
        (wrapped(sqlite_error(sqlite3.SQLITE_ERROR)), Fault.WORK),
        (sqlalchemy.exc.TimeoutError(), Fault.AWAY),
        (ValueError("a bug"), Fault.WORK),
    ],
)
def test_the_fault_is_told_from_the_driver_s_error(error: Exception, fault: Fault) -> None:
    assert fault_of(error) is fault


@pytest.mark.parametrize(
    "error", [wrapped(psycopg.errors.ReadOnlySqlTransaction()), wrapped(sqlite_error(sqlite3.SQLITE_READONLY))]
)
def test_writing_in_a_transaction_that_only_reads_is_the_works_own_fault(error: Exception) -> None:
    assert fault_of(error, may_write=False) is Fault.WORK
