"""Jobs and outcomes in the database."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from study_router.adapters.rows import ending_from, grant_from_json, grant_to_json, inputs_from_json, inputs_to_json
from study_router.adapters.tables import DELIVERIES, JOB_HISTORY, JOBS, OUTCOMES, OWN_OBJECTS
from study_router.domain.jobs import WORKING, State, Verdict, has_ended
from study_router.domain.queue import NOTHING_HELD, Held, Waiting
from study_router.domain.work import CurrentOutcome, HistoryEntry, Job, SubjectFacts
from udckit.database import insert
from udckit.errors import NotFoundError
from udcmodel.vocabulary import Outcome, Priority

Insert = postgresql.Insert | sqlite.Insert

_WORKING: Final = tuple(state.value for state in WORKING)
_UNFINISHED: Final = tuple(state.value for state in State if not has_ended(state))


def timer_of(job: Job) -> datetime | None:
    """Return when the watchdog has to look at ``job`` next."""
    if has_ended(job.state):
        return None
    if job.attempt_deadline is not None and job.state in {*WORKING, State.ARCHIVING}:
        return job.attempt_deadline if job.state is State.ARCHIVING else min(job.attempt_deadline, job.deadline)
    return job.deadline


class SqlJobs:
    """``ports.Jobs`` on one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, job: str) -> Job:
        """Return a job."""
        return self._required(job, self.find(job))

    def lock(self, job: str) -> Job:
        """Return a job that nobody else changes until the transaction ends."""
        row = self._connection.execute(select(JOBS).where(JOBS.c.job == job).with_for_update()).one_or_none()
        return self._required(job, None if row is None else _job(row))

    def find(self, job: str) -> Job | None:
        """Return a job, or None."""
        row = self._connection.execute(select(JOBS).where(JOBS.c.job == job)).one_or_none()
        return None if row is None else _job(row)

    @staticmethod
    def _required(name: str, job: Job | None) -> Job:
        if job is None:
            raise NotFoundError(f"there is no job {name}", job=name)
        return job

    def add(self, job: Job) -> None:
        """Store a new job."""
        self._connection.execute(JOBS.insert().values(**_values(job), result_digest=job.result_digest))

    def save(self, job: Job) -> None:
        """Store what changed. The result is written by ``accept`` only."""
        self._connection.execute(update(JOBS).where(JOBS.c.job == job.job).values(**_values(job)))

    def put_off(self, job: str, *, now: datetime, until: datetime, detail: str) -> None:
        """Let a waiting job wait until then, and note why; reads nothing of it, for that may be what fails."""
        attempt = self._connection.execute(
            update(JOBS)
            .where(JOBS.c.job == job, JOBS.c.state == State.PENDING.value)
            .values(not_before=until)
            .returning(JOBS.c.attempt)
        ).scalar_one_or_none()
        if attempt is not None:
            entry = HistoryEntry(
                at=now, event="PUT_OFF", verdict=Verdict.NOT_YET, state=State.PENDING, attempt=attempt, detail=detail
            )
            self.note(job, entry)

    def accept(self, job: str, digest: str) -> bool:
        """Make ``digest`` the one result of the job; False if it has one already."""
        accepted = self._connection.execute(
            update(JOBS).where(JOBS.c.job == job, JOBS.c.result_digest == "").values(result_digest=digest)
        )
        return accepted.rowcount == 1

    def accepted_before(self, *, study: str, attachment: str) -> int:
        """Return how many results were accepted for a study and attachment."""
        return self._connection.execute(
            select(func.count())
            .select_from(JOBS)
            .where(JOBS.c.study == study, JOBS.c.attachment == attachment, JOBS.c.result_digest != "")
        ).scalar_one()

    def note(self, job: str, entry: HistoryEntry) -> None:
        """Add to the history of a job."""
        self._connection.execute(
            JOB_HISTORY.insert().values(
                job=job,
                at=entry.at,
                event=entry.event,
                verdict=entry.verdict.value,
                state=entry.state.value,
                attempt=entry.attempt,
                detail=entry.detail,
            )
        )

    def history(self, job: str) -> Sequence[HistoryEntry]:
        """Return the history of a job, oldest first."""
        rows = self._connection.execute(select(JOB_HISTORY).where(JOB_HISTORY.c.job == job).order_by(JOB_HISTORY.c.id))
        return [
            HistoryEntry(
                at=row.at,
                event=row.event,
                verdict=Verdict(row.verdict),
                state=State(row.state),
                attempt=row.attempt,
                detail=row.detail,
            )
            for row in rows
        ]

    def changes_after(self, position: int, *, limit: int) -> tuple[Sequence[str], int]:
        """Return the jobs whose history grew after ``position``, and the new position."""
        rows = self._connection.execute(
            select(JOB_HISTORY.c.id, JOB_HISTORY.c.job)
            .where(JOB_HISTORY.c.id > position)
            .order_by(JOB_HISTORY.c.id)
            .limit(limit)
        ).all()
        jobs = list(dict.fromkeys(row.job for row in rows))
        return jobs, rows[-1].id if rows else position

    def last_change(self) -> int:
        """Return the position of the newest entry of any history."""
        last: int = self._connection.execute(select(func.coalesce(func.max(JOB_HISTORY.c.id), 0))).scalar_one()
        return last

    def waiting_pools(self, now: datetime) -> Sequence[str]:
        """Return the pools for which a job may start."""
        return (
            self._connection.execute(
                select(JOBS.c.pool).distinct().where(JOBS.c.state == State.PENDING.value, _may_start(now))
            )
            .scalars()
            .all()
        )

    def waiting(self, pool: str, *, now: datetime, each: int, held: Held = NOTHING_HELD) -> Sequence[Waiting]:
        """Return the oldest ``each`` jobs of every attachment and priority that may start in ``pool``."""
        line = (
            select(
                JOBS.c.job,
                JOBS.c.attachment,
                JOBS.c.priority,
                JOBS.c.created_at,
                func.row_number()
                .over(partition_by=(JOBS.c.attachment, JOBS.c.priority), order_by=(JOBS.c.created_at, JOBS.c.job))
                .label("place"),
            )
            .where(JOBS.c.state == State.PENDING.value, JOBS.c.pool == pool, _may_start(now))
            .where(JOBS.c.attachment.not_in(sorted(held.attachments)))
            .where(*(JOBS.c.archives.not_like(f"% {archive} %") for archive in sorted(held.archives)))
            .subquery()
        )
        rows = self._connection.execute(select(line).where(line.c.place <= each))
        return [Waiting(row.job, row.attachment, Priority(row.priority), row.created_at) for row in rows]

    def working(self, pool: str) -> Mapping[str, int]:
        """Return how many jobs of each attachment the workers of ``pool`` have."""
        rows = self._connection.execute(
            select(JOBS.c.attachment, func.count().label("count"))
            .where(JOBS.c.pool == pool, JOBS.c.state.in_(_WORKING))
            .group_by(JOBS.c.attachment)
        )
        return {row.attachment: row[1] for row in rows}

    def late(self, now: datetime, *, limit: int) -> Sequence[str]:
        """Return jobs with a timer that has run out."""
        return (
            self._connection.execute(
                select(JOBS.c.job).where(JOBS.c.timer_at <= now).order_by(JOBS.c.timer_at).limit(limit)
            )
            .scalars()
            .all()
        )

    def unfinished_of(self, study: str) -> Sequence[str]:
        """Return the jobs of a study that have not ended."""
        return (
            self._connection.execute(select(JOBS.c.job).where(JOBS.c.study == study, JOBS.c.state.in_(_UNFINISHED)))
            .scalars()
            .all()
        )

    def overdue(self, before: datetime, *, limit: int) -> Sequence[str]:
        """Return unfinished jobs all of whose deadlines were before ``before``."""
        attempt_is_over = JOBS.c.attempt_deadline.is_(None) | (JOBS.c.attempt_deadline < before)
        return (
            self._connection.execute(
                select(JOBS.c.job)
                .where(JOBS.c.state.in_(_UNFINISHED), JOBS.c.deadline < before, attempt_is_over)
                .order_by(JOBS.c.deadline, JOBS.c.job)
                .limit(limit)
            )
            .scalars()
            .all()
        )

    def archived_since(self, since: datetime, *, after: str, limit: int) -> Sequence[Job]:
        """Return jobs that were archived since then, in the order of their ids, page by page."""
        rows = self._connection.execute(
            select(JOBS)
            .where(JOBS.c.state == State.ARCHIVED.value, JOBS.c.ended_at >= since, JOBS.c.job > after)
            .order_by(JOBS.c.job)
            .limit(limit)
        )
        return [_job(row) for row in rows]

    def of_study(self, study: str) -> Sequence[Job]:
        """Return all jobs of a study, oldest first."""
        rows = self._connection.execute(
            select(JOBS).where(JOBS.c.study == study).order_by(JOBS.c.created_at, JOBS.c.run)
        )
        return [_job(row) for row in rows]

    def deliver(self, job: str, archive: str, *, is_archived: bool, at: datetime) -> None:
        """Note that a destination holds the result, or cannot take it; what is held stays held."""
        delivering = insert(DELIVERIES, dialect=self._connection.dialect.name).values(
            job=job, archive=archive, is_archived=is_archived, noted_at=at
        )
        self._connection.execute(
            delivering.on_conflict_do_update(
                index_elements=[DELIVERIES.c.job, DELIVERIES.c.archive],
                set_={"is_archived": is_archived, "noted_at": at},
                where=~DELIVERIES.c.is_archived,
            )
        )

    def deliveries(self, job: str) -> Mapping[str, bool]:
        """Return for each destination that reported whether it holds the result."""
        rows = self._connection.execute(select(DELIVERIES).where(DELIVERIES.c.job == job))
        return {row.archive: row.is_archived for row in rows}

    def search(self, *, limit: int, study: str = "", states: Collection[str] = ()) -> Sequence[Job]:
        """Return the newest jobs that match."""
        query: Select[Any] = select(JOBS).order_by(JOBS.c.created_at.desc(), JOBS.c.job).limit(limit)
        if study:
            query = query.where(JOBS.c.study == study)
        if states:
            query = query.where(JOBS.c.state.in_(states))
        return [_job(row) for row in self._connection.execute(query)]

    def own(self, job: str, sop_instance_uids: Collection[str]) -> None:
        """Remember instances as our own before they are stored."""
        if sop_instance_uids:
            owning = _owning(self._connection.dialect.name)
            self._connection.execute(owning, [{"sop_instance_uid": uid, "job": job} for uid in sop_instance_uids])

    def set_outcome(self, outcome: CurrentOutcome) -> None:
        """Make this the current outcome of its study revision and attachment."""
        self._connection.execute(
            update(OUTCOMES)
            .where(
                OUTCOMES.c.study == outcome.study,
                OUTCOMES.c.revision == outcome.revision,
                OUTCOMES.c.attachment == outcome.attachment,
                OUTCOMES.c.is_current,
            )
            .values(is_current=False)
        )
        self._connection.execute(
            OUTCOMES.insert().values(
                study=outcome.study,
                revision=outcome.revision,
                attachment=outcome.attachment,
                device=outcome.device,
                version=outcome.version,
                job=outcome.job,
                outcome=None if outcome.outcome is None else outcome.outcome.value,
                reason=outcome.ending.reason,
                detail=outcome.ending.detail,
                category="" if outcome.ending.category is None else outcome.ending.category.name,
                successor=outcome.successor,
                snapshot=outcome.snapshot,
                decided_at=outcome.decided_at,
                is_current=True,
            )
        )

    def outcomes_of_job(self, job: str) -> Sequence[CurrentOutcome]:
        """Return the current outcomes that rest on a job."""
        return self._outcomes(select(OUTCOMES).where(OUTCOMES.c.job == job))

    def outcomes(self, study: str, *, revision: int | None = None) -> Sequence[CurrentOutcome]:
        """Return the current outcomes of a study."""
        query = select(OUTCOMES).where(OUTCOMES.c.study == study)
        return self._outcomes(query if revision is None else query.where(OUTCOMES.c.revision == revision))

    def _outcomes(self, query: Select[Any]) -> Sequence[CurrentOutcome]:
        rows = self._connection.execute(
            query.where(OUTCOMES.c.is_current).order_by(OUTCOMES.c.revision, OUTCOMES.c.attachment)
        )
        return [
            CurrentOutcome(
                study=row.study,
                revision=row.revision,
                attachment=row.attachment,
                device=row.device,
                version=row.version,
                job=row.job,
                outcome=None if row.outcome is None else Outcome(row.outcome),
                ending=ending_from(row),
                decided_at=row.decided_at,
                successor=row.successor,
                snapshot=row.snapshot,
            )
            for row in rows
        ]


