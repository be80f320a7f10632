"""Handles dead letters again when somebody asked for it."""

import asyncio
from functools import partial
from typing import Final

import structlog
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind, get_current_span

from udckit import dead_letters, envelope, telemetry
from udckit.consumer.burial import Undertaker
from udckit.consumer.contract import Settlement, Subscription
from udckit.consumer.work import Failure, Worker
from udckit.database import Database
from udckit.dead_letters import DeadLetter, DeadLetterState
from udckit.errors import InvalidRequestError, ServiceError

log: Final = structlog.get_logger()


class Replayer:
    """Replays the dead letters of one subscription."""

    def __init__(self, database: Database, subscription: Subscription, worker: Worker, undertaker: Undertaker) -> None:
        self._database = database
        self._subscription = subscription
        self._worker = worker
        self._undertaker = undertaker

    async def run(self) -> None:
        """Look for requested replays for ever."""
        while True:
            await asyncio.sleep(self._subscription.policy.replay_look_s)
            try:
                await self.look()
            except ServiceError as error:
                log.warning("replay.not_done", consumer=self._subscription.durable, reason=error.reason)

    async def look(self) -> None:
        """Handle, one after the other, the dead letters whose replay is requested now."""
        requested = await self._database.read(
            partial(
                dead_letters.listed,
                consumer=self._subscription.durable,
                state=DeadLetterState.REPLAY_REQUESTED,
            )
        )
        for letter in requested:
            with structlog.contextvars.bound_contextvars(consumer=letter.consumer, event_id=letter.event_id):
                await self._replay(letter)

    async def _replay(self, letter: DeadLetter) -> None:
        try:
            event = envelope.parse(letter.headers, letter.body)
        except InvalidRequestError as error:
            await self._bury(letter, None, Failure(Settlement.DEAD_LETTER, error.reason, error.message))
            return
        # Days may have passed: a trace of its own, linked to the one in which the event was told.
        told = get_current_span(telemetry.remote_context(letter.headers)).get_span_context()
        with telemetry.span(
            f"replay {self._subscription.durable}",
            kind=SpanKind.CONSUMER,
            context=Context(),
            links=[Link(told)] if told.is_valid else [],
        ):
            failure = await self._worker.attempt(event, partial(dead_letters.finish_replay, id_=letter.id))
        if failure is None:
            log.info("dead_letter.replayed")
        elif failure.settlement is not Settlement.WAIT:  # then it stays requested
            await self._bury(letter, event, failure)

    async def _bury(self, letter: DeadLetter, event: envelope.Event | None, failure: Failure) -> None:
        await self._undertaker.bury(
            event_id=letter.event_id,
            event=event,
            subject=letter.subject,
            headers=letter.headers,
            body=letter.body,
            failure=failure,
            attempts=1,
        )
