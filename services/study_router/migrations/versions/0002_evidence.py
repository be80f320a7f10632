"""Sweeps, sender profiles and statements, histories of studies, lists of instances, golden cases, progress of jobs."""

from alembic import op
from sqlalchemy import JSON, Boolean, Column, Integer, LargeBinary, String, text

from udckit.database import SerialId, UtcTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index("arrivals_by_age", "arrivals", ["archive", "arrived_at"])
    op.add_column("device_versions", Column("golden_digest", String, nullable=False, server_default=""))
    op.add_column("device_versions", Column("golden_cases", Integer, nullable=False, server_default="0"))
    op.create_table(
        "instance_lists",
        Column("study", String, primary_key=True),
        Column("archive", String, primary_key=True),
        Column("series_instance_uid", String, primary_key=True),
        Column("number", Integer, primary_key=True),
        Column("instance_class", String, nullable=False),
        Column("instances", Integer, nullable=False),
        Column("digest", String, nullable=False),
        Column("content", LargeBinary, nullable=False),
    )
    op.create_index("instance_lists_by_series", "instance_lists", ["archive", "series_instance_uid"])
    op.create_table(
        "job_progress",
        Column("job", String, primary_key=True),
        Column("attempt", Integer, nullable=False),
        Column("stage", Integer, nullable=False),
        Column("retrieved", Integer, nullable=False),
        Column("wanted", Integer, nullable=False),
        Column("at", UtcTime, nullable=False),
    )
    op.add_column("jobs", Column("archives", String, nullable=False, server_default=""))
    op.create_table(
        "seen_studies",
        Column("archive", String, primary_key=True),
        Column("study_instance_uid", String, primary_key=True),
        Column("study_date", String, nullable=False),
        Column("study_second", Integer),
        Column("instances", Integer),
        Column("series", Integer),
        Column("modalities", JSON, nullable=False),
    )
    op.create_index("seen_studies_by_date", "seen_studies", ["archive", "study_date"])
    op.create_table(
        "sender_profiles",
        Column("organisation", String, primary_key=True),
        Column("profile", String, primary_key=True),
        Column("revision", Integer, primary_key=True),
        Column("content", String, nullable=False),
        Column("source", String, nullable=False),
        Column("put_at", UtcTime, nullable=False),
        Column("ended_at", UtcTime),
    )
    op.create_table(
        "sender_statements",
        Column("statement", String, primary_key=True),
        Column("study_instance_uid", String, primary_key=True),
        Column("kind", String, nullable=False),
        Column("status", String, nullable=False),
        Column("sender", String, nullable=False),
        Column("series", JSON, nullable=False),
        Column("began_at", UtcTime, nullable=False),
        Column("changed_at", UtcTime, nullable=False),
    )
    op.create_index("sender_statements_by_study", "sender_statements", ["study_instance_uid"])
    op.add_column("studies", Column("closed_at", UtcTime))
    not_closed = text("state <> 'CLOSED'")
    op.create_index("studies_not_closed", "studies", ["state"], sqlite_where=not_closed, postgresql_where=not_closed)
    op.create_table(
        "study_history",
        Column("id", SerialId, primary_key=True),
        Column("study", String, nullable=False),
        Column("at", UtcTime, nullable=False),
        Column("event", String, nullable=False),
        Column("revision", Integer, nullable=False),
        Column("detail", String, nullable=False),
    )
    op.create_index("study_history_by_study", "study_history", ["study", "id"])
    op.create_table(
        "sweeps",
        Column("archive", String, primary_key=True),
        Column("tier", String, primary_key=True),
        Column("began_at", UtcTime),
        Column("is_running", Boolean, nullable=False),
        Column("completed_at", UtcTime),
        Column("spans", JSON, nullable=False),
        Column("mark", String, nullable=False),
        Column("problem", String, nullable=False),
    )