def _may_start(now: datetime) -> Any:
    return (JOBS.c.not_before.is_(None)) | (JOBS.c.not_before <= now)


@cache
def _owning(dialect: str) -> Insert:
    return insert(OWN_OBJECTS, dialect=dialect).on_conflict_do_nothing(index_elements=[OWN_OBJECTS.c.sop_instance_uid])


def _values(job: Job) -> dict[str, Any]:
    return {
        "job": job.job,
        "study": job.study,
        "revision": job.revision,
        "run": job.run,
        "attachment": job.grant.attachment,
        "grant": grant_to_json(job.grant),
        "inputs": inputs_to_json(job.inputs),
        "archives": f" {' '.join(sorted({item.archive for item in job.inputs}))} ",
        "pool": job.pool,
        "priority": job.priority.value,
        "attempt_limit_s": job.attempt_limit_s,
        "destinations": list(job.destinations),
        "issue": job.issue,
        "patient_fingerprint": job.patient_fingerprint,
        "facts": {
            "age_band": job.facts.age_band,
            "sex": job.facts.sex,
            "modality": job.facts.modality,
            "manufacturer": job.facts.manufacturer,
            "scanner_model": job.facts.scanner_model,
            "slice_spacing_mm": job.facts.slice_spacing_mm,
        },
        "state": job.state.value,
        "attempt": job.attempt,
        "failures": job.failures,
        "reason": job.ending.reason,
        "detail": job.ending.detail,
        "category": "" if job.ending.category is None else job.ending.category.name,
        "successor": job.successor,
        "created_at": job.created_at,
        "input_ready_at": job.input_ready_at,
        "not_before": job.not_before,
        "attempt_deadline": job.attempt_deadline,
        "dispatched_at": job.dispatched_at,
        "accepted_at": job.accepted_at,
        "ended_at": job.ended_at,
        "deadline": job.deadline,
        "timer_at": timer_of(job),
        "trace": job.trace,
    }


def _job(row: Row[Any]) -> Job:
    return Job(
        job=row.job,
        study=row.study,
        revision=row.revision,
        run=row.run,
        grant=grant_from_json(row.grant),
        inputs=inputs_from_json(row.inputs),
        pool=row.pool,
        priority=Priority(row.priority),
        attempt_limit_s=row.attempt_limit_s,
        destinations=tuple(row.destinations),
        issue=row.issue,
        patient_fingerprint=row.patient_fingerprint,
        facts=SubjectFacts(**row.facts),
        state=State(row.state),
        attempt=row.attempt,
        failures=row.failures,
        ending=ending_from(row),
        result_digest=row.result_digest,
        successor=row.successor,
        created_at=row.created_at,
        input_ready_at=row.input_ready_at,
        not_before=row.not_before,
        attempt_deadline=row.attempt_deadline,
        dispatched_at=row.dispatched_at,
        accepted_at=row.accepted_at,
        ended_at=row.ended_at,
        deadline=row.deadline,
        trace=row.trace,
    )
