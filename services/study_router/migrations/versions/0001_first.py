"""The first schema."""

from alembic import op
from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Integer, LargeBinary, String, text

from udckit.database import SerialId, UtcTime
from udckit.plumbing_tables import create_plumbing_tables_v1

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_plumbing_tables_v1(op)
    op.create_table(
        "archives",
        Column("archive", String, primary_key=True),
        Column("organisation", String, nullable=False),
        Column("feed", String, nullable=False),
        Column("dicomweb_url", String, nullable=False),
        Column("orthanc_url", String, nullable=False),
        Column("credentials", String, nullable=False),
        Column("profile", String, nullable=False),
        Column("registry_revision", BigInteger, nullable=False),
    )
    op.create_table(
        "arrivals",
        Column("archive", String, primary_key=True),
        Column("study_instance_uid", String, primary_key=True),
        Column("series_instance_uid", String, primary_key=True),
        Column("arrived_at", UtcTime, nullable=False),
        Column("touched_at", UtcTime, nullable=False),
        Column("not_before", UtcTime, nullable=False),
    )
    op.create_index("arrivals_by_time", "arrivals", ["archive", "not_before"])
    op.create_table(
        "attachments",
        Column("attachment", String, primary_key=True),
        Column("revision", Integer, nullable=False),
        Column("device", String, nullable=False),
        Column("version", String, nullable=False),
        Column("mode", String, nullable=False),
        Column("organisations", JSON, nullable=False),
        Column("sources", JSON, nullable=False),
        Column("destinations", JSON, nullable=False),
        Column("rule", String, nullable=False),
        Column("pool", String, nullable=False),
        Column("priority", String, nullable=False),
        Column("deadline_s", Integer, nullable=False),
        Column("effective_from", UtcTime, nullable=False),
        Column("is_suspended", Boolean, nullable=False),
        Column("registry_revision", BigInteger, nullable=False),
    )
    op.create_table(
        "backfilled",
        Column("study", String, primary_key=True),
        Column("attachment", String, primary_key=True),
        Column("backfill", String, nullable=False),
    )
    op.create_table(
        "backfills",
        Column("backfill", String, primary_key=True),
        Column("attachment", String, nullable=False),
        Column("from_day", String, nullable=False),
        Column("to_day", String, nullable=False),
        Column("study_instance_uids", JSON, nullable=False),
        Column("ordered_at", UtcTime, nullable=False),
        Column("position", String, nullable=False),
        Column("handed_on", Integer, nullable=False),
        Column("ended_at", UtcTime),
    )
    op.create_table(
        "deliveries",
        Column("job", String, primary_key=True),
        Column("archive", String, primary_key=True),
        Column("is_archived", Boolean, nullable=False),
        Column("noted_at", UtcTime, nullable=False),
    )
    op.create_table(
        "device_versions",
        Column("device", String, primary_key=True),
        Column("version", String, primary_key=True),
        Column("title_ru", String, nullable=False),
        Column("title_en", String, nullable=False),
        Column("vendor", String, nullable=False),
        Column("manifest", LargeBinary, nullable=False),
        Column("manifest_digest", String, nullable=False),
        Column("model_digest", String, nullable=False),
        Column("is_medical_device", Boolean, nullable=False),
        Column("certificate", JSON),
        Column("pool", String, nullable=False),
        Column("timeout_s", Integer, nullable=False),
        Column("is_suspended", Boolean, nullable=False),
        Column("suspension_reason", String, nullable=False),
        Column("registry_revision", BigInteger, nullable=False),
    )
    op.create_table(
        "feeds",
        Column("archive", String, primary_key=True),
        Column("cursor", String, nullable=False),
        Column("swept_at", UtcTime),
    )
    op.create_table(
        "instances",
        Column("study", String, primary_key=True),
        Column("archive", String, primary_key=True),
        Column("sop_instance_uid", String, primary_key=True),
        Column("series_instance_uid", String, nullable=False),
        Column("instance_class", String, nullable=False),
        Column("header", JSON, nullable=False),
        Column("arrived_at", UtcTime, nullable=False),
    )
    op.create_index("instances_by_series", "instances", ["archive", "series_instance_uid"])
    op.create_table(
        "job_history",
        Column("id", SerialId, primary_key=True),
        Column("job", String, nullable=False),
        Column("at", UtcTime, nullable=False),
        Column("event", String, nullable=False),
        Column("verdict", String, nullable=False),
        Column("state", String, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("detail", String, nullable=False),
    )
    op.create_index("job_history_by_job", "job_history", ["job", "id"])
    op.create_table(
        "jobs",
        Column("job", String, primary_key=True),
        Column("study", String, nullable=False),
        Column("revision", Integer, nullable=False),
        Column("run", Integer, nullable=False),
        Column("attachment", String, nullable=False),
        Column("grant", JSON, nullable=False),
        Column("inputs", JSON, nullable=False),
        Column("pool", String, nullable=False),
        Column("priority", String, nullable=False),
        Column("attempt_limit_s", Integer, nullable=False),
        Column("destinations", JSON, nullable=False),
        Column("issue", Integer, nullable=False),
        Column("patient_fingerprint", String, nullable=False),
        Column("facts", JSON, nullable=False),
        Column("state", String, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("failures", Integer, nullable=False),
        Column("reason", String, nullable=False),
        Column("detail", String, nullable=False),
        Column("category", String, nullable=False),
        Column("result_digest", String, nullable=False),
        Column("successor", String, nullable=False),
        Column("created_at", UtcTime, nullable=False),
        Column("input_ready_at", UtcTime, nullable=False),
        Column("not_before", UtcTime),
        Column("attempt_deadline", UtcTime),
        Column("dispatched_at", UtcTime),
        Column("accepted_at", UtcTime),
        Column("ended_at", UtcTime),
        Column("deadline", UtcTime, nullable=False),
        Column("timer_at", UtcTime),
        Column("trace", String, nullable=False),
    )
    op.create_index("jobs_by_age", "jobs", ["created_at"])
    op.create_index("jobs_by_study", "jobs", ["study", "attachment"])
    op.create_index("jobs_queue", "jobs", ["state", "pool", "attachment", "priority", "created_at"])
    op.create_index(
        "jobs_timers",
        "jobs",
        ["timer_at"],
        sqlite_where=text("timer_at IS NOT NULL"),
        postgresql_where=text("timer_at IS NOT NULL"),
    )
    op.create_table(
        "locations",
        Column("study", String, primary_key=True),
        Column("archive", String, primary_key=True),
        Column("first_seen_at", UtcTime, nullable=False),
    )
    op.create_table(
        "outcomes",
        Column("id", SerialId, primary_key=True),
        Column("study", String, nullable=False),
        Column("revision", Integer, nullable=False),
        Column("attachment", String, nullable=False),
        Column("device", String, nullable=False),
        Column("version", String, nullable=False),
        Column("job", String, nullable=False),
        Column("outcome", String),
        Column("reason", String, nullable=False),
        Column("detail", String, nullable=False),
        Column("category", String, nullable=False),
        Column("successor", String, nullable=False),
        Column("snapshot", String, nullable=False),
        Column("decided_at", UtcTime, nullable=False),
        Column("is_current", Boolean, nullable=False),
    )
    op.create_index("outcomes_by_job", "outcomes", ["job"])
    op.create_index(
        "outcomes_one_current",
        "outcomes",
        ["study", "revision", "attachment"],
        unique=True,
        sqlite_where=text("is_current"),
        postgresql_where=text("is_current"),
    )
    op.create_table(
        "own_objects",
        Column("sop_instance_uid", String, primary_key=True),
        Column("job", String, nullable=False),
    )
    op.create_table(
        "registry_revision",
        Column("id", Integer, primary_key=True),
        Column("revision", BigInteger, nullable=False),
    )
    op.create_table(
        "sender_pauses",
        Column("archive", String, primary_key=True),
        Column("station", String, primary_key=True),
        Column("study", String, primary_key=True),
        Column("stack_s", Float),
        Column("study_s", Float),
        Column("noted_at", UtcTime, nullable=False),
    )
    op.create_index("sender_pauses_by_time", "sender_pauses", ["archive", "station", "noted_at"])
    op.create_table(
        "snapshots",
        Column("study", String, primary_key=True),
        Column("revision", Integer, primary_key=True),
        Column("digest", String, primary_key=True),
        Column("facts", JSON, nullable=False),
        Column("rules", JSON, nullable=False),
        Column("taken_at", UtcTime, nullable=False),
    )
    op.create_table(
        "studies",
        Column("study", String, primary_key=True),
        Column("study_instance_uid", String, nullable=False),
        Column("patient_id", String, nullable=False),
        Column("issuer", String, nullable=False),
        Column("birth_date", String, nullable=False),
        Column("sex", String, nullable=False),
        Column("age", String, nullable=False),
        Column("study_date", String, nullable=False),
        Column("description", String, nullable=False),
        Column("organisation", String, nullable=False),
        Column("state", String, nullable=False),
        Column("revision", Integer, nullable=False),
        Column("version", Integer, nullable=False),
        Column("is_forced", Boolean, nullable=False),
        Column("reason", String, nullable=False),
        Column("first_seen_at", UtcTime, nullable=False),
        Column("last_arrival_at", UtcTime, nullable=False),
        Column("due_at", UtcTime),
        Column("trace", String, nullable=False),
    )
    op.create_index("studies_by_arrival", "studies", ["last_arrival_at"])
    op.create_index("studies_by_uid", "studies", ["study_instance_uid"])
    op.create_index(
        "studies_due",
        "studies",
        ["due_at"],
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    )
    op.execute("INSERT INTO registry_revision (id, revision) VALUES (1, 0)")
