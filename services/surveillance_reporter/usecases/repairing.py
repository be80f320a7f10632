"""Events that never arrived are asked for again."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from surveillance_reporter.ports import Gap, Producer, Store
from udckit.clock import Clock
from udckit.errors import NotFoundError, PreconditionError, ServiceError

ASKED_AT_ONCE: Final = 1_000
"""So many are published well within the deadline of a call."""


@dataclass(slots=True)
class _Asking:
    """What was done about one gap.

    Attributes:
        failed: How often its producer could not be asked, since it last could.
        answered: How often its producer said that it has published what is missing.
        not_before: When to ask next, by a monotonic clock.
    """

    failed: int = 0
    answered: int = 0
    not_before: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairGaps:
    """Have the producer of missing events publish them again.

    A producer that publishes and publishes without anything arriving is asked ``most_answers`` times; then the gap
    stays, for people. A producer that cannot be reached uses up nothing.

    Attributes:
        producers: By source.
        store: Transactions.
        clock: Time of day.
        elapsed: A monotonic clock, seconds.
        note: Told for which gap nobody could be asked, and why.
        most_answers: How often a gap is asked for.
        pauses_s: Between asking for the same gap; the last repeats.
        asked_at_once: How many events one call asks for.
    """

    producers: Mapping[str, Producer]
    store: Store
    clock: Clock
    elapsed: Callable[[], float]
    note: Callable[[Gap, str], None]
    most_answers: int = 5
    pauses_s: tuple[float, ...] = (20.0, 60.0, 300.0)
    asked_at_once: int = ASKED_AT_ONCE
    _asked: dict[Gap, _Asking] = field(default_factory=dict, init=False)

    async def __call__(self, source: str, first: int, last: int) -> None:
        """Ask once for what is missing, if it is time to.

        Raises:
            NotFoundError: the producer no longer keeps all of it; what it keeps was asked for, the rest noted as lost.
        """
        gap = Gap(source, first, last)
        asking = self._asked.setdefault(gap, _Asking())
        if asking.answered >= self.most_answers or self.elapsed() < asking.not_before:
            return
        try:
            await self._ask(gap)
        except NotFoundError:
            raise
        except ServiceError as error:
            asking.failed += 1
            self.note(gap, error.reason)
        else:
            asking.failed = 0
            asking.answered += 1
        pause = self.pauses_s[min(asking.failed + asking.answered, len(self.pauses_s)) - 1]
        asking.not_before = self.elapsed() + pause

    def standing(self, open_gaps: Collection[Gap]) -> Collection[Gap]:
        """Return those of the gaps that stay although they were asked for; forget what is closed."""
        for gap in self._asked.keys() - set(open_gaps):
            del self._asked[gap]
        return sorted(gap for gap, asking in self._asked.items() if asking.failed or asking.answered > 1)

    async def _ask(self, gap: Gap) -> None:
        producer = self.producers.get(gap.source)
        if producer is None:
            raise PreconditionError(f"nobody said where {gap.source} is", source=gap.source)
        for part in _parts(gap, self.asked_at_once):
            try:
                await producer.republish(part.first, part.last)
            except NotFoundError:
                # What is oldest is deleted first: nothing before this part is kept either.
                oldest = await self._oldest_kept(producer, part)
                await self._give_up(Gap(gap.source, gap.first, oldest - 1))
                if oldest <= part.last:
                    await producer.republish(oldest, part.last)
                raise

    async def _give_up(self, lost: Gap) -> None:
        await self.store.transact(lambda transaction: transaction.journal.give_up(lost, at=self.clock.now()))

    async def _oldest_kept(self, producer: Producer, part: Gap) -> int:
        """Return the first number from which on all are kept, by bisection; ``part.last + 1`` if none is."""
        low, high = part.first, part.last + 1
        while low < high:
            middle = (low + high) // 2
            try:
                await producer.republish(middle, middle)
            except NotFoundError:
                low = middle + 1
            else:
                high = middle
        return low


def _parts(gap: Gap, size: int) -> Iterator[Gap]:
    """Yield ``gap`` in parts of at most ``size``, the newest first."""
    for last in range(gap.last, gap.first - 1, -size):
        yield Gap(gap.source, max(gap.first, last - size + 1), last)
