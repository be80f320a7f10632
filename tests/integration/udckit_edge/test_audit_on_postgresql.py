"""The audit trail under concurrent writers; on SQLite there is only ever one."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine, func, select

from udckit import audit
from udckit.plumbing_tables import AUDIT

pytestmark = pytest.mark.connected

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_writers_at_the_same_time_make_one_unbroken_chain(postgresql_url: str) -> None:
    engine = create_engine(postgresql_url, pool_size=8)
    AUDIT.create(engine)

    def write(writer: int) -> None:
        for number in range(20):
            with engine.begin() as connection:
                audit.append(
                    connection,
                    actor=f"person/{writer}",
                    action="device.suspended",
                    subject=f"devices/{number}",
                    facts={"number": number},
                    at=NOON,
                )

    with ThreadPoolExecutor(8) as writers:
        list(writers.map(write, range(8)))

    with engine.begin() as connection:
        verdict = audit.verify(connection)
        count = connection.scalar(select(func.count()).select_from(AUDIT))
    engine.dispose()
    assert (verdict.broken, verdict.head.seq, count) == (None, 160, 160)


def test_a_transaction_that_is_rolled_back_leaves_no_gap(postgresql_url: str) -> None:
    engine = create_engine(postgresql_url)
    AUDIT.create(engine)

    for commits in (True, False, True):
        with engine.connect() as connection, connection.begin() as transaction:
            audit.append(connection, actor="x", action="y.done", subject="z", facts={}, at=NOON)
            if not commits:
                transaction.rollback()

    with engine.begin() as connection:
        verdict = audit.verify(connection)
    engine.dispose()
    assert (verdict.broken, verdict.head.seq) == (None, 2)
