"""What the ledger tells the world."""

from datetime import UTC, datetime

from google.protobuf.wrappers_pb2 import StringValue
from sqlalchemy import Connection, func, select

from integration.udckit_core.ledger_service import ENTRIES
from udckit import outbox, subjects
from udckit.database import insert
from udckit.envelope import Event, OutgoingEvent, outgoing

BOOKED = StringValue.DESCRIPTOR.full_name
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def booked(entry: str, *, subject: str = subjects.RESULT_ACCEPTED) -> OutgoingEvent:
    """Return the event that tells of ``entry``."""
    return outgoing(StringValue(value=entry), key=entry, subject=subject, about=f"entries/{entry}", occurred_at=NOON)


def entry_of(event: Event) -> str:
    """Return what ``event`` tells of."""
    return event.decode(StringValue).value


def book(connection: Connection, entry: str, *, subject: str = subjects.RESULT_ACCEPTED) -> None:
    """Book ``entry`` and announce it."""
    connection.execute(insert(ENTRIES, dialect=connection.dialect.name).values(id=entry, amount=1))
    outbox.announce(connection, booked(entry, subject=subject))


def book_what_was_told(connection: Connection, entry: str) -> None:
    """Book ``entry``, or add to it: what happens twice shows in its amount."""
    booking = insert(ENTRIES, dialect=connection.dialect.name).values(id=entry, amount=1)
    connection.execute(
        booking.on_conflict_do_update(index_elements=[ENTRIES.c.id], set_={"amount": ENTRIES.c.amount + 1})
    )


def is_known(connection: Connection, entry: str) -> bool:
    """Say whether ``entry`` is booked."""
    return connection.execute(select(ENTRIES.c.id).where(ENTRIES.c.id == entry)).first() is not None


def doubled(connection: Connection) -> list[str]:
    """Return what was booked more than once."""
    return list(connection.execute(select(ENTRIES.c.id).where(ENTRIES.c.amount != 1)).scalars())


def entries(connection: Connection) -> list[str]:
    """Return what is booked."""
    return list(connection.execute(select(ENTRIES.c.id).order_by(ENTRIES.c.id)).scalars())


def number_of_entries(connection: Connection) -> int:
    """Return how much is booked."""
    return int(connection.execute(select(func.count()).select_from(ENTRIES)).scalar_one())
