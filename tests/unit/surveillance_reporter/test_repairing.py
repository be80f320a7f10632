"""What is missing is asked for again: with an end, but never given up because somebody was away."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar, cast

import pytest

from surveillance_reporter.ports import Gap, Transaction
from surveillance_reporter.usecases.repairing import RepairGaps
from udckit.errors import NotFoundError, UpstreamUnavailableError
from unit.surveillance_reporter.histories import NOON, ROUTER, SERVING

T = TypeVar("T")


@dataclass
class Outbox:
    """A producer that keeps the events from ``oldest`` on."""

    oldest: int = 1
    is_away: bool = False
    calls: list[tuple[int, int]] = field(default_factory=list)

    async def republish(self, first: int, last: int) -> int:
        if self.is_away:
            raise UpstreamUnavailableError("away")
        self.calls.append((first, last))
        if first < self.oldest:
            raise NotFoundError("no longer kept")
        return last - first + 1

    @property
    def published(self) -> set[int]:
        return {number for first, last in self.calls if first >= self.oldest for number in range(first, last + 1)}


@dataclass
class GivenUp:
    """A store of which only the list of what was given up is asked."""

    gaps: list[Gap] = field(default_factory=list)

    @property
    def journal(self) -> "GivenUp":
        return self

    def give_up(self, gap: Gap, *, at: datetime) -> None:
        assert at == NOON
        self.gaps.append(gap)

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        return work(cast("Transaction", self))

    async def read(self, work: Callable[[Transaction], T]) -> T:
        return work(cast("Transaction", self))


class Noon:
    def now(self) -> datetime:
        return NOON


@dataclass
class World:
    """A repair, its surroundings and a clock that stands still until it is moved."""

    outbox: Outbox = field(default_factory=Outbox)
    lost: GivenUp = field(default_factory=GivenUp)
    notes: list[tuple[Gap, str]] = field(default_factory=list)
    seconds: float = 1000.0

    def __post_init__(self) -> None:
        self.repair = RepairGaps(
            producers={ROUTER: self.outbox},
            store=self.lost,
            clock=Noon(),
            elapsed=lambda: self.seconds,
            note=lambda gap, reason: self.notes.append((gap, reason)),
            most_answers=3,
            pauses_s=(20.0, 60.0),
            asked_at_once=10,
        )


async def test_what_is_missing_is_asked_for_in_parts_the_newest_first() -> None:
    world = World()

    await world.repair(ROUTER, 7, 30)

    assert world.outbox.calls == [(21, 30), (11, 20), (7, 10)]


async def test_it_is_not_asked_for_again_before_it_had_time_to_arrive() -> None:
    world = World()

    await world.repair(ROUTER, 7, 8)
    world.seconds += 19
    await world.repair(ROUTER, 7, 8)
    assert len(world.outbox.calls) == 1

    world.seconds += 2
    await world.repair(ROUTER, 7, 8)
    assert len(world.outbox.calls) == 2


async def test_asking_has_an_end_when_the_producer_answers_and_nothing_arrives() -> None:
    world = World()

    for _ in range(10):
        await world.repair(ROUTER, 7, 8)
        world.seconds += 1000

    assert len(world.outbox.calls) == 3
    assert world.repair.standing([Gap(ROUTER, 7, 8)]) == [Gap(ROUTER, 7, 8)]


async def test_a_producer_that_is_away_is_asked_until_it_is_back() -> None:
    world = World(outbox=Outbox(is_away=True))
    for _ in range(10):
        await world.repair(ROUTER, 7, 8)
        world.seconds += 1000
    assert world.repair.standing([Gap(ROUTER, 7, 8)]) == [Gap(ROUTER, 7, 8)]
    assert set(world.notes) == {(Gap(ROUTER, 7, 8), "UPSTREAM_UNAVAILABLE")}

    world.outbox.is_away = False
    await world.repair(ROUTER, 7, 8)

    assert world.outbox.published == {7, 8}


async def test_a_producer_of_unknown_address_is_noted() -> None:
    world = World()

    await world.repair(SERVING, 7, 8)

    assert [gap for gap, _ in world.notes] == [Gap(SERVING, 7, 8)]
    assert world.repair.standing([Gap(SERVING, 7, 8)]) == [Gap(SERVING, 7, 8)]


@pytest.mark.parametrize("oldest", [8, 13, 20, 21, 25, 30])
async def test_what_is_still_kept_is_saved_and_the_rest_is_noted_as_lost(oldest: int) -> None:
    world = World(outbox=Outbox(oldest=oldest))

    with pytest.raises(NotFoundError):
        await world.repair(ROUTER, 1, 30)

    assert world.outbox.published == set(range(oldest, 31))
    assert world.lost.gaps == [Gap(ROUTER, 1, oldest - 1)]


async def test_when_nothing_is_kept_all_is_lost() -> None:
    world = World(outbox=Outbox(oldest=100))

    with pytest.raises(NotFoundError):
        await world.repair(ROUTER, 1, 30)

    assert world.lost.gaps == [Gap(ROUTER, 1, 30)]


async def test_a_gap_that_closed_does_not_stand_and_is_forgotten() -> None:
    world = World(outbox=Outbox(is_away=True))
    await world.repair(ROUTER, 7, 8)

    assert world.repair.standing([]) == []
    world.outbox.is_away = False
    await world.repair(ROUTER, 7, 8)

    assert world.outbox.calls == [(7, 8)]
