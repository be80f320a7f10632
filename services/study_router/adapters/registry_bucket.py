"""Keeps the replicated registry equal to the database."""

import asyncio
from collections.abc import Sequence

from sqlalchemy import Connection, select

from study_router.adapters.registry_store import SqlRegistry
from udckit import subjects
from udckit.bus import Bus
from udckit.database import Database
from udckit.plumbing_tables import LEASES
from udckit.replica import ReplicaRow, replica_writer
from udckit.roles import Lease, LostLeaseError


class RegistryPublisher:
    """Writes every record with its revision, and beats; run by the holder of a role."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look for changed records now."""
        self._woken.set()

    async def run(self, lease: Lease) -> None:
        """Write for as long as the lease is ours; never returns."""
        done: dict[str, int] = {}

        def read(connection: Connection) -> list[ReplicaRow]:
            # Whoever lost the role must not beat: readers would trust a copy that nobody keeps any more.
            require_current(connection, lease)
            return [
                ReplicaRow(key=key, revision=revision, body=content)
                for key, revision, content in SqlRegistry(connection).records()
                if done.get(key, 0) < revision
            ]

        async def pending() -> Sequence[ReplicaRow]:
            return await self._database.read(read)

        async def written(rows: Sequence[ReplicaRow]) -> None:
            done.update({row.key: row.revision for row in rows})

        async with replica_writer(self._bus, subjects.BUCKET_REGISTRY) as writer:
            await writer.keep_written(pending, written, woken=self._woken)


def require_current(connection: Connection, lease: Lease) -> None:
    """Make sure that ``lease`` is current, in a transaction that only reads.

    Raises:
        LostLeaseError: the role belongs to another process.
    """
    epoch = connection.execute(select(LEASES.c.epoch).where(LEASES.c.role == lease.role)).scalar_one_or_none()
    if epoch != lease.epoch:
        raise LostLeaseError(f"the role {lease.role} belongs to another process", role=lease.role)
