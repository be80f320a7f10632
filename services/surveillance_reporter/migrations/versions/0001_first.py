"""The first schema."""

from alembic import op
from sqlalchemy.schema import CreateIndex, CreateTable

from surveillance_reporter.adapters.tables import COUNTING, METADATA
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
    for table in METADATA.sorted_tables:
        op.execute(CreateTable(table))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            op.execute(CreateIndex(index))
    op.execute(COUNTING.insert().values(id=1, rules=""))
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)
