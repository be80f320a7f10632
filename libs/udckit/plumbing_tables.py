"""The tables that the plumbing keeps in every service's database, beside the service's own."""

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.schema import CreateIndex, CreateTable

from udckit.database.types import SerialId, UtcTime

METADATA: Final = MetaData()

OUTBOX: Final = Table(
    "outbox",
    METADATA,
    # Order of writing. The number that the world sees is given later, when the event is relayed: transactions commit in
    # another order than they write, and those that roll back would leave gaps.
    Column("position", SerialId, primary_key=True),
    Column("sequence", BigInteger, unique=True),
    Column("event_id", String, nullable=False, unique=True),
    Column("type", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("about", String, nullable=False),
    Column("organisation", String, nullable=False),
    Column("occurred_at", UtcTime, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("trace", JSON, nullable=False),
    Column("announced_at", UtcTime, nullable=False),
)
_UNNUMBERED: Final = text("sequence IS NULL")
Index("outbox_unnumbered", OUTBOX.c.position, sqlite_where=_UNNUMBERED, postgresql_where=_UNNUMBERED)

RELAY_CURSOR: Final = Table(
    "relay_cursor",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("assigned", BigInteger, nullable=False),
    Column("published", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="relay_cursor_has_one_row"),
)

INBOX: Final = Table(
    "inbox",
    METADATA,
    Column("consumer", String, primary_key=True),
    Column("event_id", String, primary_key=True),
    Column("is_settled", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    # Filled only by a consumer that looks for gaps.
    Column("source", String),
    Column("sequence", BigInteger),
    Column("noted_at", UtcTime, nullable=False),
)
Index("inbox_noted_at", INBOX.c.noted_at)
_NUMBERED: Final = text("source IS NOT NULL")
Index(
    "inbox_of_producer",
    INBOX.c.consumer,
    INBOX.c.source,
    INBOX.c.sequence,
    sqlite_where=_NUMBERED,
    postgresql_where=_NUMBERED,
)

PRODUCER_POSITIONS: Final = Table(
    "producer_positions",
    METADATA,
    Column("consumer", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("contiguous", BigInteger, nullable=False),
)

DEAD_LETTERS: Final = Table(
    "dead_letters",
    METADATA,
    Column("id", String, primary_key=True),
    Column("consumer", String, nullable=False),
    Column("event_id", String, nullable=False),
    Column("state", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("reason", String, nullable=False),
    Column("detail", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("died_at", UtcTime, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    UniqueConstraint("consumer", "event_id", name="dead_letters_one_per_consumer"),
)
Index("dead_letters_by_state", DEAD_LETTERS.c.consumer, DEAD_LETTERS.c.state)

LEASES: Final = Table(
    "leases",
    METADATA,
    Column("role", String, primary_key=True),
    Column("holder", String, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    # Seconds since 1970 by the clock of the database, which is the same for all replicas.
    Column("expires_at", Float(53), nullable=False),
)

AUDIT: Final = Table(
    "audit",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("actor", String, nullable=False),
    Column("action", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("facts", String, nullable=False),
    Column("previous_hash", String, nullable=False),
    Column("hash", String, nullable=False),
)


def create_plumbing_tables_v1(op: Any) -> None:
    """Create the tables of this module; called by the first revision of every service.

    What has been released stays as it was: a later change of a table becomes ``…_v2``, and what this function creates
    is then written out in it.

    Args:
        op: ``alembic.op``.
    """
    for table in METADATA.sorted_tables:
        op.execute(CreateTable(table))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            op.execute(CreateIndex(index))
    op.execute(RELAY_CURSOR.insert().values(id=1, assigned=0, published=0))
