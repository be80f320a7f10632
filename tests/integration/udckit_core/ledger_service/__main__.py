"""Books entries, tells of them, hears of them itself and books that too; then ends. It may die at any crash point."""

import asyncio
import sys
from functools import partial

from integration.udckit_core.ledger_service.facts import (
    BOOKED,
    book,
    book_what_was_told,
    entry_of,
    is_known,
    number_of_entries,
)
from integration.udckit_core.ledger_service.sabotage import SABOTAGE, publish_afterwards
from integration.udckit_core.waiting import until
from udckit import subjects
from udckit.bus import BusSettings, connected
from udckit.consumer import Effect, Policy, Subscription, consuming
from udckit.database import Connection, opened
from udckit.envelope import Event
from udckit.relay import Producer, relaying


async def main(database_url: str, nats_url: str, count: int, *, without: str = "") -> None:
    if without:
        SABOTAGE[without]()

    async def hear(event: Event) -> Effect:
        entry = entry_of(event)
        return lambda connection: book_what_was_told(connection, f"heard:{entry}")

    def book_once(connection: Connection, entry: str) -> None:
        if not is_known(connection, entry):
            book(connection, entry)

    async def is_booked(number: int) -> bool:
        return await database.read(number_of_entries) >= number

    async with (
        opened(database_url, migrations="integration.udckit_core.ledger_service.migrations") as database,
        connected(BusSettings(servers=[nats_url], name="ledger")) as bus,
        relaying(database, bus, Producer(source="/services/ledger", region="r77"), lease_s=1.0),
        consuming(
            bus,
            database,
            Subscription(
                stream=subjects.STREAM_EVENTS,
                durable=subjects.DURABLE_ARCHIVER_RESULTS,
                handlers={BOOKED: hear},
                policy=Policy(fetch_s=0.3, concurrency=8, batch=8),
            ),
        ),
    ):
        for number in range(count):
            entry = f"entry-{number:03}"
            work = partial(book_once, entry=entry)
            if without != "outbox":
                await database.transact(work)
            elif not await database.read(partial(is_known, entry=entry)):
                await publish_afterwards(database, bus.js, entry, work)
        await until(lambda: is_booked(2 * count), within_s=10 if without else 50)
        if without:
            # Time for the broker to deliver again what it holds for unhandled.
            await asyncio.sleep(3)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), without=sys.argv[4]))
