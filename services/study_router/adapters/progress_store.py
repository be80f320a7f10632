"""How far the workers are, in the database."""

from sqlalchemy import Connection, select, tuple_

from study_router.adapters.tables import JOB_PROGRESS
from study_router.domain.work import Progress
from udckit.database import insert


class SqlProgress:
    """``ports.ProgressOfJobs`` on one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def advance(self, job: str, progress: Progress) -> None:
        """Keep how far a worker is, unless one was as far: what comes late or twice changes nothing."""
        values = {
            "attempt": progress.attempt,
            "stage": progress.stage,
            "retrieved": progress.retrieved,
            "wanted": progress.wanted,
            "at": progress.at,
        }
        place = ("attempt", "stage", "retrieved")
        putting = insert(JOB_PROGRESS, dialect=self._connection.dialect.name).values(job=job, **values)
        self._connection.execute(
            putting.on_conflict_do_update(
                index_elements=[JOB_PROGRESS.c.job],
                set_=values,
                where=tuple_(*(JOB_PROGRESS.c[name] for name in place))
                < tuple_(*(putting.excluded[name] for name in place)),
            )
        )

    def of(self, job: str) -> Progress | None:
        """Return the furthest that was kept, or None."""
        row = self._connection.execute(select(JOB_PROGRESS).where(JOB_PROGRESS.c.job == job)).one_or_none()
        if row is None:
            return None
        return Progress(attempt=row.attempt, stage=row.stage, retrieved=row.retrieved, wanted=row.wanted, at=row.at)
