"""How connections to SQLite and PostgreSQL are made."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Engine, NullPool, QueuePool, create_engine, event

from udckit.errors import InvalidRequestError, PreconditionError

READERS: Final = 4
_POSTGRESQL_COMMITTERS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """Where connections come from.

    Attributes:
        writer: Connections whose transactions may write; one per committer.
        reader: Connections whose transactions see one snapshot and cannot write.
        committers: How many threads commit.
        is_exclusive: Whether this process is the only one that uses the database.
    """

    writer: Engine
    reader: Engine
    committers: int
    is_exclusive: bool


@contextmanager
def engines_of(url: URL) -> Iterator[Engines]:
    """Open the database at ``url``; nothing connects yet.

    Raises:
        InvalidRequestError: neither a SQLite file nor PostgreSQL with psycopg.
        PreconditionError: another process uses this SQLite file.
    """
    match url.drivername:
        case "sqlite" | "sqlite+pysqlite":
            if url.database in (None, "", ":memory:"):
                raise InvalidRequestError("a SQLite database is a file: sqlite:////path/to/file.db")
            with _locked(Path(str(url.database))):
                yield from _disposing(_sqlite(url))
        case "postgresql+psycopg":
            yield from _disposing(_postgresql(url))
        case other:
            raise InvalidRequestError(
                f"no database driver {other}: use sqlite:////path/to/file.db or postgresql+psycopg://user@host/database"
            )


def _disposing(engines: Engines) -> Iterator[Engines]:
    try:
        yield engines
    finally:
        engines.reader.dispose()
        engines.writer.dispose()


def _postgresql(url: URL) -> Engines:
    settings: dict[str, Any] = {
        "connect_timeout": 5,
        # Without it a peer that vanished holds a committer until the kernel gives up, after about a quarter of an hour.
        "tcp_user_timeout": 10_000,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "options": "-c statement_timeout=30s -c idle_in_transaction_session_timeout=60s -c timezone=UTC",
    }
    engine = create_engine(
        url,
        connect_args=settings,
        poolclass=QueuePool,
        pool_size=READERS + _POSTGRESQL_COMMITTERS,
        max_overflow=1,  # for the migration at the start
        pool_timeout=5,
    )
    return Engines(
        writer=engine,
        reader=engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True),
        committers=_POSTGRESQL_COMMITTERS,
        is_exclusive=False,
    )


def _sqlite(url: URL) -> Engines:
    # One connection writes and checkpoints. Before 3.51.3 a WAL that two connections reset at once could be corrupted.
    writer = create_engine(url, poolclass=NullPool, connect_args={"check_same_thread": False})
    _set_up(writer, begin="BEGIN IMMEDIATE", pragmas=("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"))
    reader = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=READERS,
        max_overflow=0,
        pool_timeout=5,
        connect_args={"check_same_thread": False},
    )
    _set_up(reader, begin="BEGIN", pragmas=("query_only=ON", "wal_autocheckpoint=0"))
    return Engines(writer=writer, reader=reader, committers=1, is_exclusive=True)


def _set_up(engine: Engine, *, begin: str, pragmas: tuple[str, ...]) -> None:
    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        # The driver would begin transactions by itself, and commit before DDL.
        connection.isolation_level = None
        for pragma in ("busy_timeout=10000", *pragmas):
            connection.execute(f"PRAGMA {pragma}")

    def begin_transaction(connection: Any) -> None:
        connection.execute(begin)

    # Not by the event "begin": an engine with a listener looks for more at each statement, a quarter of its cost.
    engine.dialect.do_begin = begin_transaction  # type: ignore[method-assign, assignment]  # by default it does nothing


@contextmanager
def _locked(database: Path) -> Iterator[None]:
    """Hold ``<database>.lock`` for as long as this process uses the database.

    A lock on the database file itself would be lost as soon as anybody in this process opened and closed that file.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(f"{database}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(descriptor, 32).decode(errors="replace").strip()
            raise PreconditionError(
                f"{database} is in use by process {owner}; a SQLite database serves one process,"
                " use PostgreSQL for several replicas"
            ) from error
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)
