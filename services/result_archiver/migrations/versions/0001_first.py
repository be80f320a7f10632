"""The first schema."""

from alembic import op
from sqlalchemy.schema import CreateTable

from result_archiver.adapters.tables import METADATA
from udckit.plumbing_tables import create_plumbing_tables_v1

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_plumbing_tables_v1(op)
    for table in METADATA.sorted_tables:
        op.execute(CreateTable(table))
