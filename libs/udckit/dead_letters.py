"""Events that a consumer could not handle: kept until somebody has looked, and handled again on request.

A dead letter belongs to one consumer. Replaying it runs that consumer's handler once more and nobody else's.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum, unique
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from udckit.database.statements import insert
from udckit.errors import NotFoundError, PreconditionError
from udckit.plumbing_tables import DEAD_LETTERS

_NAMESPACE: Final = uuid.UUID("7d3a1c1e-0b8f-5f0e-8a63-5b1f2f6a9d10")


@unique
class DeadLetterState(StrEnum):
    """Where a dead letter stands."""

    DEAD = "DEAD"
    REPLAY_REQUESTED = "REPLAY_REQUESTED"
    REPLAYED = "REPLAYED"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One event that one consumer could not handle.

    Attributes:
        id: Derived from consumer and event.
        consumer: Name of the durable consumer.
        event_id: The event, or ``<stream>:<number>`` of a message that is no event.
        state: Whether it waits, is to be replayed, or has been.
        subject: NATS subject under which it came.
        headers: As they came.
        body: As it came.
        reason: ``ServiceError.reason``, ``UNEXPECTED`` for a bug, or ``MALFORMED``.
        detail: The error's message; for a bug only the type of the exception.
        attempts: How often handling it failed.
        died_at: When it was given up first.
        changed_at: When it was last touched.
    """

    id: str
    consumer: str
    event_id: str
    state: DeadLetterState
    subject: str
    headers: Mapping[str, str]
    body: bytes
    reason: str
    detail: str
    attempts: int
    died_at: datetime
    changed_at: datetime


def dead_letter_id(consumer: str, event_id: str) -> str:
    """Return the id of the dead letter of ``event_id`` at ``consumer``."""
    return str(uuid.uuid5(_NAMESPACE, f"{consumer}|{event_id}"))


def bury(
    connection: Connection,
    *,
    consumer: str,
    event_id: str,
    subject: str,
    headers: Mapping[str, str],
    body: bytes,
    reason: str,
    detail: str,
    attempts: int,
) -> None:
    """Keep an event that is given up; giving it up again renews its reason and counts its attempts on."""
    now = datetime.now(UTC)
    burying = insert(DEAD_LETTERS, dialect=connection.dialect.name).values(
        id=dead_letter_id(consumer, event_id),
        consumer=consumer,
        event_id=event_id,
        state=DeadLetterState.DEAD,
        subject=subject,
        headers=dict(headers),
        body=body,
        reason=reason,
        detail=detail,
        attempts=attempts,
        died_at=now,
        changed_at=now,
    )
    connection.execute(
        burying.on_conflict_do_update(
            index_elements=[DEAD_LETTERS.c.id],
            set_={
                "state": DeadLetterState.DEAD,
                "reason": reason,
                "detail": detail,
                "attempts": DEAD_LETTERS.c.attempts + attempts,
                "changed_at": now,
            },
        )
    )


def listed(
    connection: Connection, *, consumer: str | None = None, state: DeadLetterState | None = None, limit: int = 100
) -> Sequence[DeadLetter]:
    """Return dead letters, those that died first at the front."""
    query = select(DEAD_LETTERS).order_by(DEAD_LETTERS.c.died_at, DEAD_LETTERS.c.id).limit(limit)
    if consumer is not None:
        query = query.where(DEAD_LETTERS.c.consumer == consumer)
    if state is not None:
        query = query.where(DEAD_LETTERS.c.state == state)
    return [_dead_letter(row) for row in connection.execute(query)]


def newest(connection: Connection, *, limit: int) -> Sequence[DeadLetter]:
    """Return the dead letters that somebody has to look at, those that died last at the front, and then the others."""
    is_done = DEAD_LETTERS.c.state == DeadLetterState.REPLAYED
    query = select(DEAD_LETTERS).order_by(is_done, DEAD_LETTERS.c.changed_at.desc(), DEAD_LETTERS.c.id).limit(limit)
    return [_dead_letter(row) for row in connection.execute(query)]


def get(connection: Connection, id_: str) -> DeadLetter:
    """Return one dead letter.

    Raises:
        NotFoundError: there is none of this id.
    """
    row = connection.execute(select(DEAD_LETTERS).where(DEAD_LETTERS.c.id == id_)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no dead letter {id_}", dead_letter=id_)
    return _dead_letter(row)


def request_replay(connection: Connection, id_: str) -> DeadLetter:
    """Have the consumer of a dead letter handle it again; its loop does so within seconds.

    Whether the event still means anything (its job may have ended) is for the caller to check, in this transaction.

    Raises:
        NotFoundError: there is none of this id.
        PreconditionError: it has been replayed with success.
    """
    letter = get(connection, id_)
    if letter.state is DeadLetterState.REPLAYED:
        raise PreconditionError(f"dead letter {id_} has been replayed already", dead_letter=id_)
    _move(connection, id_, DeadLetterState.DEAD, DeadLetterState.REPLAY_REQUESTED)
    return letter


def finish_replay(connection: Connection, id_: str) -> bool:
    """Note that a requested replay succeeded, in the transaction of its effect.

    Returns:
        Whether the replay was still to be done. If not, its effect must not happen again.
    """
    return _move(connection, id_, DeadLetterState.REPLAY_REQUESTED, DeadLetterState.REPLAYED)


def _move(connection: Connection, id_: str, before: DeadLetterState, after: DeadLetterState) -> bool:
    moved = connection.execute(
        update(DEAD_LETTERS)
        .where(DEAD_LETTERS.c.id == id_, DEAD_LETTERS.c.state == before)
        .values(state=after, changed_at=datetime.now(UTC))
    )
    return moved.rowcount == 1


def _dead_letter(row: Row[Any]) -> DeadLetter:
    return DeadLetter(**{**row._mapping, "state": DeadLetterState(row.state)})
