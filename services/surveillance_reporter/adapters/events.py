"""Every event from the wire into the journal."""

from collections.abc import Iterator, Mapping
from typing import Final

from sqlalchemy import Connection

from surveillance_reporter.adapters.reading import fact_of
from surveillance_reporter.adapters.store import SqlTransaction
from surveillance_reporter.ports import Entry
from surveillance_reporter.usecases.recording import RecordEvent
from udckit import subjects
from udckit.clock import Clock
from udckit.consumer import AskAgain, Effect, Handler, Policy, Subscription
from udckit.envelope import Event

GROUP: Final = 64
"""Events that are worked on at once, and so share a commit."""


def subscription(record: RecordEvent, clock: Clock, ask_again: AskAgain) -> Subscription:
    """Return what the reporter consumes: everything, types included that it does not know."""

    async def on_event(event: Event) -> Effect:
        entry = entry_of(event, clock)

        def effect(connection: Connection) -> None:
            record(SqlTransaction(connection), entry)

        return effect

    return Subscription(
        stream=subjects.STREAM_EVENTS,
        durable=subjects.DURABLE_SURVEILLANCE,
        handlers=EveryType(on_event),
        policy=Policy(concurrency=GROUP, batch=GROUP, notice_gaps=ask_again),
    )


class EveryType(Mapping[str, Handler]):
    """The same handler for every type, those included that will be invented."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def __getitem__(self, type_name: str) -> Handler:
        return self._handler

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def entry_of(event: Event, clock: Clock) -> Entry:
    """Return how the journal keeps ``event``."""
    return Entry(
        event_id=event.id,
        source=event.source,
        sequence=event.sequence,
        type=event.type,
        about=event.about,
        organisation=event.organisation,
        occurred_at=event.occurred_at,
        recorded_at=clock.now(),
        headers=event.headers,
        body=event.body,
        fact=fact_of(
            event_id=event.id,
            type_name=event.type,
            sequence=event.sequence,
            occurred_at=event.occurred_at,
            body=event.body,
        ),
    )
