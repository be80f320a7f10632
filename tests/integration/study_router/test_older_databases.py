"""A database that an earlier version made gets what it lacks, and keeps what it has; on SQLite and PostgreSQL."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection, text

from integration.study_router.routing import Routing, slice_header
from study_router.domain.studies import StudyState
from study_router.usecases.hearing import Heard, HearStatement
from udckit.database import opened

pytestmark = pytest.mark.connected

STUDY = "1.2"
SLICES = [slice_header(number) for number in range(1, 4)]


def _make_older(connection: Connection) -> None:
    for statement in (
        "DROP TABLE sender_statements",
        "DROP TABLE sender_profiles",
        "ALTER TABLE studies DROP COLUMN closed_at",
        "UPDATE alembic_version SET version_num = '0001'",
    ):
        connection.execute(text(statement))


async def test_a_database_of_the_first_version_learns_of_senders(database_url: str) -> None:
    async with opened(database_url, migrations="study_router.migrations") as database:
        before = Routing(database)
        await before.ready()
        await before.arrive(STUDY, SLICES)
        await database.transact(_make_older)
    async with opened(database_url, migrations="study_router.migrations") as database:
        after = Routing(database)
        after.played, after.clock = before.played, before.clock
        assert (await after.only_study()).state is StudyState.OPEN
        hear = HearStatement(store=after.store, clock=after.clock)
        assert await hear.begun("1.9", studies=(STUDY,), sender="CT1", series={}) is Heard.KEPT
        await after.look(after_s=timedelta(hours=1).total_seconds())
        study = await after.only_study()
        assert (study.state, study.closed_at) == (StudyState.CLOSED, after.clock.now())
