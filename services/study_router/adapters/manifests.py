"""Keeps the manifests of all device versions where model serving reads them."""

import asyncio
from dataclasses import dataclass

from study_router.ports import Store
from study_router.usecases.registering import PutObject
from udckit.roles import Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepingManifests:
    """Puts every manifest again from time to time: objects are forgotten after some weeks, and versions live for years.

    Attributes:
        store: Transactions.
        put: Stores an object; changes nothing while it is new enough.
        every_s: Pause between two rounds.
    """

    store: Store
    put: PutObject
    every_s: float

    async def run(self, lease: Lease) -> None:  # noqa: ARG002 writes nothing that another holder could spoil
        """Put them for as long as the lease is ours; never returns."""
        while True:
            await self.keep()
            await asyncio.sleep(self.every_s)

    async def keep(self) -> None:
        """Put all manifests once."""
        for device in await self.store.read(lambda transaction: transaction.registry.devices()):
            await self.put(device.manifest)
