"""Events are written in the transaction that makes them true, and published afterwards by the relay."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Connection,
    Row,
    String,
    bindparam,
    column,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from udckit import telemetry
from udckit.database.late_writes import write_late
from udckit.database.statements import Insert, insert
from udckit.database.types import utc
from udckit.envelope import OutgoingEvent
from udckit.errors import NotFoundError
from udckit.plumbing_tables import OUTBOX, RELAY_CURSOR

_PRUNED_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """An event of the outbox with the number it has for the world, from 1 without gaps, and its trace context."""

    event: OutgoingEvent
    sequence: int
    trace: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What an outbox holds.

    Attributes:
        published: Highest number that was published; 0 before the first.
        oldest_kept: Lowest number that can be published again; 0 when none can.
        waiting: How many events have not been published yet.
    """

    published: int
    oldest_kept: int
    waiting: int


def announce(connection: Connection, event: OutgoingEvent) -> None:
    """Store ``event`` to be published once this transaction is committed, with the current trace context.

    The same fact has the same id, and announcing it again changes nothing. Events are inserted at the end of the
    transaction: see ``write_late``.

    Args:
        connection: Of a work handed to ``Database.transact``, outside of savepoints of its own.
        event: The fact.
    """
    row = {
        "event_id": event.id,
        "type": event.type,
        "subject": event.subject,
        "about": event.about,
        "organisation": event.organisation,
        "occurred_at": event.occurred_at,
        "body": event.body,
        "trace": telemetry.carrier(),
        "announced_at": datetime.now(UTC),
    }
    write_late(connection, _insert, row)


