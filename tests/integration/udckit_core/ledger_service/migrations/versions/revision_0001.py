"""The ledger's first tables."""

import sqlalchemy as sa
from alembic import op

from udckit.plumbing_tables import create_plumbing_tables_v1

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_plumbing_tables_v1(op)
    op.create_table(
        "entries",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("amount", sa.Integer, nullable=False),
    )
