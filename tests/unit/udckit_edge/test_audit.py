import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, create_engine, delete, insert, update

from udckit import audit
from udckit.audit import Anchor
from udckit.plumbing_tables import AUDIT

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    AUDIT.create(engine)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def write(connection: Connection, count: int = 5) -> Anchor:
    for number in range(count):
        anchor = audit.append(
            connection,
            actor="person/p-5f0c",
            action="device.suspended",
            subject=f"devices/{number}",
            facts={"reason": "дрейф", "incident": number},
            at=NOON + timedelta(minutes=number),
        )
    return anchor


def test_what_was_written_verifies(connection: Connection) -> None:
    anchor = write(connection)

    verdict = audit.verify(connection, anchor=anchor)

    assert (verdict.broken, verdict.fault, verdict.head) == (None, "", anchor)
    assert (anchor.seq, audit.head(connection)) == (5, anchor)


def test_an_empty_trail_verifies(connection: Connection) -> None:
    assert audit.verify(connection).head == Anchor(0, "0" * 64)


def test_each_hash_covers_the_whole_row_and_the_hash_before(connection: Connection) -> None:
    write(connection, 2)
    first, second = connection.execute(AUDIT.select().order_by(AUDIT.c.seq)).all()

    assert json.loads(second.facts) == {"reason": "дрейф", "incident": 1}
    content = (
        f'[2, "2026-03-01T12:01:00.000000+00:00", "person/p-5f0c", "device.suspended", "devices/1", '
        f'{json.dumps(second.facts, ensure_ascii=False)}, "{first.hash}"]'
    )
    assert second.hash == hashlib.sha256(content.encode()).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "person/somebody"},
        {"action": "device.resumed"},
        {"subject": "devices/9"},
        {"facts": "{}"},
        {"at": NOON + timedelta(days=1)},
        {"hash": "f" * 64},
        {"previous_hash": "f" * 64},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_row_is_named(connection: Connection, change: dict[str, object]) -> None:
    write(connection)
    connection.execute(update(AUDIT).where(AUDIT.c.seq == 3).values(**change))

    verdict = audit.verify(connection)

    assert verdict.broken == 3
    assert verdict.head.seq == 2
    assert verdict.fault


def test_a_removed_row_is_noticed_at_the_next(connection: Connection) -> None:
    write(connection)
    connection.execute(delete(AUDIT).where(AUDIT.c.seq == 3))

    verdict = audit.verify(connection)

    assert (verdict.broken, verdict.fault) == (4, "row 3 is missing before it")


def test_two_exchanged_rows_are_noticed(connection: Connection) -> None:
    write(connection)
    for seq, other in ((3, 30), (4, 3), (30, 4)):
        connection.execute(update(AUDIT).where(AUDIT.c.seq == seq).values(seq=other))

    assert audit.verify(connection).broken == 3


def test_an_inserted_row_is_noticed(connection: Connection) -> None:
    anchor = write(connection)
    connection.execute(
        insert(AUDIT).values(
            seq=6,
            at=NOON,
            actor="person/somebody",
            action="device.resumed",
            subject="devices/1",
            facts="{}",
            previous_hash=anchor.hash,
            hash="a" * 64,
        )
    )

    assert audit.verify(connection).broken == 6


def test_rows_cut_off_at_the_end_are_noticed_by_the_anchor(connection: Connection) -> None:
    anchor = write(connection)
    connection.execute(delete(AUDIT).where(AUDIT.c.seq > 3))

    verdict = audit.verify(connection, anchor=anchor)

    assert (verdict.broken, verdict.fault) == (4, "rows up to 5 were noted and are gone")


def test_a_trail_rewritten_from_the_start_is_noticed_by_the_anchor(connection: Connection) -> None:
    anchor = write(connection)
    connection.execute(delete(AUDIT))
    for number in range(5):
        audit.append(connection, actor="x", action="y.done", subject=str(number), facts={}, at=NOON)

    assert audit.verify(connection).broken is None
    assert audit.verify(connection, anchor=anchor).broken == 5


def test_a_time_in_another_zone_is_the_same_moment(connection: Connection) -> None:
    moscow = NOON.astimezone(datetime.strptime("+0300", "%z").tzinfo)
    audit.append(connection, actor="x", action="y.done", subject="z", facts={}, at=moscow)

    assert audit.verify(connection).broken is None
