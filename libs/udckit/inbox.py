"""What a consumer remembers of the events it has seen: the guarantee that the same event changes nothing twice.

The broker's own memory lasts two minutes, and it accepts the late acknowledgement of a consumer that lost the message
to another one; so only this table decides.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from functools import cache
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select, tuple_

from udckit.database.statements import Insert, insert
from udckit.plumbing_tables import INBOX

_PRUNED_AT_ONCE: Final = 5_000

_SETTLED: Final = select(INBOX.c.event_id).where(
    INBOX.c.consumer == bindparam("consumer"),
    INBOX.c.event_id.in_(bindparam("event_ids", expanding=True)),
    INBOX.c.is_settled,
)


def settled(connection: Connection, *, consumer: str, event_ids: Collection[str]) -> frozenset[str]:
    """Return which of ``event_ids`` are done with."""
    rows = connection.execute(_SETTLED, {"consumer": consumer, "event_ids": list(event_ids)})
    return frozenset(rows.scalars())


def settle(
    connection: Connection, *, consumer: str, event_id: str, source: str | None = None, sequence: int | None = None
) -> bool:
    """Note that ``event_id`` is done with, in the transaction of its effect.

    Args:
        connection: The transaction.
        consumer: Name of the durable consumer.
        event_id: The event.
        source: Its producer, if this consumer looks for gaps.
        sequence: The producer's number, if this consumer looks for gaps.

    Returns:
        Whether it was not done with before. If it was, its effect must not happen again.
    """
    row = {
        "consumer": consumer,
        "event_id": event_id,
        "is_settled": True,
        "attempts": 0,
        "source": source,
        "sequence": sequence,
        "noted_at": datetime.now(UTC),
    }
    return connection.execute(_settling(connection.dialect.name), row).rowcount == 1


@cache
def _settling(dialect: str) -> Insert:
    settling = insert(INBOX, dialect=dialect)
    settling = settling.on_conflict_do_update(
        index_elements=[INBOX.c.consumer, INBOX.c.event_id],
        set_={
            "is_settled": True,
            "source": settling.excluded.source,
            "sequence": settling.excluded.sequence,
            "noted_at": settling.excluded.noted_at,
        },
        where=~INBOX.c.is_settled,
    )
    return settling.execution_options(preserve_rowcount=True)


def count_attempt(connection: Connection, *, consumer: str, event_id: str) -> int:
    """Note that handling ``event_id`` failed once more; return how often it has failed in all."""
    counting = insert(INBOX, dialect=connection.dialect.name).values(
        consumer=consumer, event_id=event_id, is_settled=False, attempts=1, noted_at=datetime.now(UTC)
    )
    counted = connection.execute(
        counting.on_conflict_do_update(
            index_elements=[INBOX.c.consumer, INBOX.c.event_id],
            set_={"attempts": INBOX.c.attempts + 1, "noted_at": counting.excluded.noted_at},
        ).returning(INBOX.c.attempts)
    )
    return int(counted.scalar_one())


def prune(connection: Connection, *, older_than: datetime) -> int:
    """Forget events noted before ``older_than``, a few thousand at a time.

    Events are remembered for longer than the stream and the outboxes keep them: what is forgotten cannot come back.

    Returns:
        How many were forgotten; call again until it is 0.
    """
    oldest = (
        select(INBOX.c.consumer, INBOX.c.event_id)
        .where(INBOX.c.noted_at < older_than)
        .order_by(INBOX.c.noted_at)
        .limit(_PRUNED_AT_ONCE)
    )
    return connection.execute(delete(INBOX).where(tuple_(INBOX.c.consumer, INBOX.c.event_id).in_(oldest))).rowcount
