"""How much the serving replicas can take, from what they tell about themselves."""

from collections.abc import Callable, Collection, Iterator, Mapping

from google.protobuf.message import DecodeError

from study_router.domain.queue import PoolOffer
from udc.router.v1 import registry_pb2
from udckit.presence import Roster


class RosterPools:
    """``ports.Pools`` on the roster of replicas.

    Args:
        roster: What they tell.
        can_hear: Whether the broker is there, through which they tell it.
    """

    def __init__(self, roster: Roster, *, can_hear: Callable[[], bool]) -> None:
        self._roster = roster
        self._can_hear = can_hear

    async def offers(self) -> Mapping[str, PoolOffer]:
        """Return what each pool can take; one that is not heard of is not there."""
        offers: dict[str, PoolOffer] = {}
        for told in self._told():
            if not told.slots:
                continue  # it only says why it takes nothing
            offer = PoolOffer(
                slots=told.slots,
                archives_away=frozenset(told.archives_away),
                not_activated=frozenset((name.device, name.version) for name in told.not_activated),
            )
            known = offers.get(told.pool)
            offers[told.pool] = offer if known is None else known.with_replica(offer)
        return offers

    async def held_up(self) -> Collection[str] | None:
        """Return the pools of which a replica says that it waits for something away; None while none can be heard."""
        if not self._can_hear():
            return None
        return {told.pool for told in self._told() if told.waiting_for}

    def _told(self) -> Iterator[registry_pb2.PoolSlots]:
        for content in self._roster.items().values():
            try:
                yield registry_pb2.PoolSlots.FromString(content)
            except DecodeError:
                continue  # a replica that speaks another language takes no work from us
