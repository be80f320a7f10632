"""The audit trail: rows that are only ever added, each bound to the one before it by a hash.

Whoever changes, removes or inserts a row breaks the chain from there on. Rows cut off at the end are noticed by
comparing with an anchor: number and hash of the head, noted daily in another place.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, Row, func, insert, select

from udckit.errors import Fact
from udckit.plumbing_tables import AUDIT

GENESIS: Final = "0" * 64
"""The hash before the first row."""

_LOCK: Final = 0x7564632D61756474
"""Key of PostgreSQL's advisory lock on the head of the chain; the letters "udc-audt"."""
_ROWS_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Anchor:
    """The head of the chain at some moment: ``seq`` rows, the last of which has ``hash``."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check of the chain found.

    Attributes:
        head: Last row up to which everything is as it was written.
        broken: Number of the first row that is not, or None.
        fault: What is wrong with it; empty when nothing is.
    """

    head: Anchor
    broken: int | None = None
    fault: str = ""


def append(
    connection: Connection, *, actor: str, action: str, subject: str, facts: Mapping[str, Fact], at: datetime
) -> Anchor:
    """Add a row in the caller's transaction and return the new head.

    On PostgreSQL the transaction keeps others from appending until it ends, so call this late in it.

    Args:
        connection: Inside a transaction.
        actor: Who did it: ``current_identity().actor``.
        action: What was done, ``noun.verb_past``, such as ``device.suspended``.
        subject: Internal resource name of what it was done to. Never patient data.
        facts: What else matters, such as the reason given. Never patient data.
        at: When, aware.
    """
    if connection.dialect.name == "postgresql":
        # A lock on the last row would not do: who waited for it would then still see the old head.
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    before = head(connection)
    seq = before.seq + 1
    text = json.dumps(dict(facts), sort_keys=True, ensure_ascii=False)
    digest = _hash(seq, _moment(at), actor, action, subject, text, before.hash)
    connection.execute(
        insert(AUDIT).values(
            seq=seq,
            at=at,
            actor=actor,
            action=action,
            subject=subject,
            facts=text,
            previous_hash=before.hash,
            hash=digest,
        )
    )
    return Anchor(seq, digest)


def head(connection: Connection) -> Anchor:
    """Return the last row of the chain; number 0 with the hash ``GENESIS`` when there is none."""
    last = connection.execute(select(AUDIT.c.seq, AUDIT.c.hash).order_by(AUDIT.c.seq.desc()).limit(1)).first()
    return Anchor(0, GENESIS) if last is None else Anchor(last.seq, last.hash)


def verify(connection: Connection, *, anchor: Anchor | None = None) -> Verdict:
    """Check every row of the chain, and that it still holds the ``anchor`` noted earlier."""
    sound = Anchor(0, GENESIS)
    rows = connection.execute(select(AUDIT).order_by(AUDIT.c.seq).execution_options(yield_per=_ROWS_AT_ONCE))
    for row in rows:
        fault = _fault(row, sound)
        if not fault and anchor is not None and row.seq == anchor.seq and row.hash != anchor.hash:
            fault = "its hash is not the one that was noted"
        if fault:
            return Verdict(sound, row.seq, fault)
        sound = Anchor(row.seq, row.hash)
    if anchor is not None and sound.seq < anchor.seq:
        return Verdict(sound, sound.seq + 1, f"rows up to {anchor.seq} were noted and are gone")
    return Verdict(sound)


def _fault(row: "Row[tuple[object, ...]]", before: Anchor) -> str:
    if row.seq != before.seq + 1:
        return f"row {before.seq + 1} is missing before it"
    if row.previous_hash != before.hash:
        return "it does not name the hash of the row before it"
    if row.hash != _hash(row.seq, _moment(row.at), row.actor, row.action, row.subject, row.facts, row.previous_hash):
        return "its content is not what was hashed"
    return ""


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _hash(*fields: str | int) -> str:
    # A JSON list keeps the fields apart: no two different rows give the same text.
    return hashlib.sha256(json.dumps(fields, ensure_ascii=False).encode()).hexdigest()
