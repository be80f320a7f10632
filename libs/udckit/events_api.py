"""``EventsService``: what every service offers about the events it sent and could not handle."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import Connection

from udc.events.v1 import events_service_pb2 as pb
from udc.events.v1.events_service_pb2_grpc import EventsServiceServicer
from udckit import audit, dead_letters, outbox
from udckit.database import Database
from udckit.dead_letters import DeadLetter, DeadLetterState
from udckit.envelope import HEADER_SUBJECT, HEADER_TYPE
from udckit.errors import InvalidRequestError
from udckit.relay import Relay
from udckit.security.identity import current_identity

MOST_REPUBLISHED: Final = 10_000
MOST_LISTED: Final = 1_000

MayReplay = Callable[[Connection, DeadLetter], None]
"""Raises ``PreconditionError`` when handling the event again would be wrong, such as for a job that has ended."""


def _anything(_connection: Connection, _letter: DeadLetter) -> None:
    return None


class EventsApi(EventsServiceServicer):
    """Serves the outbox and the dead letters of one service.

    Args:
        database: Holds both.
        relay: Publishes again.
        may_replay: Judges, in the transaction of the request, whether a dead letter still means anything.
    """

    def __init__(self, database: Database, relay: Relay, *, may_replay: MayReplay = _anything) -> None:
        self._database = database
        self._relay = relay
        self._may_replay = may_replay

    async def GetOutbox(self, request: pb.GetOutboxRequest, context: Any) -> pb.GetOutboxResponse:  # noqa: ARG002, N802 - grpc
        """Say how far the events were published."""
        extent = await self._database.read(outbox.extent)
        return pb.GetOutboxResponse(
            source=self._relay.source,
            last_published=extent.published,
            oldest_kept=extent.oldest_kept,
            waiting=extent.waiting,
        )

    async def Republish(self, request: pb.RepublishRequest, context: Any) -> pb.RepublishResponse:  # noqa: ARG002, N802 - grpc
        """Publish events again, by their numbers."""
        if not 1 <= request.first <= request.last:
            raise InvalidRequestError(
                f"{request.first} to {request.last} is no range of event numbers; they begin at 1"
            )
        if request.last - request.first >= MOST_REPUBLISHED:
            raise InvalidRequestError(f"at most {MOST_REPUBLISHED} events are published again in one call")
        return pb.RepublishResponse(published=await self._relay.republish(request.first, request.last))

    async def ListDeadLetters(  # noqa: N802 - grpc
        self,
        request: pb.ListDeadLettersRequest,
        context: Any,  # noqa: ARG002 - grpc
    ) -> pb.ListDeadLettersResponse:
        """List what was given up; what nobody has replayed comes first, the newest of it at the front."""
        limit = min(request.page_size or MOST_LISTED, MOST_LISTED)
        letters = await self._database.read(lambda connection: dead_letters.newest(connection, limit=limit))
        return pb.ListDeadLettersResponse(dead_letters=map(_to_proto, letters))

    async def ReplayDeadLetter(  # noqa: N802 - grpc
        self,
        request: pb.ReplayDeadLetterRequest,
        context: Any,  # noqa: ARG002 - grpc
    ) -> pb.ReplayDeadLetterResponse:
        """Hand a dead letter to its consumer once more."""
        actor = current_identity().actor

        def ask(connection: Connection) -> None:
            letter = dead_letters.get(connection, request.id)
            self._may_replay(connection, letter)
            dead_letters.request_replay(connection, request.id)
            audit.append(
                connection,
                actor=actor,
                action="dead_letter.replay_requested",
                subject=request.id,
                facts={"consumer": letter.consumer, "event_id": letter.event_id},
                at=datetime.now(UTC),
            )

        await self._database.transact(ask)
        return pb.ReplayDeadLetterResponse()


def _to_proto(letter: DeadLetter) -> pb.DeadLetter:
    headers: Mapping[str, str] = letter.headers
    replayed = Timestamp()
    replayed.FromDatetime(letter.changed_at)
    died = Timestamp()
    died.FromDatetime(letter.died_at)
    return pb.DeadLetter(
        id=letter.id,
        event_id=letter.event_id,
        event_type=headers.get(HEADER_TYPE, ""),
        consumer=letter.consumer,
        about=headers.get(HEADER_SUBJECT, ""),
        reason=letter.reason,
        detail=letter.detail,
        attempts=letter.attempts,
        died_at=died,
        replayed_at=replayed if letter.state is DeadLetterState.REPLAYED else None,
    )
