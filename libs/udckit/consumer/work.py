"""One attempt at handling one event."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection

from udckit import crash, inbox
from udckit.consumer.contract import SETTLEMENT_OF, Effect, Settlement, Subscription, Telling
from udckit.database import Database
from udckit.envelope import Event
from udckit.errors import Kind, ServiceError

log: Final = structlog.get_logger()

UNEXPECTED: Final = "UNEXPECTED"
"""Reason of a failure that is not a ``ServiceError``: a bug."""

Remember = Callable[[Connection], bool]
"""Notes that an event is done with; False says that it was before, and its effect must not happen again."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an event was not handled.

    Attributes:
        settlement: What to do about it.
        reason: ``ServiceError.reason``, or ``UNEXPECTED``.
        detail: The error's message; for a bug only the type of the exception, whose text might quote patient data.
    """

    settlement: Settlement
    reason: str
    detail: str


class Worker:
    """Runs a subscription's handlers and commits their effects."""

    def __init__(self, database: Database, subscription: Subscription) -> None:
        self._database = database
        self._subscription = subscription

    async def attempt(self, event: Event, remember: Remember) -> Failure | None:
        """Handle ``event`` and commit its effect together with ``remember``; return why that failed, or None.

        A conflict with somebody else's change is repeated a few times.
        """
        failure = await self._attempt_once(event, remember)
        for _ in range(self._subscription.policy.conflict_retries):
            if failure is None or failure.settlement is not Settlement.RETRY_SOON:
                break
            await asyncio.sleep(random.uniform(0.01, 0.1))  # noqa: S311 spreads two racers, protects nothing
            failure = await self._attempt_once(event, remember)
        return failure

    async def _attempt_once(self, event: Event, remember: Remember) -> Failure | None:
        try:
            effect = await self._handle(event)
        except ServiceError as error:
            return _expected(error)
        except Exception as error:  # noqa: BLE001 whatever a handler raises is logged and settled
            return _unexpected(error)
        crash.point("consumer.before_effect")
        try:
            await self._database.transact(lambda connection: _apply(connection, remember, effect))
        except ServiceError as error:
            if error.kind is Kind.TIMED_OUT:  # the database went away in the commit; the inbox will know what it did
                return Failure(Settlement.WAIT, error.reason, error.message)
            return _expected(error)
        except Exception as error:  # noqa: BLE001 whatever a handler raises is logged and settled
            return _unexpected(error)
        crash.point("consumer.after_commit")
        if isinstance(effect, Telling):
            effect.committed()
        return None

    async def _handle(self, event: Event) -> Effect | None:
        handler = self._subscription.handlers.get(event.type)
        if handler is None:
            log.debug("event.unknown", event_type=event.type)
            return None
        async with asyncio.timeout(self._subscription.policy.limit_s):
            return await handler(event)


def in_inbox(subscription: Subscription, event_id: str, event: Event | None) -> Remember:
    """Return how the subscription's inbox remembers an event; with its number if somebody looks for gaps."""
    if event is None or subscription.policy.notice_gaps is None:
        return partial(inbox.settle, consumer=subscription.durable, event_id=event_id)
    return partial(
        inbox.settle,
        consumer=subscription.durable,
        event_id=event_id,
        source=event.source,
        sequence=event.sequence,
    )


def _apply(connection: Connection, remember: Remember, effect: Effect | None) -> None:
    if remember(connection) and effect is not None:
        effect(connection)


def _expected(error: ServiceError) -> Failure:
    settlement = SETTLEMENT_OF[error.kind]
    level = log.info if settlement is Settlement.RETRY_SOON else log.warning
    level("event.failed", reason=error.reason, error=error.message, facts=error.facts)
    return Failure(settlement, error.reason, error.message)


def _unexpected(error: Exception) -> Failure:
    if isinstance(error, TimeoutError):
        log.warning("event.failed", reason="TIMED_OUT", error="the handler took too long")
        return Failure(Settlement.RETRY_LATER, "TIMED_OUT", "the handler took too long")
    log.exception("event.crashed")
    return Failure(Settlement.RETRY_LATER, UNEXPECTED, type(error).__qualname__)
