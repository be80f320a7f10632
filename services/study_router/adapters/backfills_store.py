"""Backfills in the database."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select, update

from study_router.adapters.tables import BACKFILLED, BACKFILLS, JOBS, STUDIES
from study_router.domain.backfills import Backfill
from study_router.domain.jobs import State
from study_router.domain.studies import StudyState
from udckit.database import insert
from udcmodel.vocabulary import Priority


class SqlBackfills:
    """``ports.Backfills`` on one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, backfill: str) -> Backfill | None:
        """Return a backfill, or None."""
        row = self._connection.execute(select(BACKFILLS).where(BACKFILLS.c.backfill == backfill)).one_or_none()
        return None if row is None else _backfill(row)

    def add(self, backfill: Backfill) -> None:
        """Store a new backfill."""
        self._connection.execute(BACKFILLS.insert().values(**_values(backfill)))

    def save(self, backfill: Backfill) -> None:
        """Store how far it has come."""
        self._connection.execute(
            update(BACKFILLS).where(BACKFILLS.c.backfill == backfill.backfill).values(**_values(backfill))
        )

    def unfinished(self) -> Sequence[Backfill]:
        """Return the backfills that go on, oldest first."""
        rows = self._connection.execute(
            select(BACKFILLS).where(BACKFILLS.c.ended_at.is_(None)).order_by(BACKFILLS.c.ordered_at)
        )
        return [_backfill(row) for row in rows]

    def newest(self, *, limit: int) -> Sequence[Backfill]:
        """Return the newest backfills."""
        rows = self._connection.execute(select(BACKFILLS).order_by(BACKFILLS.c.ordered_at.desc()).limit(limit))
        return [_backfill(row) for row in rows]

    def next_studies(self, backfill: Backfill, *, limit: int) -> Sequence[str]:
        """Return the studies that follow its position."""
        query: Select[Any] = select(STUDIES.c.study).where(STUDIES.c.study > backfill.position)
        if backfill.days is None:
            query = query.where(STUDIES.c.study_instance_uid.in_(backfill.study_instance_uids))
        else:
            # Dates are kept as sent, and old archives send them with dots.
            first, last = (day.strftime("%Y%m%d") for day in backfill.days)
            query = query.where(func.replace(STUDIES.c.study_date, ".", "").between(first, last))
        return self._connection.execute(query.order_by(STUDIES.c.study).limit(limit)).scalars().all()

    def hand_on(self, backfill: Backfill, study: str) -> None:
        """Make the study the attachment's business."""
        self._connection.execute(
            insert(BACKFILLED, dialect=self._connection.dialect.name)
            .values(study=study, attachment=backfill.attachment, backfill=backfill.backfill)
            .on_conflict_do_nothing(index_elements=[BACKFILLED.c.study, BACKFILLED.c.attachment])
        )

    def attachments_of(self, study: str) -> frozenset[str]:
        """Return the attachments to which the study was handed."""
        return frozenset(
            self._connection.execute(select(BACKFILLED.c.attachment).where(BACKFILLED.c.study == study)).scalars()
        )

    def backlog(self, attachment: str, *, now: datetime) -> int:
        """Return how many closed studies wait to be looked at, and batch jobs of the attachment to be run.

        Studies that were put off are not counted: they hold up nothing.
        """
        studies = select(func.count()).where(STUDIES.c.due_at <= now, STUDIES.c.state == StudyState.CLOSED.value)
        jobs = select(func.count()).where(
            JOBS.c.state == State.PENDING.value,
            JOBS.c.attachment == attachment,
            JOBS.c.priority == Priority.BATCH.value,
        )
        return self._connection.execute(studies).scalar_one() + self._connection.execute(jobs).scalar_one()


def _values(backfill: Backfill) -> dict[str, Any]:
    first, last = backfill.days or (None, None)
    return {
        "backfill": backfill.backfill,
        "attachment": backfill.attachment,
        "from_day": "" if first is None else first.isoformat(),
        "to_day": "" if last is None else last.isoformat(),
        "study_instance_uids": list(backfill.study_instance_uids),
        "ordered_at": backfill.ordered_at,
        "position": backfill.position,
        "handed_on": backfill.handed_on,
        "ended_at": backfill.ended_at,
    }


def _backfill(row: Row[Any]) -> Backfill:
    return Backfill(
        backfill=row.backfill,
        attachment=row.attachment,
        days=(date.fromisoformat(row.from_day), date.fromisoformat(row.to_day)) if row.from_day else None,
        study_instance_uids=tuple(row.study_instance_uids),
        ordered_at=row.ordered_at,
        position=row.position,
        handed_on=row.handed_on,
        ended_at=row.ended_at,
    )
