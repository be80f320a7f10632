"""What senders said about the images of studies, in the database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from study_router.adapters.tables import SENDER_STATEMENTS
from study_router.domain.finished import Kind, Statement, Status
from udckit.database import insert


class SqlStatements:
    """``ports.Statements`` on one transaction; a row for each study that a statement is about."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lock(self, statement: str) -> Statement | None:
        """Return a statement that nobody else changes until the transaction ends, or None."""
        rows = self._connection.execute(
            select(SENDER_STATEMENTS)
            .where(SENDER_STATEMENTS.c.statement == statement)
            .order_by(SENDER_STATEMENTS.c.study_instance_uid)
            .with_for_update()
        ).all()
        return _statement(rows[0], *(row.study_instance_uid for row in rows)) if rows else None

    def put(self, statement: Statement) -> None:
        """Store a statement, in place of what was said before."""
        values = {
            "kind": statement.kind.value,
            "status": statement.status.value,
            "sender": statement.sender,
            "series": {series: list(images) for series, images in statement.series.items()},
            "began_at": statement.began_at,
            "changed_at": statement.changed_at,
        }
        self._connection.execute(
            insert(SENDER_STATEMENTS, dialect=self._connection.dialect.name).on_conflict_do_update(
                index_elements=[SENDER_STATEMENTS.c.statement, SENDER_STATEMENTS.c.study_instance_uid], set_=values
            ),
            [
                {"statement": statement.statement, "study_instance_uid": study, **values}
                for study in statement.study_instance_uids
            ],
        )

    def of_study(self, study_instance_uid: str) -> Sequence[Statement]:
        """Return what was said about a study."""
        rows = self._connection.execute(
            select(SENDER_STATEMENTS)
            .where(SENDER_STATEMENTS.c.study_instance_uid == study_instance_uid)
            .order_by(SENDER_STATEMENTS.c.began_at, SENDER_STATEMENTS.c.statement)
        )
        return [_statement(row, study_instance_uid) for row in rows]


def _statement(row: Row[Any], *studies: str) -> Statement:
    return Statement(
        statement=row.statement,
        study_instance_uids=studies,
        kind=Kind(row.kind),
        status=Status(row.status),
        sender=row.sender,
        series={series: tuple(images) for series, images in row.series.items()},
        began_at=row.began_at,
        changed_at=row.changed_at,
    )
