"""The tables of the study router, beside those of the plumbing.

Patient identifiers are in ``studies`` only: identity needs them there, and nothing may carry them further.
"""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    text,
)

from udckit.database import SerialId, UtcTime

METADATA: Final = MetaData()

ARCHIVES: Final = Table(
    "archives",
    METADATA,
    Column("archive", String, primary_key=True),
    Column("organisation", String, nullable=False),
    Column("feed", String, nullable=False),
    Column("dicomweb_url", String, nullable=False),
    Column("orthanc_url", String, nullable=False),
    Column("credentials", String, nullable=False),
    Column("profile", String, nullable=False),
    # Number of the change of the registry that made this row what it is; replicas never go back behind it.
    Column("registry_revision", BigInteger, nullable=False),
)

DEVICE_VERSIONS: Final = Table(
    "device_versions",
    METADATA,
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
    Column("golden_digest", String, nullable=False, server_default=""),
    Column("golden_cases", Integer, nullable=False, server_default="0"),
    Column("registry_revision", BigInteger, nullable=False),
)

ATTACHMENTS: Final = Table(
    "attachments",
    METADATA,
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

REGISTRY_REVISION: Final = Table(
    "registry_revision",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("revision", BigInteger, nullable=False),
)

FEEDS: Final = Table(
    "feeds",
    METADATA,
    Column("archive", String, primary_key=True),
    Column("cursor", String, nullable=False),
    Column("swept_at", UtcTime),
)

ARRIVALS: Final = Table(
    "arrivals",
    METADATA,
    # A series in which something changed and whose metadata have not been read since.
    Column("archive", String, primary_key=True),
    Column("study_instance_uid", String, primary_key=True),
    Column("series_instance_uid", String, primary_key=True),
    Column("arrived_at", UtcTime, nullable=False),
    Column("touched_at", UtcTime, nullable=False),
    Column("not_before", UtcTime, nullable=False),
)
Index("arrivals_by_time", ARRIVALS.c.archive, ARRIVALS.c.not_before)
ARRIVALS_BY_AGE: Final = Index("arrivals_by_age", ARRIVALS.c.archive, ARRIVALS.c.arrived_at)

SWEEPS: Final = Table(
    "sweeps",
    METADATA,
    # How far a tier of sweeps has come in an archive that only answers queries.
    Column("archive", String, primary_key=True),
    Column("tier", String, primary_key=True),
    Column("began_at", UtcTime),
    Column("is_running", Boolean, nullable=False),
    Column("completed_at", UtcTime),
    Column("spans", JSON, nullable=False),
    Column("mark", String, nullable=False),
    Column("problem", String, nullable=False),
)

SEEN_STUDIES: Final = Table(
    "seen_studies",
    METADATA,
    # What a query told last of a study, by which a change is seen. NULL or empty where it told nothing.
    Column("archive", String, primary_key=True),
    Column("study_instance_uid", String, primary_key=True),
    Column("study_date", String, nullable=False),
    Column("study_second", Integer),
    Column("instances", Integer),
    Column("series", Integer),
    Column("modalities", JSON, nullable=False),
)
Index("seen_studies_by_date", SEEN_STUDIES.c.archive, SEEN_STUDIES.c.study_date)

STUDIES: Final = Table(
    "studies",
    METADATA,
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
    # Rises with every change of content: a decision made on an older content is not stored.
    Column("version", Integer, nullable=False),
    Column("is_forced", Boolean, nullable=False),
    Column("reason", String, nullable=False),
    Column("first_seen_at", UtcTime, nullable=False),
    Column("last_arrival_at", UtcTime, nullable=False),
    Column("due_at", UtcTime),
    Column("trace", String, nullable=False),
    Column("closed_at", UtcTime),
)
Index("studies_by_uid", STUDIES.c.study_instance_uid)
_DUE: Final = text("due_at IS NOT NULL")
Index("studies_due", STUDIES.c.due_at, sqlite_where=_DUE, postgresql_where=_DUE)
_NOT_CLOSED: Final = text("state <> 'CLOSED'")
Index("studies_not_closed", STUDIES.c.state, sqlite_where=_NOT_CLOSED, postgresql_where=_NOT_CLOSED)
Index("studies_by_arrival", STUDIES.c.last_arrival_at)

STUDY_HISTORY: Final = Table(
    "study_history",
    METADATA,
    Column("id", SerialId, primary_key=True),
    Column("study", String, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("event", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("detail", String, nullable=False),
)
Index("study_history_by_study", STUDY_HISTORY.c.study, STUDY_HISTORY.c.id)

LOCATIONS: Final = Table(
    "locations",
    METADATA,
    Column("study", String, primary_key=True),
    Column("archive", String, primary_key=True),
    Column("first_seen_at", UtcTime, nullable=False),
)

INSTANCES: Final = Table(
    "instances",
    METADATA,
    Column("study", String, primary_key=True),
    Column("archive", String, primary_key=True),
    Column("sop_instance_uid", String, primary_key=True),
    Column("series_instance_uid", String, nullable=False),
    Column("instance_class", String, nullable=False),
    Column("header", JSON, nullable=False),
    Column("arrived_at", UtcTime, nullable=False),
)
Index("instances_by_series", INSTANCES.c.archive, INSTANCES.c.series_instance_uid)

INSTANCE_LISTS: Final = Table(
    "instance_lists",
    METADATA,
    # The instances of a stack of a study that is closed, in place of their rows: a series has either rows or lists.
    Column("study", String, primary_key=True),
    Column("archive", String, primary_key=True),
    Column("series_instance_uid", String, primary_key=True),
    # Counts the lists of a series.
    Column("number", Integer, primary_key=True),
    Column("instance_class", String, nullable=False),
    Column("instances", Integer, nullable=False),
    # Of the content before it was compressed.
    Column("digest", String, nullable=False),
    Column("content", LargeBinary, nullable=False),
)
Index("instance_lists_by_series", INSTANCE_LISTS.c.archive, INSTANCE_LISTS.c.series_instance_uid)

OWN_OBJECTS: Final = Table(
    "own_objects",
    METADATA,
    Column("sop_instance_uid", String, primary_key=True),
    Column("job", String, nullable=False),
)

BACKFILLS: Final = Table(
    "backfills",
    METADATA,
    Column("backfill", String, primary_key=True),
    Column("attachment", String, nullable=False),
    Column("from_day", String, nullable=False),
    Column("to_day", String, nullable=False),
    Column("study_instance_uids", JSON, nullable=False),
    Column("ordered_at", UtcTime, nullable=False),
    # The last study that was looked at; studies are taken in the order of their ids.
    Column("position", String, nullable=False),
    Column("handed_on", Integer, nullable=False),
    Column("ended_at", UtcTime),
)

BACKFILLED: Final = Table(
    "backfilled",
    METADATA,
    # A study that is an attachment's business although it was complete before.
    Column("study", String, primary_key=True),
    Column("attachment", String, primary_key=True),
    Column("backfill", String, nullable=False),
)

SENDER_PAUSES: Final = Table(
    "sender_pauses",
    METADATA,
    # How long a station paused while it sent a study; NULL where there was nothing to pause between.
    Column("archive", String, primary_key=True),
    Column("station", String, primary_key=True),
    Column("study", String, primary_key=True),
    Column("stack_s", Float),
    Column("study_s", Float),
    Column("noted_at", UtcTime, nullable=False),
)
Index("sender_pauses_by_time", SENDER_PAUSES.c.archive, SENDER_PAUSES.c.station, SENDER_PAUSES.c.noted_at)

SENDER_PROFILES: Final = Table(
    "sender_profiles",
    METADATA,
    # What senders really send. A row is a revision and never changes, but for the time at which it went out of use.
    Column("organisation", String, primary_key=True),
    Column("profile", String, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("content", String, nullable=False),
    Column("source", String, nullable=False),
    Column("put_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
)

SENDER_STATEMENTS: Final = Table(
    "sender_statements",
    METADATA,
    # What senders said about the images of a study: procedure steps and notifications. UIDs and times only.
    Column("statement", String, primary_key=True),
    Column("study_instance_uid", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("status", String, nullable=False),
    Column("sender", String, nullable=False),
    Column("series", JSON, nullable=False),
    Column("began_at", UtcTime, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
)
Index("sender_statements_by_study", SENDER_STATEMENTS.c.study_instance_uid)

SNAPSHOTS: Final = Table(
    "snapshots",
    METADATA,
    # What a decision was based on: facts of the study and revisions of the rules. Never changed.
    Column("study", String, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("digest", String, primary_key=True),
    Column("facts", JSON, nullable=False),
    Column("rules", JSON, nullable=False),
    Column("taken_at", UtcTime, nullable=False),
)

JOBS: Final = Table(
    "jobs",
    METADATA,
    Column("job", String, primary_key=True),
    Column("study", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("run", Integer, nullable=False),
    Column("attachment", String, nullable=False),
    Column("grant", JSON, nullable=False),
    Column("inputs", JSON, nullable=False),
    # The archives of the inputs, each between spaces: what cannot be read now is not dispatched.
    Column("archives", String, nullable=False, server_default=""),
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
    # The next moment at which the watchdog has to look; NULL once nothing can be late any more.
    Column("timer_at", UtcTime),
    Column("trace", String, nullable=False),
)
Index("jobs_queue", JOBS.c.state, JOBS.c.pool, JOBS.c.attachment, JOBS.c.priority, JOBS.c.created_at)
Index("jobs_by_study", JOBS.c.study, JOBS.c.attachment)
_TIMED: Final = text("timer_at IS NOT NULL")
Index("jobs_timers", JOBS.c.timer_at, sqlite_where=_TIMED, postgresql_where=_TIMED)
Index("jobs_by_age", JOBS.c.created_at)

JOB_PROGRESS: Final = Table(
    "job_progress",
    METADATA,
    # The furthest that a worker has told of a job; nothing is decided by it.
    Column("job", String, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("stage", Integer, nullable=False),
    Column("retrieved", Integer, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("at", UtcTime, nullable=False),
)

JOB_HISTORY: Final = Table(
    "job_history",
    METADATA,
    Column("id", SerialId, primary_key=True),
    Column("job", String, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("event", String, nullable=False),
    Column("verdict", String, nullable=False),
    Column("state", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("detail", String, nullable=False),
)
Index("job_history_by_job", JOB_HISTORY.c.job, JOB_HISTORY.c.id)

DELIVERIES: Final = Table(
    "deliveries",
    METADATA,
    Column("job", String, primary_key=True),
    Column("archive", String, primary_key=True),
    Column("is_archived", Boolean, nullable=False),
    Column("noted_at", UtcTime, nullable=False),
)

OUTCOMES: Final = Table(
    "outcomes",
    METADATA,
    Column("id", SerialId, primary_key=True),
    Column("study", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("attachment", String, nullable=False),
    Column("device", String, nullable=False),
    Column("version", String, nullable=False),
    Column("job", String, nullable=False),
    # NULL while a job goes on.
    Column("outcome", String),
    Column("reason", String, nullable=False),
    Column("detail", String, nullable=False),
    Column("category", String, nullable=False),
    Column("successor", String, nullable=False),
    Column("snapshot", String, nullable=False),
    Column("decided_at", UtcTime, nullable=False),
    Column("is_current", Boolean, nullable=False),
)
_CURRENT: Final = text("is_current")
Index(
    "outcomes_one_current",
    OUTCOMES.c.study,
    OUTCOMES.c.revision,
    OUTCOMES.c.attachment,
    unique=True,
    sqlite_where=_CURRENT,
    postgresql_where=_CURRENT,
)
Index("outcomes_by_job", OUTCOMES.c.job)
