"""A study router without its fence, which shows what the fence keeps out: ``python -m faults.without_fencing``.

Attempt numbers mean nothing to it, and each report of a result is taken for news: the last one becomes the job's.
"""

from typing import Any

from sqlalchemy import update

from study_router.__main__ import main
from study_router.adapters.jobs_store import SqlJobs
from study_router.adapters.tables import JOBS
from study_router.domain.jobs import Event, State, Step, Verdict
from study_router.domain.work import Job

_decide = Job.decide


def decide(job: Job, event: Event, *, attempt: int | None = None) -> Step:
    """Answer as if every report were of the attempt in hand, and a result always welcome."""
    del attempt
    return Step(Verdict.APPLY, State.INFERRED) if event is Event.INFERRED else _decide(job, event)


def accept(jobs: SqlJobs, job: str, digest: str) -> bool:
    """Make ``digest`` the result of the job, whatever it had before."""
    connection: Any = jobs._connection
    connection.execute(update(JOBS).where(JOBS.c.job == job).values(result_digest=digest))
    return True


if __name__ == "__main__":
    Job.decide = decide  # type: ignore[assignment,method-assign]  # sabotage
    SqlJobs.accept = accept  # type: ignore[assignment,method-assign]  # sabotage
    main()
