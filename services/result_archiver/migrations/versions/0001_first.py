"""The first schema."""

from alembic import op
from sqlalchemy import Column, ForeignKeyConstraint, Integer, LargeBinary, String, UniqueConstraint

from udckit.database import UtcTime
from udckit.plumbing_tables import create_plumbing_tables_v1

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_plumbing_tables_v1(op)
    op.create_table(
        "deliveries",
        Column("job", String, primary_key=True),
        Column("result_digest", String, primary_key=True),
        Column("archive", String, primary_key=True),
        Column("state", String, nullable=False),
        Column("reason", String, nullable=False),
        Column("detail", String, nullable=False),
        Column("created_at", UtcTime, nullable=False),
        Column("changed_at", UtcTime, nullable=False),
    )
    op.create_table(
        "results",
        Column("job", String, primary_key=True),
        Column("result_digest", String, primary_key=True),
        Column("study_instance_uid", String, nullable=False),
        Column("witness_series_uid", String, nullable=False),
        Column("witness_instance_uid", String, nullable=False),
        Column("builder_version", String, nullable=False),
        Column("snapshot", LargeBinary, nullable=False),
        Column("built_at", UtcTime, nullable=False),
    )
    op.create_table(
        "objects",
        Column("job", String, primary_key=True),
        Column("result_digest", String, primary_key=True),
        Column("position", Integer, primary_key=True),
        Column("kind", String, nullable=False),
        Column("sop_class_uid", String, nullable=False),
        Column("sop_instance_uid", String, nullable=False),
        Column("series_instance_uid", String, nullable=False),
        Column("digest", String, nullable=False),
        Column("content", LargeBinary, nullable=False),
        ForeignKeyConstraint(["job", "result_digest"], ["results.job", "results.result_digest"]),
        UniqueConstraint("sop_instance_uid", name="objects_sop_instance_uid"),
    )
    op.create_table(
        "proofs",
        Column("job", String, primary_key=True),
        Column("result_digest", String, primary_key=True),
        Column("archive", String, primary_key=True),
        Column("sop_instance_uid", String, primary_key=True),
        Column("stored_at", UtcTime),
        Column("verified_at", UtcTime),
        ForeignKeyConstraint(
            ["job", "result_digest", "archive"], ["deliveries.job", "deliveries.result_digest", "deliveries.archive"]
        ),
    )
