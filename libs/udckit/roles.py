"""Roles: work that exactly one process does at a time, held by a lease in the database.

A lease bounds who *begins* work. What protects the data is its epoch: a process that was frozen and wakes up after
its lease went to another one fails at the first write it guards.
"""

import asyncio
import contextvars
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import Connection, select, text, update

from udckit.database import Database, insert
from udckit.errors import PASSING, ConflictError, ServiceError
from udckit.plumbing_tables import LEASES
from udckit.tasks import ended, is_asked_to_end

log: Final = structlog.get_logger()

LEASE_S: Final = 10.0
"""How long a process that vanished keeps others from its role."""

_CANCEL_AGAIN_S: Final = 1.0
_FAILURE_PAUSES_S: Final = (1.0, 5.0, 30.0)

_CLOCKS: Final = {
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())",
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
}


class LostLeaseError(ConflictError):
    """The role belongs to another process now; nothing was written."""

    reason = "LOST_LEASE"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act in a role.

    Attributes:
        role: Such as ``relay``.
        holder: This process and this holding.
        epoch: Rises with every new holder.
    """

    role: str
    holder: str
    epoch: int


Run = Callable[[Lease], Awaitable[None]]


def guard(connection: Connection, lease: Lease) -> None:
    """Make sure that ``lease`` is current for as long as this transaction lasts.

    Raises:
        LostLeaseError: the role belongs to another process.
    """
    # The shared lock makes a successor wait until this transaction is committed.
    current = connection.execute(
        select(LEASES.c.epoch).where(LEASES.c.role == lease.role).with_for_update(read=True)
    ).scalar_one_or_none()
    if current != lease.epoch:
        raise LostLeaseError(f"the role {lease.role} belongs to another process", role=lease.role, epoch=lease.epoch)


@asynccontextmanager
async def holding(
    database: Database, role: str, run: Run, *, lease_s: float = LEASE_S
) -> AsyncIterator[asyncio.Task[None]]:
    """Run ``run`` in the background whenever this process holds ``role``, until the block ends.

    ``run`` is cancelled when the lease is lost. When it fails it is run again after a pause, under the same lease.
    When it returns, this process gives the role up for good.

    Args:
        database: Keeps the lease.
        role: Name of the role.
        run: What the holder does; guards its writes with the lease it is given.
        lease_s: How long a process that vanished keeps others from the role.

    Yields:
        The background task, which ends only when ``run`` returns.
    """
    holder = _Holder(database, role, run, lease_s)
    # A context of its own: otherwise everything the role ever does would belong to the trace that started it.
    task = asyncio.create_task(holder.keep(), name=f"role:{role}", context=contextvars.Context())
    try:
        yield task
    finally:
        await ended(task, again_s=_CANCEL_AGAIN_S)


class _Holder:
    """Acquires, renews and gives up one role."""

    def __init__(self, database: Database, role: str, run: Run, lease_s: float) -> None:
        self._database = database
        self._role = role
        self._run = run
        self._lease_s = lease_s
        self._name = f"{database.instance}/{uuid.uuid4().hex[:8]}"

    async def keep(self) -> None:
        while True:
            asked_at = time.monotonic()
            lease = await self._acquire()
            if lease is None:
                await asyncio.sleep(self._lease_s / 4)
                continue
            log.info("role.acquired", role=self._role, epoch=lease.epoch)
            try:
                if await self._act(lease, asked_at):
                    return
            finally:
                await asyncio.shield(self._give_up(lease))

    async def _act(self, lease: Lease, asked_at: float) -> bool:
        """Run and renew until one of the two ends; say whether the work is finished."""
        acting = asyncio.create_task(self._run_again_and_again(lease), name=f"act:{self._role}")
        renewing = asyncio.create_task(self._renew(lease, asked_at), name=f"renew:{self._role}")
        try:
            await asyncio.wait([acting, renewing], return_when=asyncio.FIRST_COMPLETED)
            return acting.done() and acting.result()
        finally:
            await ended(acting, renewing, again_s=_CANCEL_AGAIN_S / 5)  # sooner than who waits for us

    async def _run_again_and_again(self, lease: Lease) -> bool:
        """Run until it returns, and say so, or until the lease turns out to be lost."""
        failures = 0
        while True:
            try:
                await self._run(lease)
            except LostLeaseError:
                log.warning("role.fenced", role=self._role, epoch=lease.epoch)
                return False
            except ServiceError as error:
                level = log.warning if error.kind in PASSING else log.error
                level("role.failed", role=self._role, reason=error.reason, error=error.message, facts=error.facts)
            except asyncio.CancelledError:
                if is_asked_to_end():
                    raise
                log.exception("role.crashed", role=self._role)
            except Exception:
                log.exception("role.crashed", role=self._role)
            else:
                return True
            await asyncio.sleep(_FAILURE_PAUSES_S[min(failures, len(_FAILURE_PAUSES_S) - 1)])
            failures += 1

    async def _acquire(self) -> Lease | None:
        try:
            epoch = await self._database.transact(self._take)
        except ServiceError as error:
            log.warning("role.not_acquired", role=self._role, reason=error.reason)
            return None
        except Exception:  # whatever it was: a process that stopped asking would leave the role to nobody
            log.exception("role.not_acquired", role=self._role)
            return None
        return None if epoch is None else Lease(self._role, self._name, epoch)

    async def _renew(self, lease: Lease, asked_at: float) -> None:
        """Return when the lease is lost, or may be."""
        while True:
            ends_at = asked_at + self._lease_s
            await asyncio.sleep(self._lease_s / 4)
            asked_at_next = time.monotonic()
            try:
                async with asyncio.timeout(ends_at - asked_at_next):
                    renewed = await self._database.transact(lambda connection: self._extend(connection, lease))
            except TimeoutError:
                log.warning("role.lapsed", role=self._role, epoch=lease.epoch)
                return
            except ServiceError as error:
                log.warning("role.not_renewed", role=self._role, reason=error.reason)
                continue
            except Exception:
                log.exception("role.not_renewed", role=self._role)
                continue
            if not renewed:
                log.warning("role.lost", role=self._role, epoch=lease.epoch)
                return
            asked_at = asked_at_next

    async def _give_up(self, lease: Lease) -> None:
        try:
            await self._database.transact(
                lambda connection: connection.execute(
                    update(LEASES)
                    .where(LEASES.c.role == lease.role, LEASES.c.epoch == lease.epoch)
                    .values(expires_at=0.0)
                )
            )
        except ServiceError as error:  # then it lapses by itself
            log.warning("role.not_given_up", role=self._role, reason=error.reason)
        except Exception:
            log.exception("role.not_given_up", role=self._role)

    def _take(self, connection: Connection) -> int | None:
        """Take the role if nobody holds it, and return the new epoch."""
        now = _database_time(connection)
        is_free = LEASES.c.expires_at <= now
        if self._database.is_exclusive:  # whoever held it before this process was started is gone
            is_free |= LEASES.c.holder.not_like(f"{self._database.instance}/%")
        taking = insert(LEASES, dialect=connection.dialect.name).values(
            role=self._role, holder=self._name, epoch=1, expires_at=now + self._lease_s
        )
        return connection.execute(
            taking.on_conflict_do_update(
                index_elements=[LEASES.c.role],
                set_={"holder": self._name, "epoch": LEASES.c.epoch + 1, "expires_at": now + self._lease_s},
                where=is_free,
            ).returning(LEASES.c.epoch)
        ).scalar_one_or_none()

    def _extend(self, connection: Connection, lease: Lease) -> bool:
        extended = connection.execute(
            update(LEASES)
            .where(LEASES.c.role == lease.role, LEASES.c.epoch == lease.epoch)
            .values(expires_at=_database_time(connection) + self._lease_s)
        )
        return extended.rowcount == 1


def _database_time(connection: Connection) -> float:
    """Return the database's clock, which is one for all replicas, in seconds since 1970."""
    return float(connection.execute(text(_CLOCKS[connection.dialect.name])).scalar_one())