def _insert(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(_INSERT_DOCUMENT, {"rows": [_as_json(row) for row in rows]})
    else:
        connection.execute(_INSERT, rows)


_INSERT: Final = insert(OUTBOX, dialect="sqlite").on_conflict_do_nothing(index_elements=[OUTBOX.c.event_id]).inline()


def _inserting_document() -> Insert:
    """Return an INSERT of all rows of one JSON document, in their order.

    To PostgreSQL the driver sends the rows of an ``executemany`` one by one, at twice the cost.
    """
    names = [column.name for column in OUTBOX.c if column.name not in {"position", "sequence"}]
    columns = (column(name, String if name == "body" else OUTBOX.c[name].type) for name in names)
    document = func.json_to_recordset(bindparam("rows", type_=JSON))
    rows = document.table_valued(*columns).render_derived(with_types=True)
    values = [func.decode(rows.c.body, "base64") if name == "body" else rows.c[name] for name in names]
    inserting = insert(OUTBOX, dialect="postgresql").from_select(names, select(*values))
    return inserting.on_conflict_do_nothing(index_elements=[OUTBOX.c.event_id])


_INSERT_DOCUMENT: Final = _inserting_document()


def _as_json(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        **row,
        "occurred_at": utc(row["occurred_at"]).isoformat(),
        "announced_at": row["announced_at"].isoformat(),
        "body": b64encode(row["body"]).decode(),
    }


_ANNOUNCED: Final = tuple(column for column in OUTBOX.c if column.name not in {"position", "announced_at"})
_UNNUMBERED: Final = (
    select(OUTBOX.c.position)
    .where(OUTBOX.c.sequence.is_(None))
    .order_by(OUTBOX.c.position)
    .limit(bindparam("count"))
    .subquery()
)
_NUMBERS: Final = select(
    _UNNUMBERED.c.position,
    (bindparam("assigned", type_=BigInteger) + func.row_number().over(order_by=_UNNUMBERED.c.position)).label(
        "sequence"
    ),
).subquery()
# A transaction of its own: numbers are final before anybody sees them, so that a crash cannot give them twice.
_NUMBER: Final = (
    update(OUTBOX)
    .values(sequence=_NUMBERS.c.sequence)
    .where(OUTBOX.c.position == _NUMBERS.c.position)
    .returning(*_ANNOUNCED)
)
_CURSOR: Final = select(RELAY_CURSOR.c.assigned, RELAY_CURSOR.c.published).with_for_update()
_IS_WAITING: Final = select(
    or_(
        exists().where(OUTBOX.c.sequence.is_(None)),
        exists().where(RELAY_CURSOR.c.assigned > RELAY_CURSOR.c.published),
    )
)
_MOVE: Final = update(RELAY_CURSOR).values(assigned=bindparam("to_assigned"), published=bindparam("to_published"))
_NUMBERED: Final = (
    select(*_ANNOUNCED)
    .where(OUTBOX.c.sequence >= bindparam("first"), OUTBOX.c.sequence <= bindparam("last"))
    .order_by(OUTBOX.c.sequence)
    .limit(bindparam("count"))
)


def is_waiting(connection: Connection) -> bool:
    """Say whether an event has not been published yet."""
    return bool(connection.execute(_IS_WAITING).scalar_one())


def backlog(connection: Connection) -> int:
    """Return how many stored events have not been published yet."""
    unnumbered = connection.execute(
        select(func.count()).select_from(OUTBOX).where(OUTBOX.c.sequence.is_(None))
    ).scalar_one()
    unpublished = connection.execute(select(RELAY_CURSOR.c.assigned - RELAY_CURSOR.c.published)).scalar_one()
    return int(unnumbered + unpublished)


def extent(connection: Connection) -> Extent:
    """Return how far the events were published, and from which on they can be published again."""
    published = connection.execute(select(RELAY_CURSOR.c.published)).scalar_one()
    oldest = connection.execute(
        select(func.min(OUTBOX.c.sequence)).where(OUTBOX.c.sequence <= published)
    ).scalar_one_or_none()
    return Extent(published=published, oldest_kept=oldest or 0, waiting=backlog(connection))


def take(connection: Connection, *, published: int | None, count: int) -> Sequence[Announcement]:
    """Note that everything up to ``published`` is stored in JetStream, and return what comes next.

    Numbers at most ``count`` events that have none yet, in the order in which they were written.

    Args:
        connection: In a transaction that writes.
        published: Last number that was published, or None if the cursor is right as it is.
        count: How many events to return at most.
    """
    cursor = connection.execute(_CURSOR).one()
    moved = cursor.published if published is None else max(published, cursor.published)
    numbered = connection.execute(_NUMBER, {"assigned": cursor.assigned, "count": count}).all()
    assigned = cursor.assigned + len(numbered)
    if (assigned, moved) != tuple(cursor):
        connection.execute(_MOVE, {"to_assigned": assigned, "to_published": moved})
    if moved < cursor.assigned:  # some were numbered before, and nobody knows whether they were published
        return between(connection, first=moved + 1, last=assigned, count=count)
    return sorted((_announcement(row) for row in numbered), key=lambda announcement: announcement.sequence)


def between(connection: Connection, *, first: int, last: int, count: int) -> Sequence[Announcement]:
    """Return at most ``count`` announcements numbered ``first`` to ``last``, in order."""
    if first > last:
        return ()
    rows = connection.execute(_NUMBERED, {"first": first, "last": last, "count": count})
    return [_announcement(row) for row in rows]


def require_kept(connection: Connection, *, first: int, last: int) -> None:
    """Check that the published events ``first`` to ``last`` are still here.

    Raises:
        NotFoundError: some have not been published yet, or are no longer kept.
    """
    published = connection.execute(select(RELAY_CURSOR.c.published)).scalar_one()
    oldest = connection.execute(select(func.min(OUTBOX.c.sequence))).scalar_one()
    if first < 1 or last > published or oldest is None or first < oldest:
        raise NotFoundError(
            f"events {first} to {last} are not all here: kept are {oldest or published + 1} to {published}",
            first=first,
            last=last,
        )


def prune(connection: Connection, *, older_than: datetime) -> int:
    """Delete published events that were announced before ``older_than``, a few thousand at a time.

    Returns:
        How many were deleted; call again until it is 0.
    """
    oldest = (
        select(OUTBOX.c.sequence, OUTBOX.c.announced_at)
        .where(OUTBOX.c.sequence <= select(RELAY_CURSOR.c.published).scalar_subquery())
        .order_by(OUTBOX.c.sequence)
        .limit(_PRUNED_AT_ONCE)
        .subquery()
    )
    too_old = select(oldest.c.sequence).where(oldest.c.announced_at < older_than)
    return connection.execute(delete(OUTBOX).where(OUTBOX.c.sequence.in_(too_old))).rowcount


def _announcement(row: Row[Any]) -> Announcement:
    return Announcement(
        event=OutgoingEvent(
            id=row.event_id,
            type=row.type,
            subject=row.subject,
            about=row.about,
            organisation=row.organisation,
            occurred_at=row.occurred_at,
            body=row.body,
        ),
        sequence=row.sequence,
        trace=row.trace,
    )
