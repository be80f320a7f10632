"""Studies and what was decided about them, in the database."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, select, update

from study_router.adapters.instances_store import SqlInstances
from study_router.adapters.rows import chunks
from study_router.adapters.tables import LOCATIONS, OWN_OBJECTS, SNAPSHOTS, STUDIES, STUDY_HISTORY
from study_router.domain.studies import Patient, Study, StudyEntry, StudyEvent, StudyState
from study_router.ports import Snapshot
from udckit.database import insert
from udckit.errors import NotFoundError


class SqlStudies(SqlInstances):
    """``ports.Studies`` on one transaction."""

    def get(self, study: str) -> Study:
        """Return a study."""
        row = self._connection.execute(select(STUDIES).where(STUDIES.c.study == study)).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no study {study}", study=study)
        return _study(row)

    def lock(self, study: str) -> Study | None:
        """Return a study that nobody else changes until the transaction ends, or None."""
        row = self._connection.execute(select(STUDIES).where(STUDIES.c.study == study).with_for_update()).one_or_none()
        return None if row is None else _study(row)

    def find(self, *, study_instance_uid: str) -> Sequence[Study]:
        """Return the studies of that UID; more than one means several patients."""
        rows = self._connection.execute(
            select(STUDIES).where(STUDIES.c.study_instance_uid == study_instance_uid).order_by(STUDIES.c.first_seen_at)
        )
        return [_study(row) for row in rows]

    def search(self, *, limit: int, study_instance_uid: str = "") -> Sequence[Study]:
        """Return the studies in which something arrived last."""
        query: Select[Any] = select(STUDIES).order_by(STUDIES.c.last_arrival_at.desc(), STUDIES.c.study).limit(limit)
        if study_instance_uid:
            query = query.where(STUDIES.c.study_instance_uid == study_instance_uid)
        return [_study(row) for row in self._connection.execute(query)]

    def add(self, study: Study) -> None:
        """Store a new study."""
        self._connection.execute(STUDIES.insert().values(**_values(study)))

    def save(self, study: Study) -> None:
        """Store what changed."""
        self._connection.execute(update(STUDIES).where(STUDIES.c.study == study.study).values(**_values(study)))

    def hasten(self, now: datetime) -> None:
        """Have every open study looked at now."""
        self._connection.execute(
            update(STUDIES).where(STUDIES.c.state == StudyState.OPEN.value, STUDIES.c.due_at > now).values(due_at=now)
        )

    def note(self, study: str, entry: StudyEntry) -> None:
        """Add to the history of a study."""
        self._connection.execute(
            STUDY_HISTORY.insert().values(
                study=study, at=entry.at, event=entry.event.value, revision=entry.revision, detail=entry.detail
            )
        )

    def history(self, study: str) -> Sequence[StudyEntry]:
        """Return the history of a study, oldest first."""
        rows = self._connection.execute(
            select(STUDY_HISTORY).where(STUDY_HISTORY.c.study == study).order_by(STUDY_HISTORY.c.id)
        )
        return [
            StudyEntry(at=row.at, event=StudyEvent(row.event), revision=row.revision, detail=row.detail) for row in rows
        ]

    def due(self, now: datetime, *, limit: int) -> Sequence[str]:
        """Return studies that have to be looked at."""
        return (
            self._connection.execute(
                select(STUDIES.c.study).where(STUDIES.c.due_at <= now).order_by(STUDIES.c.due_at).limit(limit)
            )
            .scalars()
            .all()
        )

    def touched_since(self, since: datetime, *, after: str, limit: int) -> Sequence[str]:
        """Return studies in which a source instance arrived since then, in the order of their ids, page by page."""
        return (
            self._connection.execute(
                select(STUDIES.c.study)
                .where(STUDIES.c.last_arrival_at >= since, STUDIES.c.study > after)
                .order_by(STUDIES.c.study)
                .limit(limit)
            )
            .scalars()
            .all()
        )

    def locate(self, study: str, archive: str, *, at: datetime) -> None:
        """Note that an archive holds the study."""
        self._connection.execute(
            insert(LOCATIONS, dialect=self._dialect)
            .values(study=study, archive=archive, first_seen_at=at)
            .on_conflict_do_nothing(index_elements=[LOCATIONS.c.study, LOCATIONS.c.archive])
        )

    def locations(self, study: str) -> Sequence[str]:
        """Return the archives that hold the study, first seen first."""
        return (
            self._connection.execute(
                select(LOCATIONS.c.archive)
                .where(LOCATIONS.c.study == study)
                .order_by(LOCATIONS.c.first_seen_at, LOCATIONS.c.archive)
            )
            .scalars()
            .all()
        )

    def own_among(self, sop_instance_uids: Collection[str]) -> frozenset[str]:
        """Return which of these were announced by our archiver."""
        found: set[str] = set()
        for chunk in chunks(sop_instance_uids):
            found.update(
                self._connection.execute(
                    select(OWN_OBJECTS.c.sop_instance_uid).where(OWN_OBJECTS.c.sop_instance_uid.in_(chunk))
                ).scalars()
            )
        return frozenset(found)

    def keep_snapshot(self, study: str, revision: int, snapshot: Snapshot, *, at: datetime) -> None:
        """Store what a decision was based on; a snapshot known already stays as it is."""
        self._connection.execute(
            insert(SNAPSHOTS, dialect=self._dialect)
            .values(
                study=study,
                revision=revision,
                digest=snapshot.digest,
                facts=snapshot.facts,
                rules=snapshot.rules,
                taken_at=at,
            )
            .on_conflict_do_nothing(index_elements=[SNAPSHOTS.c.study, SNAPSHOTS.c.revision, SNAPSHOTS.c.digest])
        )

    def snapshot(self, study: str, revision: int) -> Snapshot | None:
        """Return the newest snapshot of a study revision."""
        row = self._connection.execute(
            select(SNAPSHOTS)
            .where(SNAPSHOTS.c.study == study, SNAPSHOTS.c.revision == revision)
            .order_by(SNAPSHOTS.c.taken_at.desc())
            .limit(1)
        ).first()
        return None if row is None else Snapshot(digest=row.digest, facts=row.facts, rules=row.rules)


def _values(study: Study) -> dict[str, Any]:
    return {
        "study": study.study,
        "study_instance_uid": study.study_instance_uid,
        "patient_id": study.patient.patient_id,
        "issuer": study.patient.issuer,
        "birth_date": study.patient.birth_date,
        "sex": study.patient.sex,
        "age": study.age,
        "study_date": study.study_date,
        "description": study.description,
        "organisation": study.organisation,
        "state": study.state.value,
        "revision": study.revision,
        "version": study.version,
        "is_forced": study.is_forced,
        "reason": study.reason,
        "first_seen_at": study.first_seen_at,
        "last_arrival_at": study.last_arrival_at,
        "due_at": study.due_at,
        "trace": study.trace,
        "closed_at": study.closed_at,
    }


def _study(row: Row[Any]) -> Study:
    return Study(
        study=row.study,
        study_instance_uid=row.study_instance_uid,
        patient=Patient(patient_id=row.patient_id, issuer=row.issuer, birth_date=row.birth_date, sex=row.sex),
        age=row.age,
        study_date=row.study_date,
        description=row.description,
        organisation=row.organisation,
        state=StudyState(row.state),
        revision=row.revision,
        version=row.version,
        is_forced=row.is_forced,
        reason=row.reason,
        first_seen_at=row.first_seen_at,
        last_arrival_at=row.last_arrival_at,
        due_at=row.due_at,
        trace=row.trace,
        closed_at=row.closed_at,
    )
