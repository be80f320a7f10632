"""The counts, as they are asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from surveillance_reporter.domain.counting import Bucket
from surveillance_reporter.ports import Store
from udckit.clock import Clock
from udckit.errors import InvalidRequestError

MOST_DAYS: Final = 366
USUAL_DAYS: Final = 31
MOST_BUCKETS: Final = 20_000
"""More would not fit into one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Counts of the days from ``first`` to ``last``, inclusive."""

    first: date
    last: date
    counts: Mapping[Bucket, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportCounts:
    """Say what was counted.

    Attributes:
        store: Transactions.
        clock: Tells what today is.
        zone: Of the region: in it a day begins.
    """

    store: Store
    clock: Clock
    zone: ZoneInfo

    async def __call__(self, *, first: date | None, last: date | None, device: str | None) -> Report:
        """Return the counts of some days.

        Args:
            first: First day; by default that of ``USUAL_DAYS`` days.
            last: Last day, inclusive; by default today.
            device: Only this device; None for all.

        Raises:
            InvalidRequestError: the days are in the wrong order, or too many, or the answer would be too long.
        """
        last = last or self.clock.now().astimezone(self.zone).date()
        first = first or last - timedelta(days=USUAL_DAYS - 1)
        if first > last:
            raise InvalidRequestError(f"{first} is after {last}")
        if (last - first).days >= MOST_DAYS:
            raise InvalidRequestError(f"from {first} to {last} are more than {MOST_DAYS} days; ask for fewer at once")
        counts = await self.store.read(
            lambda transaction: transaction.tally.counts(first=first, last=last, device=device, limit=MOST_BUCKETS + 1)
        )
        if len(counts) > MOST_BUCKETS:
            raise InvalidRequestError(
                f"from {first} to {last} are more than {MOST_BUCKETS} counts; ask for fewer days, or for one device"
            )
        return Report(first=first, last=last, counts=counts)
