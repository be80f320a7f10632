"""How much the serving replicas can take, from what they tell about themselves."""

from collections.abc import Mapping

from google.protobuf.message import DecodeError

from udc.router.v1 import registry_pb2
from udckit.presence import Roster


class RosterPools:
    """``ports.Pools`` on the roster of replicas."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    async def slots(self) -> Mapping[str, int]:
        """Return the slots of each pool; a pool that is not heard of has none."""
        slots: dict[str, int] = {}
        for content in self._roster.items().values():
            try:
                told = registry_pb2.PoolSlots.FromString(content)
            except DecodeError:
                continue  # a replica that speaks another language takes no work from us
            slots[told.pool] = slots.get(told.pool, 0) + told.slots
        return slots
