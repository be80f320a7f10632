"""What is known of each case, and the counts, in tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from itertools import islice
from typing import Any, Final, assert_never

from sqlalchemy import Connection, Row, Table, and_, delete, select, update

from surveillance_reporter.adapters.tables import ACCEPTED, COUNTING, COUNTS, ENDINGS, INFERRED
from surveillance_reporter.domain.counting import Bucket, Knowledge, Verdict
from surveillance_reporter.domain.facts import Accepted, Case, Ended, Fact, Inferred
from udckit.database import insert
from udckit.errors import InternalError
from udcmodel.vocabulary import ErrorCategory, Mode, Outcome

_WRITTEN_AT_ONCE: Final = 2_000
_KEY: Final = tuple(column for column in COUNTS.columns if column.primary_key)


class SqlTally:
    """``ports.Tally`` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rules(self) -> str:
        """Return by which rules it was made."""
        return str(self._connection.execute(select(COUNTING.c.rules)).scalar_one())

    def endings(self, case: Case) -> Sequence[Ended]:
        """Return the latest ending of every job of ``case``."""
        rows = self._connection.execute(
            select(ENDINGS).where(ENDINGS.c.study == case.study, ENDINGS.c.attachment == case.attachment)
        )
        return [_ended(row) for row in rows]

    def cases_of(self, job: str) -> Sequence[Case]:
        """Return the cases that have an ending of ``job``."""
        rows = self._connection.execute(select(ENDINGS.c.study, ENDINGS.c.attachment).where(ENDINGS.c.job == job))
        return [Case(row.study, row.attachment) for row in rows]

    def accepted(self, job: str) -> Accepted | None:
        """Return the accepted result of ``job``."""
        row = self._connection.execute(select(ACCEPTED).where(ACCEPTED.c.job == job)).one_or_none()
        return None if row is None else Accepted(**row._mapping)

    def inferred(self, job: str, digest: str) -> Inferred | None:
        """Return the report about a result."""
        row = self._connection.execute(
            select(INFERRED).where(INFERRED.c.job == job, INFERRED.c.digest == digest)
        ).one_or_none()
        return None if row is None else Inferred(**row._mapping)

    def accepted_report(self, job: str) -> Inferred | None:
        """Return the report about the accepted result of ``job``."""
        is_accepted = and_(ACCEPTED.c.job == INFERRED.c.job, ACCEPTED.c.digest == INFERRED.c.digest)
        row = self._connection.execute(
            select(INFERRED).join(ACCEPTED, is_accepted).where(INFERRED.c.job == job)
        ).one_or_none()
        return None if row is None else Inferred(**row._mapping)

    def remember(self, fact: Fact) -> None:
        """Put ``fact`` in the place of what was known of the same thing."""
        match fact:
            case Ended():
                self._put(ENDINGS, _ending_row(fact))
            case Accepted():
                self._put(ACCEPTED, _accepted_row(fact))
            case Inferred():
                self._put(INFERRED, _inferred_row(fact))
            case _:
                assert_never(fact)

    def move(self, before: Bucket | None, after: Bucket | None) -> None:
        """Take one case out of ``before`` and put it into ``after``."""
        if before == after:
            return
        if before is not None:
            taken = self._connection.execute(
                update(COUNTS)
                .where(and_(*(column == _bucket_key(before)[column.name] for column in _KEY)))
                .values(cases=COUNTS.c.cases - 1)
            )
            if taken.rowcount != 1:
                raise InternalError("a case to be moved is not counted where it should be: count anew")
        if after is not None:
            adding = insert(COUNTS, dialect=self._connection.dialect.name).values(**_bucket_key(after), cases=1)
            self._connection.execute(
                adding.on_conflict_do_update(index_elements=_KEY, set_={"cases": COUNTS.c.cases + 1})
            )

    def counts(self, *, first: date, last: date, device: str | None, limit: int | None) -> Mapping[Bucket, int]:
        """Return at most ``limit`` buckets of these days that are not empty."""
        query = select(COUNTS).where(COUNTS.c.day.between(first, last), COUNTS.c.cases > 0).limit(limit)
        if device is not None:
            query = query.where(COUNTS.c.device == device)
        return {_bucket(row): row.cases for row in self._connection.execute(query)}

    def replace(self, knowledge: Knowledge, counts: Mapping[Bucket, int], *, rules: str) -> int:
        """Put these in the place of everything; return how many buckets held another number before."""
        before = self.counts(first=date.min, last=date.max, device=None, limit=None)
        for table in (ENDINGS, ACCEPTED, INFERRED, COUNTS):
            self._connection.execute(delete(table))
        self._fill(ENDINGS, _ending_row, (ended for jobs in knowledge.endings.values() for ended in jobs.values()))
        self._fill(ACCEPTED, _accepted_row, knowledge.accepted.values())
        self._fill(INFERRED, _inferred_row, knowledge.inferred.values())
        self._fill(COUNTS, lambda held: {**_bucket_key(held[0]), "cases": held[1]}, counts.items())
        self._connection.execute(update(COUNTING).values(rules=rules))
        return sum(before.get(bucket, 0) != counts.get(bucket, 0) for bucket in before.keys() | counts.keys())

    def _fill(self, table: Table, row_of: Callable[[Any], dict[str, Any]], things: Iterable[Any]) -> None:
        rows = map(row_of, things)
        while batch := list(islice(rows, _WRITTEN_AT_ONCE)):
            self._connection.execute(table.insert(), batch)

    def _put(self, table: Table, row: dict[str, Any]) -> None:
        putting = insert(table, dialect=self._connection.dialect.name).values(**row)
        changing = {column.name: putting.excluded[column.name] for column in table.columns if not column.primary_key}
        self._connection.execute(
            putting.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=changing)
        )


