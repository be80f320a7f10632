"""Runs of golden cases."""

from alembic import op
from sqlalchemy import JSON, Boolean, Column, Integer, String

from udckit.database import UtcTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "golden_runs",
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("device", String, nullable=False),
        Column("version", String, nullable=False),
        Column("model_digest", String, nullable=False),
        Column("golden_digest", String, nullable=False),
        Column("processing_build", String, nullable=False),
        Column("processing_version", String, nullable=False),
        Column("is_passed", Boolean, nullable=False),
        Column("complaints", JSON, nullable=False),
        Column("worker", String, nullable=False),
        Column("at", UtcTime, nullable=False),
    )
    op.create_index("golden_runs_by_version", "golden_runs", ["device", "version", "id"])
