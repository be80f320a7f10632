"""Finds events that never arrived: every producer numbers what it tells without gaps.

Only a consumer that sees everything a producer tells can look for gaps.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Final

import structlog
from sqlalchemy import Connection, select

from udckit.database import Database, insert
from udckit.errors import NotFoundError, ServiceError
from udckit.plumbing_tables import INBOX, PRODUCER_POSITIONS

log: Final = structlog.get_logger()

LOOK_S: Final = 10.0
"""A gap is asked for when it is seen twice, so that events overtaken by others have this long to arrive."""

_LOOKED_AT_ONCE: Final = 20_000

Gap = tuple[int, int]
AskAgain = Callable[[str, int, int], Awaitable[None]]
"""Asks a source to publish the events from the first to the last number again."""


def missing(contiguous: int, seen: Iterable[int]) -> tuple[int, list[Gap]]:
    """Return the new end of the unbroken beginning, and the gaps after it.

    Args:
        contiguous: Everything from 1 to here has been seen.
        seen: Numbers above it, ascending.
    """
    gaps = [(before + 1, after - 1) for before, after in pairwise(_prefixed(contiguous, seen)) if after > before + 1]
    if gaps:
        return gaps[0][0] - 1, gaps
    return max(_prefixed(contiguous, seen)), gaps


def _prefixed(first: int, rest: Iterable[int]) -> Iterator[int]:
    yield first
    yield from rest


class GapWatch:
    """Looks for gaps in what one consumer has seen, and asks for what is missing.

    Args:
        database: Holds the consumer's inbox.
        consumer: Name of the durable consumer.
        ask_again: How to have events published again. When it raises NotFoundError, the source no longer keeps them:
            they are given up, with an error in the log.
        look_s: Time between two looks.
    """

    def __init__(self, database: Database, consumer: str, ask_again: AskAgain, *, look_s: float = LOOK_S) -> None:
        self._database = database
        self._consumer = consumer
        self._ask_again = ask_again
        self._look_s = look_s
        self._seen_before: frozenset[tuple[str, Gap]] = frozenset()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(self._look_s)
            try:
                await self.look()
            except ServiceError as error:
                log.warning("gaps.not_looked", consumer=self._consumer, reason=error.reason)

    async def look(self) -> None:
        """Move the unbroken beginnings on, and ask for gaps that were there at the last look as well."""
        by_source = await self._database.transact(self._look)
        found = frozenset((source, gap) for source, gaps in by_source.items() for gap in gaps)
        for source, (first, last) in sorted(found & self._seen_before):
            log.warning("gaps.noticed", consumer=self._consumer, source=source, first=first, last=last)
            try:
                await self._ask_again(source, first, last)
            except NotFoundError as error:
                log.error("gaps.given_up", consumer=self._consumer, source=source, reason=error.reason, last=last)  # noqa: TRY400 the reason says all
                await self._database.transact(partial(self._move, source=source, contiguous=last))
        self._seen_before = found

    def _look(self, connection: Connection) -> Mapping[str, list[Gap]]:
        positions = {
            row.source: row.contiguous
            for row in connection.execute(
                select(PRODUCER_POSITIONS.c.source, PRODUCER_POSITIONS.c.contiguous).where(
                    PRODUCER_POSITIONS.c.consumer == self._consumer
                )
            )
        }
        sources = connection.execute(
            select(INBOX.c.source)
            .where(INBOX.c.consumer == self._consumer, INBOX.c.source.is_not(None))
            .group_by(INBOX.c.source)
        ).scalars()
        gaps: dict[str, list[Gap]] = {}
        for source in list(sources):
            before = positions.get(source, 0)
            seen = connection.execute(
                select(INBOX.c.sequence)
                .where(INBOX.c.consumer == self._consumer, INBOX.c.source == source, INBOX.c.sequence > before)
                .order_by(INBOX.c.sequence)
                .limit(_LOOKED_AT_ONCE)
            ).scalars()
            after, gaps[source] = missing(before, list(seen))
            if after != before:
                self._move(connection, source=source, contiguous=after)
        return gaps

    def _move(self, connection: Connection, *, source: str, contiguous: int) -> None:
        moving = insert(PRODUCER_POSITIONS, dialect=connection.dialect.name).values(
            consumer=self._consumer, source=source, contiguous=contiguous
        )
        connection.execute(
            moving.on_conflict_do_update(
                index_elements=[PRODUCER_POSITIONS.c.consumer, PRODUCER_POSITIONS.c.source],
                set_={"contiguous": contiguous},
                where=PRODUCER_POSITIONS.c.contiguous < contiguous,
            )
        )
