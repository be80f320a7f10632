"""What was given up is found by who has to look at it, on SQLite and PostgreSQL."""

import pytest
from sqlalchemy import update

from udckit import dead_letters
from udckit.database import Connection, Database
from udckit.dead_letters import DeadLetterState, dead_letter_id
from udckit.plumbing_tables import DEAD_LETTERS

pytestmark = pytest.mark.connected


async def bury(database: Database, name: str, state: DeadLetterState = DeadLetterState.DEAD) -> None:
    def work(connection: Connection) -> None:
        dead_letters.bury(
            connection,
            consumer="c",
            event_id=name,
            subject="s",
            headers={},
            body=b"",
            reason="UNEXPECTED",
            detail="KeyError",
            attempts=1,
        )
        connection.execute(
            update(DEAD_LETTERS).where(DEAD_LETTERS.c.id == dead_letter_id("c", name)).values(state=state)
        )

    await database.transact(work)


async def test_many_replayed_letters_hide_no_new_one(database: Database) -> None:
    for name in ("a", "b", "c"):
        await bury(database, name, DeadLetterState.REPLAYED)
    await bury(database, "old")
    await bury(database, "asked for", DeadLetterState.REPLAY_REQUESTED)
    await bury(database, "new")

    letters = await database.read(lambda connection: dead_letters.newest(connection, limit=4))

    assert [letter.event_id for letter in letters] == ["new", "asked for", "old", "c"]
