"""An event enters the journal and is counted, in one transaction."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import tzinfo

from surveillance_reporter.domain.counting import (
    WITH_RESULT,
    Bucket,
    bucket_of,
    current,
    later,
    latest_accepted,
    latest_inferred,
)
from surveillance_reporter.domain.facts import Accepted, Ended, Fact, Inferred
from surveillance_reporter.ports import Entry, Tally, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEvent:
    """Keep an event, whatever it is, and count what it tells.

    Attributes:
        zone: Of the region: in it a day begins.
    """

    zone: tzinfo

    def __call__(self, transaction: Transaction, entry: Entry) -> None:
        """Do it; an event that is in the journal already changes nothing."""
        # One at a time: counting reads what it changes, and transactions that count in different orders would deadlock.
        transaction.lock()
        if transaction.journal.append(entry) and entry.fact is not None:
            self._count(transaction.tally, entry.fact)

    def _count(self, tally: Tally, fact: Fact) -> None:
        if isinstance(fact, Ended):
            self._count_ended(tally, fact)
        else:
            self._count_report(tally, fact)

    def _count_ended(self, tally: Tally, fact: Ended) -> None:
        before = {ended.job: ended for ended in tally.endings(fact.case)}
        after = {**before, fact.job: later(before.get(fact.job), fact)}
        if after == before:
            return
        tally.remember(after[fact.job])
        tally.move(self._bucket(tally, before.values()), self._bucket(tally, after.values()))

    def _count_report(self, tally: Tally, fact: Accepted | Inferred) -> None:
        concerned = [tally.endings(case) for case in tally.cases_of(fact.job)]
        before = [self._bucket(tally, endings) for endings in concerned]
        match fact:
            case Accepted():
                tally.remember(latest_accepted(tally.accepted(fact.job), fact))
            case Inferred():
                tally.remember(latest_inferred(tally.inferred(fact.job, fact.digest), fact))
        for endings, bucket in zip(concerned, before, strict=True):
            tally.move(bucket, self._bucket(tally, endings))

    def _bucket(self, tally: Tally, endings: Collection[Ended]) -> Bucket | None:
        if not endings:
            return None
        ended = current(endings)
        has_result = ended.outcome in WITH_RESULT
        return bucket_of(ended, tally.accepted_report(ended.job) if has_result else None, zone=self.zone)
