"""What the reporter's use cases need from outside."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol, TypeVar

from surveillance_reporter.domain.counting import Bucket, Knowledge
from surveillance_reporter.domain.facts import Accepted, Case, Ended, Fact, Inferred

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An event as the journal keeps it; ``fact`` is what of it is counted, if anything."""

    event_id: str
    source: str
    sequence: int
    type: str
    about: str
    organisation: str
    occurred_at: datetime
    recorded_at: datetime
    headers: Mapping[str, str]
    body: bytes
    fact: Fact | None


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """Numbers of a producer that have not arrived, inclusive."""

    source: str
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerStatus:
    """What the journal has of one producer."""

    source: str
    last_sequence: int
    rows: int
    last_recorded_at: datetime


class Journal(Protocol):
    """Every event, once, for ever."""

    def append(self, entry: Entry) -> bool:
        """Add ``entry`` and say whether it is new."""

    def facts(self) -> Iterator[Fact | None]:
        """Yield what is counted of each event, in the order of the journal; None where nothing is."""

    def producers(self) -> Sequence[ProducerStatus]:
        """Return what there is of each producer, by source."""

    def open_gaps(self) -> Sequence[Gap]:
        """Return what is missing and has not been given up."""

    def give_up(self, gap: Gap, *, at: datetime) -> None:
        """Note that the producer no longer keeps these."""

    def lost(self) -> Sequence[Gap]:
        """Return what was given up and has not arrived since."""


class Tally(Protocol):
    """What is known of each case, and how many cases each bucket holds."""

    def rules(self) -> str:
        """Return by which rules it was made; empty for none."""

    def endings(self, case: Case) -> Sequence[Ended]:
        """Return the latest ending of every job of ``case``."""

    def cases_of(self, job: str) -> Sequence[Case]:
        """Return the cases that have an ending of ``job``."""

    def accepted(self, job: str) -> Accepted | None:
        """Return the accepted result of ``job``."""

    def inferred(self, job: str, digest: str) -> Inferred | None:
        """Return the report about a result."""

    def accepted_report(self, job: str) -> Inferred | None:
        """Return the report about the accepted result of ``job``."""

    def remember(self, fact: Fact) -> None:
        """Put ``fact`` in the place of what was known of the same case and job, job, or result."""

    def move(self, before: Bucket | None, after: Bucket | None) -> None:
        """Take one case out of ``before`` and put it into ``after``; None is nowhere."""

    def counts(self, *, first: date, last: date, device: str | None, limit: int | None) -> Mapping[Bucket, int]:
        """Return the buckets, at most ``limit``, of the days from ``first`` to ``last`` that are not empty.

        Args:
            first: First day.
            last: Last day, inclusive.
            device: Only this device; None for all.
            limit: How many at most, in no particular order; None for all.
        """

    def replace(self, knowledge: Knowledge, counts: Mapping[Bucket, int], *, rules: str) -> int:
        """Put these in the place of everything; return how many buckets held another number before."""


class Transaction(Protocol):
    """One atomic change."""

    journal: Journal
    tally: Tally

    def lock(self) -> None:
        """Let nobody else journal or count until this transaction ends."""


class Store(Protocol):
    """Transactions."""

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` and return its result once it is durable."""

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` on one snapshot; it cannot write."""


class Producer(Protocol):
    """A service that keeps the events it has told."""

    async def republish(self, first: int, last: int) -> int:
        """Have the events numbered ``first`` to ``last`` published again; return how many.

        Raises:
            NotFoundError: not all of them are kept.
            ServiceError: it cannot be asked now.
        """
