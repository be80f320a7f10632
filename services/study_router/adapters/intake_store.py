"""What was touched in the archives and how far they were read, in the database."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from study_router.adapters.instances_store import PLACES
from study_router.adapters.rows import chunks
from study_router.adapters.tables import ARRIVALS, FEEDS, LOCATIONS, STUDIES
from study_router.domain.studies import Touched
from study_router.ports import Arrival
from udckit.database import insert


class SqlIntake:
    """``ports.Intake`` on one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name

    def touch(self, archive: str, touched: Collection[Touched], *, now: datetime, pause_s: float) -> None:
        """Note series whose metadata have to be read once nothing came for ``pause_s``."""
        if not touched:
            return
        touching = insert(ARRIVALS, dialect=self._dialect)
        self._connection.execute(
            touching.on_conflict_do_update(
                index_elements=[ARRIVALS.c.archive, ARRIVALS.c.study_instance_uid, ARRIVALS.c.series_instance_uid],
                set_={name: touching.excluded[name] for name in ("arrived_at", "touched_at", "not_before")},
            ),
            [
                {
                    "archive": archive,
                    "study_instance_uid": item.study_instance_uid,
                    "series_instance_uid": item.series_instance_uid,
                    "arrived_at": item.arrived_at,
                    "touched_at": now,
                    "not_before": now + timedelta(seconds=pause_s),
                }
                for item in touched
            ],
        )

    def arrivals(self, archive: str, now: datetime, *, limit: int) -> Sequence[Arrival]:
        """Return series of an archive to be read now, the newest first: history must not hold up what comes."""
        rows = self._connection.execute(
            select(ARRIVALS)
            .where(ARRIVALS.c.archive == archive, ARRIVALS.c.not_before <= now)
            .order_by(ARRIVALS.c.arrived_at.desc())
            .limit(limit)
        )
        return [
            Arrival(
                archive=row.archive,
                study_instance_uid=row.study_instance_uid,
                series_instance_uid=row.series_instance_uid,
                arrived_at=row.arrived_at,
                touched_at=row.touched_at,
            )
            for row in rows
        ]

    def settle(self, arrival: Arrival) -> None:
        """Forget an arrival, unless the series was touched again meanwhile."""
        self._connection.execute(delete(ARRIVALS).where(*_same(arrival), ARRIVALS.c.touched_at == arrival.touched_at))

    def put_off(self, arrival: Arrival, until: datetime) -> None:
        """Leave an arrival alone until then, unless the series was touched again meanwhile."""
        self._connection.execute(
            update(ARRIVALS)
            .where(*_same(arrival), ARRIVALS.c.touched_at == arrival.touched_at)
            .values(not_before=until)
        )

    def has_arrivals(self, study_instance_uid: str) -> bool:
        """Say whether a series of the study still has to be read."""
        return (
            self._connection.execute(
                select(ARRIVALS.c.archive).where(ARRIVALS.c.study_instance_uid == study_instance_uid).limit(1)
            ).first()
            is not None
        )

    def counts(self, archive: str, study_instance_uids: Collection[str]) -> Mapping[str, int]:
        """Return how many instances of each study an archive held when it was last read."""
        found: Counter[str] = Counter()
        for chunk in chunks(study_instance_uids):
            for table, number in PLACES:
                rows = self._connection.execute(
                    select(STUDIES.c.study_instance_uid, number)
                    .select_from(table.join(STUDIES, STUDIES.c.study == table.c.study))
                    .where(table.c.archive == archive, STUDIES.c.study_instance_uid.in_(chunk))
                    .group_by(STUDIES.c.study_instance_uid)
                )
                found.update({row[0]: row[1] for row in rows})
        return found

    def study_uids(self, archive: str, *, after: str, limit: int) -> Sequence[str]:
        """Return the UIDs of the studies known in an archive, in order, page by page."""
        return (
            self._connection.execute(
                select(STUDIES.c.study_instance_uid)
                .distinct()
                .select_from(STUDIES.join(LOCATIONS, LOCATIONS.c.study == STUDIES.c.study))
                .where(LOCATIONS.c.archive == archive, STUDIES.c.study_instance_uid > after)
                .order_by(STUDIES.c.study_instance_uid)
                .limit(limit)
            )
            .scalars()
            .all()
        )

    def series_counts(self, archive: str, series_instance_uids: Collection[str]) -> Mapping[str, int]:
        """Return how many instances of each series an archive held when it was last read."""
        found: Counter[str] = Counter()
        for chunk in chunks(series_instance_uids):
            for table, number in PLACES:
                rows = self._connection.execute(
                    select(table.c.series_instance_uid, number)
                    .where(table.c.archive == archive, table.c.series_instance_uid.in_(chunk))
                    .group_by(table.c.series_instance_uid)
                )
                found.update({row[0]: row[1] for row in rows})
        return found

    def waiting_since(self, study_instance_uid: str) -> datetime | None:
        """Return since when a series of the study waits to be read; None when all were."""
        return self._connection.execute(
            select(func.min(ARRIVALS.c.touched_at)).where(ARRIVALS.c.study_instance_uid == study_instance_uid)
        ).scalar_one_or_none()

    def series_of(self, archive: str, study_instance_uid: str) -> Sequence[str]:
        """Return the series known of a study in an archive."""
        found: set[str] = set()
        for table, _ in PLACES:
            found.update(
                self._connection.execute(
                    select(table.c.series_instance_uid)
                    .distinct()
                    .select_from(table.join(STUDIES, STUDIES.c.study == table.c.study))
                    .where(table.c.archive == archive, STUDIES.c.study_instance_uid == study_instance_uid)
                ).scalars()
            )
        return sorted(found)

    def cursor(self, archive: str) -> str:
        """Return how far the feed of an archive was read; empty before the first time."""
        found = self._connection.execute(select(FEEDS.c.cursor).where(FEEDS.c.archive == archive)).scalar_one_or_none()
        return found or ""

    def move_cursor(self, archive: str, cursor: str) -> None:
        """Note how far the feed of an archive was read."""
        self._connection.execute(
            insert(FEEDS, dialect=self._dialect)
            .values(archive=archive, cursor=cursor)
            .on_conflict_do_update(index_elements=[FEEDS.c.archive], set_={"cursor": cursor})
        )

    def swept_at(self, archive: str) -> datetime | None:
        """Return when everything of an archive was last compared."""
        return self._connection.execute(select(FEEDS.c.swept_at).where(FEEDS.c.archive == archive)).scalar_one_or_none()

    def note_sweep(self, archive: str, at: datetime) -> None:
        """Note that everything of an archive was compared."""
        self._connection.execute(
            insert(FEEDS, dialect=self._dialect)
            .values(archive=archive, cursor="", swept_at=at)
            .on_conflict_do_update(index_elements=[FEEDS.c.archive], set_={"swept_at": at})
        )


def _same(arrival: Arrival) -> tuple[Any, ...]:
    return (
        ARRIVALS.c.archive == arrival.archive,
        ARRIVALS.c.study_instance_uid == arrival.study_instance_uid,
        ARRIVALS.c.series_instance_uid == arrival.series_instance_uid,
    )
