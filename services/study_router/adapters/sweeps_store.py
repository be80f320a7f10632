"""How far archives were swept and what was seen of their studies, in the database."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date

from sqlalchemy import Connection, delete, or_, select

from study_router.adapters.rows import chunks
from study_router.adapters.tables import LOCATIONS, SEEN_STUDIES, STUDIES, SWEEPS
from study_router.domain.listings import Fingerprint, ListedStudy, Span
from study_router.domain.studies import StudyState
from study_router.domain.sweeps import Sweep
from udckit.database import insert


class SqlSweeps:
    """``ports.Sweeps`` on one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name

    def of(self, archive: str) -> Mapping[str, Sweep]:
        """Return the sweeps of an archive by tier; a tier that never began is absent."""
        rows = self._connection.execute(select(SWEEPS).where(SWEEPS.c.archive == archive))
        return {
            row.tier: Sweep(
                archive=row.archive,
                tier=row.tier,
                began_at=row.began_at,
                is_running=row.is_running,
                completed_at=row.completed_at,
                spans=tuple(map(Span.from_plain, row.spans)),
                mark=row.mark,
                problem=row.problem,
            )
            for row in rows
        }

    def save(self, sweep: Sweep) -> None:
        """Note how far a sweep has come."""
        values = {
            "began_at": sweep.began_at,
            "is_running": sweep.is_running,
            "completed_at": sweep.completed_at,
            "spans": [span.to_plain() for span in sweep.spans],
            "mark": sweep.mark,
            "problem": sweep.problem,
        }
        self._connection.execute(
            insert(SWEEPS, dialect=self._dialect)
            .values(archive=sweep.archive, tier=sweep.tier, **values)
            .on_conflict_do_update(index_elements=[SWEEPS.c.archive, SWEEPS.c.tier], set_=values)
        )

    def fingerprints(self, archive: str, study_instance_uids: Collection[str]) -> Mapping[str, Fingerprint]:
        """Return what was seen last of each of these studies, where anything was."""
        found: dict[str, Fingerprint] = {}
        for chunk in chunks(study_instance_uids):
            rows = self._connection.execute(
                select(SEEN_STUDIES).where(
                    SEEN_STUDIES.c.archive == archive, SEEN_STUDIES.c.study_instance_uid.in_(chunk)
                )
            )
            found.update(
                {row.study_instance_uid: Fingerprint(row.instances, row.series, tuple(row.modalities)) for row in rows}
            )
        return found

    def keep(self, archive: str, studies: Collection[ListedStudy]) -> None:
        """Remember what was seen of studies."""
        if not studies:
            return
        keeping = insert(SEEN_STUDIES, dialect=self._dialect)
        names = ("study_date", "study_second", "instances", "series", "modalities")
        self._connection.execute(
            keeping.on_conflict_do_update(
                index_elements=[SEEN_STUDIES.c.archive, SEEN_STUDIES.c.study_instance_uid],
                set_={name: keeping.excluded[name] for name in names},
            ),
            [
                {
                    "archive": archive,
                    "study_instance_uid": study.study_instance_uid,
                    "study_date": study.moment.day.isoformat() if study.moment.day is not None else "",
                    "study_second": study.moment.second,
                    "instances": study.fingerprint.instances,
                    "series": study.fingerprint.series,
                    "modalities": list(study.fingerprint.modalities),
                }
                for study in studies
            ],
        )

    def forget(self, archive: str, study_instance_uids: Collection[str]) -> None:
        """Forget studies."""
        for chunk in chunks(study_instance_uids):
            self._connection.execute(
                delete(SEEN_STUDIES).where(
                    SEEN_STUDIES.c.archive == archive, SEEN_STUDIES.c.study_instance_uid.in_(chunk)
                )
            )

    def forget_before(self, archive: str, day: date) -> None:
        """Forget studies that were made before a day."""
        self._connection.execute(
            delete(SEEN_STUDIES).where(
                SEEN_STUDIES.c.archive == archive,
                SEEN_STUDIES.c.study_date != "",
                SEEN_STUDIES.c.study_date < day.isoformat(),
            )
        )

    def seen_in(self, archive: str, span: Span) -> Sequence[str]:
        """Return the studies seen that were made in ``span``; of a part of a day, those that have a time."""
        query = select(SEEN_STUDIES.c.study_instance_uid).where(
            SEEN_STUDIES.c.archive == archive,
            SEEN_STUDIES.c.study_date.between(span.first.isoformat(), span.last.isoformat()),
        )
        if span.is_part_of_a_day:
            # The second that two parts share is of the later one: a fraction of it is found by that one only.
            end = span.to_s if span.ends_the_day else span.to_s - 1
            query = query.where(SEEN_STUDIES.c.study_second.between(span.from_s, end))
        return self._connection.execute(query).scalars().all()

    def seen_without_time(self, archive: str, *, after: str, limit: int) -> Sequence[str]:
        """Return the studies seen that lack a day or a time of day, in order, page by page."""
        return (
            self._connection.execute(
                select(SEEN_STUDIES.c.study_instance_uid)
                .where(
                    SEEN_STUDIES.c.archive == archive,
                    or_(SEEN_STUDIES.c.study_date == "", SEEN_STUDIES.c.study_second.is_(None)),
                    SEEN_STUDIES.c.study_instance_uid > after,
                )
                .order_by(SEEN_STUDIES.c.study_instance_uid)
                .limit(limit)
            )
            .scalars()
            .all()
        )

    def open_studies(self, archive: str, *, after: str, limit: int) -> Sequence[str]:
        """Return the UIDs of the open studies known in an archive, in order, page by page."""
        return (
            self._connection.execute(
                select(STUDIES.c.study_instance_uid)
                .distinct()
                .select_from(STUDIES.join(LOCATIONS, LOCATIONS.c.study == STUDIES.c.study))
                .where(
                    STUDIES.c.state == StudyState.OPEN.value,
                    # An open study is always due some time; this finds the few of them among all that ever were.
                    STUDIES.c.due_at.is_not(None),
                    LOCATIONS.c.archive == archive,
                    STUDIES.c.study_instance_uid > after,
                )
                .order_by(STUDIES.c.study_instance_uid)
                .limit(limit)
            )
            .scalars()
            .all()
        )
