"""The journal: every event, once, for ever."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Final

from sqlalchemy import Connection, case, select

from surveillance_reporter.adapters.reading import fact_of
from surveillance_reporter.adapters.tables import JOURNAL, LOST_EVENTS, PRODUCERS
from surveillance_reporter.domain.facts import Fact
from surveillance_reporter.ports import Entry, Gap, ProducerStatus
from udckit import subjects
from udckit.consumer.gaps import missing
from udckit.database import insert
from udckit.database.statements import Insert
from udckit.plumbing_tables import INBOX, PRODUCER_POSITIONS

_READ_AT_ONCE: Final = 2_000
_LOOKED_AT_ONCE: Final = 20_000


class SqlJournal:
    """``ports.Journal`` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, entry: Entry) -> bool:
        """Add ``entry`` and say whether it is new."""
        row = {
            "event_id": entry.event_id,
            "source": entry.source,
            "sequence": entry.sequence,
            "type": entry.type,
            "about": entry.about,
            "occurred_at": entry.occurred_at,
            "recorded_at": entry.recorded_at,
            "organisation": entry.organisation,
            "headers": dict(entry.headers),
            "body": entry.body,
        }
        dialect = self._connection.dialect.name
        if self._connection.execute(_appending(dialect), row).rowcount == 0:
            return False
        self._connection.execute(
            _noting_producer(dialect),
            {
                "source": entry.source,
                "last_sequence": entry.sequence,
                "events": 1,
                "last_recorded_at": entry.recorded_at,
            },
        )
        return True

    def facts(self) -> Iterator[Fact | None]:
        """Yield what is counted of each event, in the order of the journal."""
        rows = self._connection.execute(
            select(
                JOURNAL.c.event_id, JOURNAL.c.type, JOURNAL.c.sequence, JOURNAL.c.occurred_at, JOURNAL.c.body
            ).order_by(JOURNAL.c.seq),
            execution_options={"yield_per": _READ_AT_ONCE},
        )
        for row in rows:
            yield fact_of(
                event_id=row.event_id,
                type_name=row.type,
                sequence=row.sequence,
                occurred_at=row.occurred_at,
                body=row.body,
            )

    def producers(self) -> Sequence[ProducerStatus]:
        """Return what there is of each producer, by source."""
        rows = self._connection.execute(select(PRODUCERS).order_by(PRODUCERS.c.source))
        return [
            ProducerStatus(
                source=row.source,
                last_sequence=row.last_sequence,
                rows=row.events,
                last_recorded_at=row.last_recorded_at,
            )
            for row in rows
        ]

    def open_gaps(self) -> Sequence[Gap]:
        """Return what is missing and has not been given up, as the consumer's own look finds it."""
        of_ours = PRODUCER_POSITIONS.c.consumer == subjects.DURABLE_SURVEILLANCE
        contiguous = {
            row.source: row.contiguous
            for row in self._connection.execute(
                select(PRODUCER_POSITIONS.c.source, PRODUCER_POSITIONS.c.contiguous).where(of_ours)
            )
        }
        gaps: list[Gap] = []
        for source in self._connection.execute(select(PRODUCERS.c.source).order_by(PRODUCERS.c.source)).scalars().all():
            from_there = contiguous.get(source, 0)
            seen = self._connection.execute(
                select(INBOX.c.sequence)
                .where(
                    INBOX.c.consumer == subjects.DURABLE_SURVEILLANCE,
                    INBOX.c.source == source,
                    INBOX.c.sequence > from_there,
                )
                .order_by(INBOX.c.sequence)
                .limit(_LOOKED_AT_ONCE)
            ).scalars()
            gaps.extend(Gap(source, first, last) for first, last in missing(from_there, list(seen))[1])
        return gaps

    def give_up(self, gap: Gap, *, at: datetime) -> None:
        """Note that the producer no longer keeps these."""
        noting = insert(LOST_EVENTS, dialect=self._connection.dialect.name).values(
            source=gap.source, first=gap.first, last=gap.last, given_up_at=at
        )
        self._connection.execute(noting.on_conflict_do_nothing())

    def lost(self) -> Sequence[Gap]:
        """Return what was given up and has not arrived since."""
        given_up = self._connection.execute(
            select(LOST_EVENTS.c.source, LOST_EVENTS.c.first, LOST_EVENTS.c.last).order_by(
                LOST_EVENTS.c.source, LOST_EVENTS.c.first
            )
        ).all()
        return [gap for row in given_up for gap in self._still_missing(Gap(row.source, row.first, row.last))]

    def _still_missing(self, gap: Gap) -> Iterator[Gap]:
        arrived = self._connection.execute(
            select(JOURNAL.c.sequence)
            .where(JOURNAL.c.source == gap.source, JOURNAL.c.sequence.between(gap.first, gap.last))
            .order_by(JOURNAL.c.sequence)
        ).scalars()
        # With a number just behind it, what is missing at the end is a gap as well.
        _, gaps = missing(gap.first - 1, [*arrived, gap.last + 1])
        return (Gap(gap.source, first, last) for first, last in gaps)


@cache
def _appending(dialect: str) -> Insert:
    appending = insert(JOURNAL, dialect=dialect).on_conflict_do_nothing(index_elements=[JOURNAL.c.event_id])
    return appending.inline().execution_options(preserve_rowcount=True)


@cache
def _noting_producer(dialect: str) -> Insert:
    noting = insert(PRODUCERS, dialect=dialect)
    newest = noting.excluded.last_sequence > PRODUCERS.c.last_sequence
    return noting.on_conflict_do_update(
        index_elements=[PRODUCERS.c.source],
        set_={
            "last_sequence": case((newest, noting.excluded.last_sequence), else_=PRODUCERS.c.last_sequence),
            "events": PRODUCERS.c.events + 1,
            "last_recorded_at": noting.excluded.last_recorded_at,
        },
    )
