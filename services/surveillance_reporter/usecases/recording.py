"""An event enters the journal and is counted, in one transaction."""

from dataclasses import dataclass
from datetime import tzinfo

from surveillance_reporter.domain.counting import (
    Bucket,
    bucket_of,
    current,
    later,
    latest_accepted,
    latest_inferred,
)
from surveillance_reporter.domain.facts import Accepted, Case, Ended, Fact, Inferred
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
        known = _merged(tally, fact)
        cases = [fact.case] if isinstance(fact, Ended) else tally.cases_of(fact.job)
        before = [self._bucket(tally, case) for case in cases]
        tally.remember(known)
        for case, bucket in zip(cases, before, strict=True):
            tally.move(bucket, self._bucket(tally, case))

    def _bucket(self, tally: Tally, case: Case) -> Bucket | None:
        endings = tally.endings(case)
        if not endings:
            return None
        ended = current(endings)
        accepted = tally.accepted(ended.job)
        inferred = None if accepted is None else tally.inferred(ended.job, accepted.digest)
        return bucket_of(ended, inferred, zone=self.zone)


def _merged(tally: Tally, fact: Fact) -> Fact:
    """Return what is known with ``fact`` of what it is about."""
    match fact:
        case Ended():
            same_job = [ended for ended in tally.endings(fact.case) if ended.job == fact.job]
            return later(same_job[0] if same_job else None, fact)
        case Accepted():
            return latest_accepted(tally.accepted(fact.job), fact)
        case Inferred():
            return latest_inferred(tally.inferred(fact.job, fact.digest), fact)
