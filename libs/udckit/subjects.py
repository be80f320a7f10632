"""Every subject, stream, durable consumer and bucket of the platform, named once.

A subject has a fixed number of lower-case tokens and never a DICOM UID, AE title or patient identifier: dots of a UID
would split into tokens, and subjects are visible to whoever monitors the broker.
"""

from typing import Final

PREFIX: Final = "udc.events.v1"

STREAM_EVENTS: Final = "EVENTS"
STREAM_DEAD_LETTERS: Final = "DLQ"
DEAD_LETTER_PREFIX: Final = "dlq"

SERVER_HEALTH: Final = "health.server.jsz"
"""Under this name an account imports ``$SYS.REQ.SERVER.PING.JSZ``, by which safe storage is proven."""

BUCKET_REGISTRY: Final = "registry"
BUCKET_POOLS: Final = "pools"
BUCKET_OBJECTS: Final = "objects"
BUCKET_GOLDEN: Final = "golden"
"""Golden cases and their images. What vendors put there takes no room from jobs, and is never forgotten."""

STUDY_COMPLETED: Final = f"{PREFIX}.study.completed"
STUDY_REVISED: Final = f"{PREFIX}.study.revised"
STUDY_QUARANTINED: Final = f"{PREFIX}.study.quarantined"

JOB_STARTED: Final = f"{PREFIX}.job.started"
JOB_PROGRESSED: Final = f"{PREFIX}.job.progressed"
JOB_RETURNED: Final = f"{PREFIX}.job.returned"
JOB_INFERRED: Final = f"{PREFIX}.job.inferred"
JOB_FAILED: Final = f"{PREFIX}.job.failed"
JOB_CANCELED: Final = f"{PREFIX}.job.canceled"
JOB_ENDED: Final = f"{PREFIX}.job.ended"
JOB_DISPATCHED: Final = f"{PREFIX}.job.dispatched"
"""Followed by two routing tokens: see ``job_dispatched``."""

RESULT_ACCEPTED: Final = f"{PREFIX}.result.accepted"
RESULT_ARCHIVED: Final = f"{PREFIX}.result.archived"
RESULT_FAILED: Final = f"{PREFIX}.result.failed"

DEVICE_REGISTERED: Final = f"{PREFIX}.device.registered"
DEVICE_ATTACHED: Final = f"{PREFIX}.device.attached"

DURABLE_ROUTER_JOBS: Final = "study-router-job"
DURABLE_ROUTER_RESULTS: Final = "study-router-result"
DURABLE_ARCHIVER_RESULTS: Final = "result-archiver-result"
DURABLE_SURVEILLANCE: Final = "surveillance-reporter-all"


def job_dispatched(pool: str, priority: str) -> str:
    """Return the subject on which work for ``pool`` is dispatched at ``priority`` (urgent, routine, batch)."""
    return f"{JOB_DISPATCHED}.{pool}.{priority}"


def durable_serving_jobs(pool: str) -> str:
    """Return the durable consumer from which all replicas of ``pool`` take work."""
    return f"model-serving-job-{pool}"


def dead_letter(subject: str) -> str:
    """Return where a message of ``subject`` goes when it cannot be handled."""
    return f"{DEAD_LETTER_PREFIX}.{subject}"
