"""The counts, made anew from the journal."""

from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from surveillance_reporter.domain.counting import RULES_VERSION, fold
from surveillance_reporter.domain.facts import Fact
from surveillance_reporter.ports import Store, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What a rebuild found.

    Attributes:
        rows: Events in the journal.
        cases: Pairs of study and attachment with an outcome.
        corrected: Buckets that held another number before.
    """

    rows: int
    cases: int
    corrected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildCounts:
    """Fold the journal, and put the result in the place of what was counted event by event.

    One transaction: nothing is journaled meanwhile, and events wait in the stream.

    Attributes:
        store: Transactions.
        zone: Of the region: in it a day begins.
    """

    store: Store
    zone: ZoneInfo

    async def __call__(self) -> Rebuilt:
        """Count anew."""
        return await self.store.transact(self._rebuild)

    async def if_rules_changed(self) -> Rebuilt | None:
        """Count anew when the counts there are were made by other rules or for another time zone."""
        rules = await self.store.read(lambda transaction: transaction.tally.rules())
        return None if rules == self._rules else await self()

    @property
    def _rules(self) -> str:
        return f"{RULES_VERSION} {self.zone.key}"

    def _rebuild(self, transaction: Transaction) -> Rebuilt:
        transaction.lock()
        rows = 0

        def facts() -> Iterator[Fact]:
            nonlocal rows
            for fact in transaction.journal.facts():
                rows += 1
                if fact is not None:
                    yield fact

        knowledge = fold(facts())
        counts = knowledge.counts(zone=self.zone)
        corrected = transaction.tally.replace(knowledge, counts, rules=self._rules)
        return Rebuilt(rows=rows, cases=len(knowledge.endings), corrected=corrected)
