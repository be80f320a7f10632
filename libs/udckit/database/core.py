"""The database of a service, seen from its coroutines."""

import asyncio
import contextvars
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import sqlalchemy.exc
from sqlalchemy import make_url

from udckit.database.committer import Committer, Jobs
from udckit.database.engines import READERS, Engines, engines_of
from udckit.database.faults import Fault, fault_of
from udckit.database.migrate import migrate
from udckit.database.work import PATIENCE_S, Job, Work
from udckit.errors import PreconditionError, UpstreamUnavailableError

T = TypeVar("T")

_RETRY_S: Final = 0.1


class Database:
    """Transactions on one database; made by ``opened``, used by the coroutines of one event loop.

    Attributes:
        instance: A new id for every opening; tells this process from its predecessors and from its replicas.
        is_exclusive: Whether no other process can use the database (SQLite).
        dialect: ``sqlite`` or ``postgresql``.
    """

    def __init__(self, engines: Engines) -> None:
        self.instance: Final = uuid.uuid4().hex
        self.is_exclusive: Final = engines.is_exclusive
        self.dialect: Final = engines.writer.dialect.name
        self._engines = engines
        self._loop = asyncio.get_running_loop()
        self._jobs: Jobs = Jobs()
        self._listeners: list[Callable[[], None]] = []
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="database-read")
        self._committers = [
            Committer(engines.writer, self._jobs, self._deliver, name=f"database-commit-{number}")
            for number in range(engines.committers)
        ]
        self._is_closed = False

    async def transact(self, work: Work[T]) -> T:
        """Run ``work`` in a transaction and return its result once that is durable.

        The commit is shared with other callers; an error of ``work`` undoes its own statements only and is raised
        here as it is, ``sqlalchemy.exc.IntegrityError`` among them. Cancelling the caller does not undo a work that has
        begun.

        Args:
            work: Statements on the connection it is given, and nothing else: it may run more than once.

        Raises:
            ConflictError: other transactions were in the way again and again; nothing was stored.
            PreconditionError: the database is closed.
            TimedOutError: the database went away during the commit; whether it was done is unknown.
            UpstreamUnavailableError: the database is away; nothing was stored.
        """
        if self._is_closed:
            raise PreconditionError("the database is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(Job(work, future))
        return await future

    async def read(self, work: Work[T]) -> T:
        """Run ``work`` on one snapshot of what is committed, in a transaction that cannot write.

        Raises:
            PreconditionError: the database is closed.
            UpstreamUnavailableError: the database is away.
        """
        if self._is_closed:
            raise PreconditionError("the database is closed")
        context = contextvars.copy_context()
        return await self._loop.run_in_executor(self._readers, context.run, self._read, work)

    def listen(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` in the event loop after each commit; return a function that ends this."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    def start(self, migrations: str | None) -> None:
        """Migrate and start the committers; blocks, so it runs in a thread."""
        if migrations is not None:
            with self._engines.writer.begin() as connection:
                migrate(connection, migrations)
        for committer in self._committers:
            committer.start()

    async def close(self) -> None:
        """Finish what has been handed in, then stop."""
        self._is_closed = True
        for _ in self._committers:
            self._jobs.put(None)
        for committer in self._committers:
            if committer.ident is not None:
                await asyncio.to_thread(committer.join)
        await asyncio.to_thread(self._readers.shutdown)

    def _read(self, work: Work[T]) -> T:
        gives_up_at = time.monotonic() + PATIENCE_S
        while True:
            try:
                with self._engines.reader.begin() as connection:
                    return work(connection)
            except sqlalchemy.exc.SQLAlchemyError as error:
                if fault_of(error, may_write=False) is Fault.WORK:
                    raise
                if time.monotonic() >= gives_up_at:
                    raise UpstreamUnavailableError("the database is away") from error
            except StopIteration as error:  # no future takes it, and whoever waits for one would wait for ever
                raise TypeError("work on the database raised StopIteration") from error
            time.sleep(_RETRY_S)

    def _deliver(self, jobs: Sequence[Job]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settled, jobs)

    def _settled(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            job.deliver()
        for listener in tuple(self._listeners):
            listener()


@asynccontextmanager
async def opened(url: str, *, migrations: str | None = None) -> AsyncIterator[Database]:
    """Open the database at ``url``, bring it to its newest schema, and close it at the end.

    Args:
        url: ``sqlite:////path/to/file.db`` or ``postgresql+psycopg://user:password@host/database``.
        migrations: Package whose folder ``versions`` holds Alembic revisions, such as ``study_router.migrations``;
            the first of them calls ``udckit.plumbing_tables.create_plumbing_tables_v1``.

    Raises:
        InvalidRequestError: no such kind of database.
        PreconditionError: the SQLite file is in use by another process.
        UpstreamUnavailableError: the database is away.
    """
    with engines_of(make_url(url)) as engines:
        database = Database(engines)
        try:
            await asyncio.to_thread(_start_patiently, database, migrations)
            yield database
        finally:
            await database.close()


def _start_patiently(database: Database, migrations: str | None) -> None:
    gives_up_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            database.start(migrations)
        except sqlalchemy.exc.DBAPIError as error:
            if fault_of(error) is Fault.WORK:
                raise
            if time.monotonic() >= gives_up_at:
                raise UpstreamUnavailableError("the database is away") from error
            time.sleep(_RETRY_S)
        else:
            return
