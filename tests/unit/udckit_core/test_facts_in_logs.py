"""Facts of an error may have any name, that of a field of the log line among them: other services choose them too."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn

from structlog.testing import capture_logs

from udckit.consumer import Settlement, Subscription
from udckit.consumer.work import Worker
from udckit.envelope import Event
from udckit.errors import Fact, NotFoundError, UpstreamUnavailableError
from udckit.relay import Relay
from udckit.roles import Lease

FACTS: Final[dict[str, Fact]] = {"reason": "a", "error": "b", "role": "c", "event": "d", "size": 1, "level": "e"}
EVENT = Event(
    id="1",
    type="udc.Happened",
    source="service",
    about="",
    region="r77",
    organisation="",
    sequence=1,
    occurred_at=datetime(2026, 3, 1, tzinfo=UTC),
    body=b"",
    headers={},
)


class AwayDatabase:
    """Has gone away, and says so with facts."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def transact(self, work: Any) -> NoReturn:
        assert callable(work)
        self.asked.set()
        raise UpstreamUnavailableError("the database is away", **FACTS)


def remember(_: Any) -> NoReturn:
    raise AssertionError("nothing came of the event")


async def test_an_event_that_fails_is_settled_whatever_the_facts_are_called() -> None:
    async def handle(_: Event) -> None:
        raise NotFoundError("there is no such thing", **FACTS)

    subscription = Subscription(stream="S", durable="d", handlers={EVENT.type: handle})
    worker = Worker(AwayDatabase(), subscription)  # type: ignore[arg-type]  # not reached
    with capture_logs() as lines:
        failure = await worker.attempt(EVENT, remember)
    assert failure is not None
    assert (failure.settlement, failure.reason) == (Settlement.DEAD_LETTER, "NOT_FOUND")
    assert [(line["event"], line["reason"], line["facts"]) for line in lines] == [("event.failed", "NOT_FOUND", FACTS)]


async def test_a_relay_stalls_and_goes_on_whatever_the_facts_are_called() -> None:
    database = AwayDatabase()
    relay = Relay(database, None, None, kept_for=timedelta(days=1))  # type: ignore[arg-type]  # only the first is reached
    with capture_logs() as lines:
        running = asyncio.create_task(relay.run(Lease("relay", "me", 1)))
        await database.asked.wait()
        assert not running.done()
        running.cancel()
        await asyncio.wait([running])
    assert relay.stalled_by == "UPSTREAM_UNAVAILABLE"
    assert [(line["event"], line["facts"]) for line in lines] == [("relay.stalled", FACTS)]
