"""How facts become counts, whatever the order in which they come and however often.

Every case counts exactly once: in the bucket of its current outcome. What is known of a case is a maximum over facts,
so that neither order nor repetition matters.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, tzinfo
from enum import StrEnum, unique
from typing import Final, assert_never

from surveillance_reporter.domain.facts import Accepted, Case, Ended, Fact, Inferred
from udcmodel.vocabulary import ERRORS, ErrorCategory, Mode, Outcome

RULES_VERSION: Final = 1
"""Rises with every change of what is counted where; counts made by other rules are made anew."""

WITH_RESULT: Final = frozenset({Outcome.ARCHIVED, Outcome.KEPT})
"""Outcomes of which a result exists."""

WITH_CATEGORY: Final = ERRORS | {Outcome.INSUFFICIENT}
"""Outcomes that say why there is no result. An unsuitable input has a category and is no error."""


@unique
class Verdict(StrEnum):
    """What a result says, as a whole."""

    NORMAL = "NORMAL"
    PATHOLOGY = "PATHOLOGY"
    UNDETERMINED = "UNDETERMINED"
    UNKNOWN = "UNKNOWN"
    """The event that tells has not arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Where a case counts.

    Attributes:
        day: On which the outcome came about, in the region's time zone.
        device: The device.
        version: Its version.
        organisation: FRMO OID.
        mode: Mode of the attachment.
        outcome: The current outcome.
        category: Why there is no result, for an outcome in ``WITH_CATEGORY`` that says so.
        verdict: What the result says, for an outcome in ``WITH_RESULT``.
    """

    day: date
    device: str
    version: str
    organisation: str
    mode: Mode
    outcome: Outcome
    category: ErrorCategory | None
    verdict: Verdict | None


def later(one: Ended | None, other: Ended) -> Ended:
    """Return which of two endings of the same case and job is the later."""
    return other if one is None or _age(other) > _age(one) else one


def latest_accepted(one: Accepted | None, other: Accepted) -> Accepted:
    """Return which of two accepted results of a job counts. There is only one; a second would be a mistake."""
    return other if one is None or (other.issue, other.digest) > (one.issue, one.digest) else one


def latest_inferred(one: Inferred | None, other: Inferred) -> Inferred:
    """Return which of two reports about the same result of a job counts."""
    return other if one is None or _order(other) > _order(one) else one


def current(endings: Collection[Ended]) -> Ended:
    """Return the ending that is the current outcome of a case.

    The newest revision counts, and in it what was told last. A superseded job counts only until its successor has
    ended, and not after it either: it may have been superseded while it was being archived, and say so late.

    Args:
        endings: The latest of every job of the case, at least one.
    """
    jobs = {ended.job for ended in endings if ended.job}
    replaced = [ended for ended in endings if ended.outcome is Outcome.SUPERSEDED and ended.successor in jobs]
    return max([ended for ended in endings if ended not in replaced] or endings, key=_age)


def verdict_of(inferred: Inferred | None) -> Verdict:
    """Return what a result says."""
    if inferred is None:
        return Verdict.UNKNOWN
    if inferred.findings_present:
        return Verdict.PATHOLOGY
    return Verdict.UNDETERMINED if inferred.findings_undetermined else Verdict.NORMAL


def bucket_of(ended: Ended, inferred: Inferred | None, *, zone: tzinfo) -> Bucket:
    """Return where a case counts.

    Args:
        ended: Its current outcome.
        inferred: The report about the accepted result of that job, if it has arrived.
        zone: Of the region.
    """
    return Bucket(
        day=ended.occurred_at.astimezone(zone).date(),
        device=ended.device,
        version=ended.version,
        organisation=ended.organisation,
        mode=ended.mode,
        outcome=ended.outcome,
        category=ended.category if ended.outcome in WITH_CATEGORY else None,
        verdict=verdict_of(inferred) if ended.outcome in WITH_RESULT else None,
    )


@dataclass(slots=True)
class Knowledge:
    """What facts add up to.

    Attributes:
        endings: By case and job, the latest.
        accepted: By job.
        inferred: By job and digest.
    """

    endings: dict[Case, dict[str, Ended]] = field(default_factory=dict)
    accepted: dict[str, Accepted] = field(default_factory=dict)
    inferred: dict[tuple[str, str], Inferred] = field(default_factory=dict)

    def add(self, fact: Fact) -> None:
        """Learn ``fact``; learning it again changes nothing."""
        match fact:
            case Ended():
                of_case = self.endings.setdefault(fact.case, {})
                of_case[fact.job] = later(of_case.get(fact.job), fact)
            case Accepted():
                self.accepted[fact.job] = latest_accepted(self.accepted.get(fact.job), fact)
            case Inferred():
                key = (fact.job, fact.digest)
                self.inferred[key] = latest_inferred(self.inferred.get(key), fact)
            case _:
                assert_never(fact)

    def counts(self, *, zone: tzinfo) -> Mapping[Bucket, int]:
        """Return how many cases each bucket holds; no bucket is empty."""
        return Counter(
            bucket_of(ended, self._report_about(ended.job), zone=zone)
            for ended in (current(of_case.values()) for of_case in self.endings.values())
        )

    def _report_about(self, job: str) -> Inferred | None:
        accepted = self.accepted.get(job)
        return None if accepted is None else self.inferred.get((job, accepted.digest))


def fold(facts: Iterable[Fact]) -> Knowledge:
    """Return what ``facts`` add up to."""
    knowledge = Knowledge()
    for fact in facts:
        knowledge.add(fact)
    return knowledge


def _age(ended: Ended) -> tuple[int, int]:
    return ended.revision, ended.sequence


def _order(inferred: Inferred) -> tuple[int, int, int]:
    return inferred.attempt, inferred.findings_present, inferred.findings_undetermined
