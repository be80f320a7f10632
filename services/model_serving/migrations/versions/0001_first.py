"""The first schema."""

from alembic import op
from sqlalchemy import Column, Integer, String

from udckit.database import UtcTime
from udckit.plumbing_tables import create_plumbing_tables_v1

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_plumbing_tables_v1(op)
    op.create_table(
        "runs",
        Column("job", String, primary_key=True),
        Column("attempt", Integer, primary_key=True),
        Column("state", String, nullable=False),
        Column("device", String, nullable=False),
        Column("version", String, nullable=False),
        Column("organisation", String, nullable=False),
        Column("worker", String, nullable=False),
        Column("reason", String, nullable=False),
        Column("detail", String, nullable=False),
        Column("started_at", UtcTime, nullable=False),
        Column("ended_at", UtcTime),
    )
    op.create_index("runs_started_at", "runs", ["started_at"])
