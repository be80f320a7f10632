"""The first schema."""

from alembic import op
from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, Date, Integer, LargeBinary, String, UniqueConstraint

from udckit.database import SerialId, UtcTime
from udckit.plumbing_tables import create_plumbing_tables_v1

revision = "0001"
down_revision = None

# The journal is append-only for us too, whatever a later bug says.
APPEND_ONLY = {
    "sqlite": (
        """CREATE TRIGGER journal_is_never_changed BEFORE UPDATE ON journal
           BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
        """CREATE TRIGGER journal_is_never_shortened BEFORE DELETE ON journal
           BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    ),
    "postgresql": (
        """CREATE FUNCTION refuse_change_of_journal() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'the journal is append-only'; END $$""",
        """CREATE TRIGGER journal_is_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON journal
           FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_journal()""",
    ),
}


def upgrade() -> None:
    create_plumbing_tables_v1(op)
    op.create_table(
        "accepted",
        Column("job", String, primary_key=True),
        Column("issue", BigInteger, nullable=False),
        Column("digest", String, nullable=False),
    )
    op.create_table(
        "counting",
        Column("id", Integer, primary_key=True),
        Column("rules", String, nullable=False),
        CheckConstraint("id = 1", name="counting_has_one_row"),
    )
    op.create_table(
        "counts",
        Column("day", Date, primary_key=True),
        Column("device", String, primary_key=True),
        Column("version", String, primary_key=True),
        Column("organisation", String, primary_key=True),
        Column("mode", String, primary_key=True),
        Column("outcome", String, primary_key=True),
        Column("category", String, primary_key=True),
        Column("verdict", String, primary_key=True),
        Column("cases", BigInteger, nullable=False),
        CheckConstraint("cases >= 0", name="counts_are_not_negative"),
    )
    op.create_table(
        "endings",
        Column("study", String, primary_key=True),
        Column("attachment", String, primary_key=True),
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
    op.create_index("endings_by_job", "endings", ["job"])
    op.create_table(
        "inferred",
        Column("job", String, primary_key=True),
        Column("digest", String, primary_key=True),
        Column("attempt", BigInteger, nullable=False),
        Column("findings_present", BigInteger, nullable=False),
        Column("findings_undetermined", BigInteger, nullable=False),
    )
    op.create_table(
        "journal",
        Column("seq", SerialId, primary_key=True),
        Column("event_id", String, nullable=False),
        Column("source", String, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("type", String, nullable=False),
        Column("about", String, nullable=False),
        Column("occurred_at", UtcTime, nullable=False),
        Column("recorded_at", UtcTime, nullable=False),
        Column("organisation", String, nullable=False),
        Column("headers", JSON, nullable=False),
        Column("body", LargeBinary, nullable=False),
        UniqueConstraint("event_id"),
    )
    op.create_index("journal_by_producer", "journal", ["source", "sequence"])
    op.create_table(
        "lost_events",
        Column("source", String, primary_key=True),
        Column("first", BigInteger, primary_key=True),
        Column("last", BigInteger, primary_key=True),
        Column("given_up_at", UtcTime, nullable=False),
    )
    op.create_table(
        "producers",
        Column("source", String, primary_key=True),
        Column("last_sequence", BigInteger, nullable=False),
        Column("events", BigInteger, nullable=False),
        Column("last_recorded_at", UtcTime, nullable=False),
    )
    op.execute("INSERT INTO counting (id, rules) VALUES (1, '')")
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)
