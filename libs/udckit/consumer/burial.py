"""How an event is given up: its owner is told, and a copy is kept where operators look."""

from collections.abc import Mapping
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection

from udckit import dead_letters, subjects, telemetry
from udckit.consumer.contract import Subscription
from udckit.consumer.work import Failure, in_inbox
from udckit.database import Database
from udckit.envelope import HEADER_MESSAGE_ID, Event
from udckit.errors import Kind, ServiceError
from udckit.publisher import Message, Publisher, PublishRefusedError

HEADER_CONSUMER: Final = "udc-dead-at"
"""The durable consumer that gave the event up."""
HEADER_REASON: Final = "udc-dead-because"
"""Reason of the error."""

log: Final = structlog.get_logger()

_buried: Final = telemetry.meter().create_counter("udc.consumer.dead_letters", unit="{event}")

_PASSING: Final = frozenset({Kind.UNAVAILABLE, Kind.OVERLOADED, Kind.TIMED_OUT})


class Undertaker:
    """Gives up the events of one subscription."""

    def __init__(self, database: Database, publisher: Publisher, subscription: Subscription) -> None:
        self._database = database
        self._publisher = publisher
        self._subscription = subscription

    async def bury(
        self,
        *,
        event_id: str,
        event: Event | None,
        subject: str,
        headers: Mapping[str, str],
        body: bytes,
        failure: Failure,
        attempts: int,
    ) -> None:
        """Keep the event as a dead letter and tell its owner, in one transaction; a copy goes to the DLQ stream first.

        Args:
            event_id: Key of the dead letter.
            event: What the message says, or None if it is no event, and so has no owner who could be told.
            subject: NATS subject under which it came.
            headers: As they came.
            body: As it came.
            failure: Why it is given up.
            attempts: How often handling it failed since it was last given up.

        Raises:
            OverloadedError: the DLQ stream is full.
            TimedOutError: NATS or the database did not answer in time.
            UpstreamUnavailableError: NATS or the database is away.
        """
        await self._copy(event_id, subject, headers, body, failure)
        remember = in_inbox(self._subscription, event_id, event)

        def keep(connection: Connection, *, reported: bool) -> None:
            remember(connection)
            dead_letters.bury(
                connection,
                consumer=self._subscription.durable,
                event_id=event_id,
                subject=subject,
                headers=headers,
                body=body,
                reason=failure.reason,
                detail=failure.detail,
                attempts=attempts,
            )
            if reported and event is not None and self._subscription.on_dead_letter is not None:
                self._subscription.on_dead_letter(event, failure.reason, failure.detail)(connection)

        try:
            await self._database.transact(partial(keep, reported=True))
        except Exception as error:
            if isinstance(error, ServiceError) and error.kind in _PASSING:
                raise
            # The letter is kept in any case: that it could not be reported must not make it come back for ever.
            log.exception("dead_letter.not_reported")
            await self._database.transact(partial(keep, reported=False))
        _buried.add(1, {"udc.consumer": self._subscription.durable, "udc.reason": failure.reason})
        log.error("dead_letter.kept", reason=failure.reason, attempts=attempts)

    async def _copy(
        self, event_id: str, subject: str, headers: Mapping[str, str], body: bytes, failure: Failure
    ) -> None:
        # Headers of the server's own protocol (message id, atomic batch) would be obeyed a second time.
        kept = {name: value for name, value in headers.items() if not name.lower().startswith("nats-")}
        copy = Message(
            subject=subjects.dead_letter(subject),
            headers={
                **kept,
                HEADER_MESSAGE_ID: f"{self._subscription.durable}:{event_id}",
                HEADER_CONSUMER: self._subscription.durable,
                HEADER_REASON: failure.reason,
            },
            body=body,
        )
        try:
            await self._publisher.publish(copy)
        except PublishRefusedError as error:
            # The table is the record; a message that the DLQ stream can never take must not block its consumer.
            log.error("dead_letter.not_copied", error=error.message, facts=error.facts)  # noqa: TRY400 the message says all
