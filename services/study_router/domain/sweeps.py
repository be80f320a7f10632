"""How an archive that only answers queries is swept: what is looked at, how often, and how far that has come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from enum import StrEnum, unique
from typing import Final

from study_router.domain.listings import Span

_CLOCKS_APART: Final = timedelta(hours=6)
"""A sender's clock may show the time of another zone, and what was begun before midnight comes after it."""
_HALF_A_DAY: Final = timedelta(hours=12)


@unique
class Reach(StrEnum):
    """What a sweep looks at."""

    OPEN = "OPEN"
    """Studies that are open in the index, by name."""
    DATED = "DATED"
    """Studies by Study Date (0008,0020)."""
    UNDATED = "UNDATED"
    """Studies that a query by date or time of day does not find, because they have none: everything is listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One line of the table of sweeps.

    Attributes:
        name: What it is called; its progress is kept under that name.
        reach: What it looks at.
        every: From the beginning of one sweep to that of the next.
        days: How many days before today it reaches back, when it goes by date.
        at_hour: Local hour at which it begins, after the first time; None for any.
    """

    name: str
    reach: Reach
    every: timedelta
    days: int = 0
    at_hour: int | None = None

    def next_at(self, began_at: datetime, zone: tzinfo) -> datetime:
        """Return when the sweep after the one that began at ``began_at`` begins."""
        if self.at_hour is None:
            return began_at + self.every
        # By the clock on the wall: half a day of room makes up for a first sweep at any hour.
        earliest = (began_at + self.every - _HALF_A_DAY).astimezone(zone)
        wanted = datetime.combine(earliest.date(), time(self.at_hour), tzinfo=zone)
        return (wanted if wanted >= earliest else wanted + timedelta(days=1)).astimezone(UTC)

    def window(self, now: datetime, zone: tzinfo) -> Span:
        """Return the days that a sweep by date looks at."""
        first = (now - _CLOCKS_APART).astimezone(zone).date() - timedelta(days=self.days)
        return Span(first, (now + _CLOCKS_APART).astimezone(zone).date())


DEFAULT_TIERS: Final = (
    Tier(name="open", reach=Reach.OPEN, every=timedelta(seconds=5)),
    Tier(name="today", reach=Reach.DATED, every=timedelta(minutes=1)),
    Tier(name="week", reach=Reach.DATED, every=timedelta(hours=1), days=7),
    Tier(name="sixty_days", reach=Reach.DATED, every=timedelta(days=1), days=60, at_hour=2),
    Tier(name="undated", reach=Reach.UNDATED, every=timedelta(days=1), at_hour=2),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """How far a tier has come in an archive.

    Attributes:
        archive: The archive.
        tier: The tier.
        began_at: When the present or latest sweep began; None before the first.
        is_running: It goes on.
        completed_at: When one was completed last; None before the first.
        spans: What is still to be asked for, the last one first.
        mark: Where a sweep that does not go by date has come to.
        problem: What the present or latest sweep could not see, a sentence; empty when it saw everything.
    """

    archive: str
    tier: str
    began_at: datetime | None = None
    is_running: bool = False
    completed_at: datetime | None = None
    spans: tuple[Span, ...] = ()
    mark: str = ""
    problem: str = ""


def is_covered(span: Span, tiers: Sequence[Tier], sweeps: Mapping[str, Sweep], *, now: datetime, zone: tzinfo) -> bool:
    """Say whether somebody has looked at these days before, so that what is new there has come since."""
    return any(
        tier.reach is Reach.DATED
        and tier.name in sweeps
        and sweeps[tier.name].completed_at is not None
        and tier.window(now, zone).covers(span)
        for tier in tiers
    )
