"""A database of an earlier version is brought up to date when it is opened, on SQLite and PostgreSQL."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, text

from study_router.adapters.store import SqlStore
from study_router.domain.studies import StudyEntry, StudyEvent
from study_router.ports import Transaction
from udckit.database import opened

pytestmark = pytest.mark.connected

MIGRATIONS = "study_router.migrations"
ENTRY = StudyEntry(
    at=datetime(2026, 3, 1, 12, 0, tzinfo=UTC), event=StudyEvent.QUARANTINED, revision=1, detail="two patients"
)


def _back_to_the_first(connection: Connection) -> None:
    connection.execute(text("DROP TABLE study_history"))
    connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))


def _note(transaction: Transaction) -> None:
    transaction.studies.note("s", ENTRY)


async def test_a_database_of_the_first_schema_keeps_the_history_of_studies_from_now_on(database_url: str) -> None:
    async with opened(database_url, migrations=MIGRATIONS) as database:
        await database.transact(_back_to_the_first)
    async with opened(database_url, migrations=MIGRATIONS) as database:
        store = SqlStore(database)
        await store.transact(_note)
        assert await store.read(lambda transaction: transaction.studies.history("s")) == [ENTRY]
        assert await store.read(lambda transaction: transaction.studies.history("other")) == []