def _ending_row(ended: Ended) -> dict[str, Any]:
    return {
        "study": ended.case.study,
        "attachment": ended.case.attachment,
        "job": ended.job,
        "revision": ended.revision,
        "sequence": ended.sequence,
        "outcome": ended.outcome.value,
        "category": None if ended.category is None else ended.category.name,
        "successor": ended.successor,
        "mode": ended.mode.value,
        "device": ended.device,
        "version": ended.version,
        "organisation": ended.organisation,
        "occurred_at": ended.occurred_at,
    }


def _ended(row: Row[Any]) -> Ended:
    return Ended(
        case=Case(row.study, row.attachment),
        job=row.job,
        revision=row.revision,
        sequence=row.sequence,
        outcome=Outcome(row.outcome),
        category=None if row.category is None else ErrorCategory[row.category],
        successor=row.successor,
        mode=Mode(row.mode),
        device=row.device,
        version=row.version,
        organisation=row.organisation,
        occurred_at=row.occurred_at,
    )


def _accepted_row(accepted: Accepted) -> dict[str, Any]:
    return {"job": accepted.job, "issue": accepted.issue, "digest": accepted.digest}


def _inferred_row(inferred: Inferred) -> dict[str, Any]:
    return {
        "job": inferred.job,
        "digest": inferred.digest,
        "attempt": inferred.attempt,
        "findings_present": inferred.findings_present,
        "findings_undetermined": inferred.findings_undetermined,
    }


def _bucket_key(bucket: Bucket) -> dict[str, Any]:
    return {
        "day": bucket.day,
        "device": bucket.device,
        "version": bucket.version,
        "organisation": bucket.organisation,
        "mode": bucket.mode.value,
        "outcome": bucket.outcome.value,
        "category": "" if bucket.category is None else bucket.category.name,
        "verdict": "" if bucket.verdict is None else bucket.verdict.value,
    }


def _bucket(row: Row[Any]) -> Bucket:
    return Bucket(
        day=row.day,
        device=row.device,
        version=row.version,
        organisation=row.organisation,
        mode=Mode(row.mode),
        outcome=Outcome(row.outcome),
        category=ErrorCategory[row.category] if row.category else None,
        verdict=Verdict(row.verdict) if row.verdict else None,
    )
