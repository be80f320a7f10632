"""How much the serving replicas can take, from what they tell about themselves."""

from collections.abc import Mapping

from google.protobuf.message import DecodeError

from study_router.domain.queue import PoolOffer
from udc.router.v1 import registry_pb2
from udckit.presence import Roster


class RosterPools:
    """``ports.Pools`` on the roster of replicas."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    async def offers(self) -> Mapping[str, PoolOffer]:
        """Return what each pool can take; one that is not heard of is not there."""
        offers: dict[str, PoolOffer] = {}
        for content in self._roster.items().values():
            try:
                told = registry_pb2.PoolSlots.FromString(content)
            except DecodeError:
                continue  # a replica that speaks another language takes no work from us
            offer = PoolOffer(
                slots=told.slots,
                archives_away=frozenset(told.archives_away),
                not_activated=frozenset((name.device, name.version) for name in told.not_activated),
            )
            known = offers.get(told.pool)
            offers[told.pool] = offer if known is None else known.with_replica(offer)
        return offers
