"""The reporter's own tables."""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

from udckit.database import SerialId, UtcTime

METADATA: Final = MetaData()

JOURNAL: Final = Table(
    "journal",
    METADATA,
    Column("seq", SerialId, primary_key=True),
    Column("event_id", String, nullable=False, unique=True),
    Column("source", String, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("type", String, nullable=False),
    Column("about", String, nullable=False),
    Column("occurred_at", UtcTime, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("organisation", String, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""Every event. Rows are added and never changed; triggers of the database see to it."""
Index("journal_by_producer", JOURNAL.c.source, JOURNAL.c.sequence)

PRODUCERS: Final = Table(
    "producers",
    METADATA,
    Column("source", String, primary_key=True),
    Column("last_sequence", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("last_recorded_at", UtcTime, nullable=False),
)

LOST_EVENTS: Final = Table(
    "lost_events",
    METADATA,
    Column("source", String, primary_key=True),
    Column("first", BigInteger, primary_key=True),
    Column("last", BigInteger, primary_key=True),
    Column("given_up_at", UtcTime, nullable=False),
)

COUNTING: Final = Table(
    "counting",
    METADATA,
    Column("id", Integer, primary_key=True),
    # By which rules and for which time zone the counts were made. The row is what whoever counts holds locked.
    Column("rules", String, nullable=False),
    CheckConstraint("id = 1", name="counting_has_one_row"),
)

ENDINGS: Final = Table(
    "endings",
    METADATA,
    Column("study", String, primary_key=True),
    Column("attachment", String, primary_key=True),
    # Empty where none was needed.
    Column("job", String, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("outcome", String, nullable=False),
    Column("category", String),
    Column("successor", String, nullable=False),
    Column("mode", String, nullable=False),
    Column("device", String, nullable=False),
    Column("version", String, nullable=False),
    Column("organisation", String, nullable=False),
    Column("occurred_at", UtcTime, nullable=False),
)
Index("endings_by_job", ENDINGS.c.job)

ACCEPTED: Final = Table(
    "accepted",
    METADATA,
    Column("job", String, primary_key=True),
    Column("issue", BigInteger, nullable=False),
    Column("digest", String, nullable=False),
)

INFERRED: Final = Table(
    "inferred",
    METADATA,
    Column("job", String, primary_key=True),
    Column("digest", String, primary_key=True),
    Column("attempt", BigInteger, nullable=False),
    Column("findings_present", BigInteger, nullable=False),
    Column("findings_undetermined", BigInteger, nullable=False),
)

COUNTS: Final = Table(
    "counts",
    METADATA,
    Column("day", Date, primary_key=True),
    Column("device", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("organisation", String, primary_key=True),
    Column("mode", String, primary_key=True),
    Column("outcome", String, primary_key=True),
    # Empty where there is none: a part of a key cannot be NULL.
    Column("category", String, primary_key=True),
    Column("verdict", String, primary_key=True),
    Column("cases", BigInteger, nullable=False),
    CheckConstraint("cases >= 0", name="counts_are_not_negative"),
)
