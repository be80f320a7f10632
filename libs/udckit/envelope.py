"""What travels around an event: CloudEvents attributes in NATS headers, protobuf in the body."""

import builtins
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message

from udckit.errors import InvalidRequestError

M = TypeVar("M", bound=Message)

NAMESPACE: Final = uuid.UUID("5a0f3c6e-6f0b-5d1e-9a57-1d1c8b7f0a11")
"""UUID namespace of event ids: the same fact has the same id, whoever tells it and however often."""

MAX_EVENT_BYTES: Final = 64 * 1024
"""Larger things travel as content-addressed objects; an event carries their digest."""

HEADER_MESSAGE_ID: Final = "Nats-Msg-Id"
HEADER_SPEC_VERSION: Final = "ce-specversion"
HEADER_ID: Final = "ce-id"
HEADER_TYPE: Final = "ce-type"
HEADER_SOURCE: Final = "ce-source"
HEADER_SUBJECT: Final = "ce-subject"
HEADER_TIME: Final = "ce-time"
HEADER_CONTENT_TYPE: Final = "ce-datacontenttype"
HEADER_REGION: Final = "ce-udcregion"
HEADER_ORGANISATION: Final = "ce-udcorg"
HEADER_SEQUENCE: Final = "ce-udcseq"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingEvent:
    """A fact about to be announced.

    Attributes:
        id: Derived from the fact, so that a repeat is recognised.
        type: Full protobuf name of the body.
        subject: NATS subject.
        about: Internal resource name such as ``jobs/<uuid>``. Never a DICOM UID.
        organisation: FRMO OID of the organisation concerned, or empty.
        occurred_at: When the fact happened, aware.
        body: Serialised protobuf, at most ``MAX_EVENT_BYTES``.
    """

    id: str
    type: str
    subject: str
    about: str
    organisation: str
    occurred_at: datetime
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact as it arrived. ``sequence`` is the producer's gapless number, from 1."""

    id: str
    type: str
    source: str
    about: str
    region: str
    organisation: str
    sequence: int
    occurred_at: datetime
    body: bytes
    headers: Mapping[str, str]

    def decode(self, kind: builtins.type[M]) -> M:
        """Return the body as ``kind``.

        Raises:
            InvalidRequestError: the event is of another type or its bytes are broken.
        """
        if kind.DESCRIPTOR.full_name != self.type:
            raise InvalidRequestError(
                f"event {self.id} is {self.type}, not {kind.DESCRIPTOR.full_name}", event_id=self.id
            )
        try:
            return kind.FromString(self.body)
        except DecodeError as error:
            raise InvalidRequestError(f"the body of event {self.id} is not {self.type}", event_id=self.id) from error


def event_id(type_name: str, key: str) -> str:
    """Return the id of the fact ``key`` of type ``type_name``; always the same for the same fact."""
    return str(uuid.uuid5(NAMESPACE, f"{type_name}|{key}"))


def outgoing(
    message: Message,
    *,
    key: str,
    subject: str,
    about: str,
    occurred_at: datetime,
    organisation: str = "",
) -> OutgoingEvent:
    """Wrap ``message`` for the outbox.

    Args:
        message: The body.
        key: What makes this fact one fact, such as ``<job>|<attempt>``.
        subject: One of ``udckit.subjects``.
        about: Internal resource name.
        occurred_at: When it happened, aware.
        organisation: FRMO OID, or empty.

    Raises:
        InvalidRequestError: the body is larger than ``MAX_EVENT_BYTES``.
    """
    body = message.SerializeToString(deterministic=True)
    type_name = message.DESCRIPTOR.full_name
    if len(body) > MAX_EVENT_BYTES:
        raise InvalidRequestError(
            f"an event of type {type_name} is {len(body)} bytes long; the limit is {MAX_EVENT_BYTES}",
            about=about,
        )
    return OutgoingEvent(
        id=event_id(type_name, key),
        type=type_name,
        subject=subject,
        about=about,
        organisation=organisation,
        occurred_at=occurred_at,
        body=body,
    )


def headers_of(
    event: OutgoingEvent, *, source: str, region: str, sequence: int, trace: Mapping[str, str]
) -> dict[str, str]:
    """Return the NATS headers under which ``event`` is published."""
    return {
        **trace,
        HEADER_MESSAGE_ID: event.id,
        HEADER_SPEC_VERSION: "1.0",
        HEADER_ID: event.id,
        HEADER_TYPE: event.type,
        HEADER_SOURCE: source,
        HEADER_SUBJECT: event.about,
        HEADER_TIME: event.occurred_at.astimezone(UTC).isoformat(),
        HEADER_CONTENT_TYPE: "application/protobuf",
        HEADER_REGION: region,
        HEADER_ORGANISATION: event.organisation,
        HEADER_SEQUENCE: str(sequence),
    }


def parse(headers: Mapping[str, str], body: bytes) -> Event:
    """Read an event from what NATS delivered.

    Raises:
        InvalidRequestError: a required attribute is missing or malformed.
    """
    try:
        return Event(
            id=headers[HEADER_ID],
            type=headers[HEADER_TYPE],
            source=headers[HEADER_SOURCE],
            about=headers[HEADER_SUBJECT],
            region=headers[HEADER_REGION],
            organisation=headers.get(HEADER_ORGANISATION, ""),
            sequence=int(headers[HEADER_SEQUENCE]),
            occurred_at=datetime.fromisoformat(headers[HEADER_TIME]),
            body=body,
            headers=headers,
        )
    except KeyError as error:
        raise InvalidRequestError(f"the event has no header {error.args[0]}") from error
    except ValueError as error:
        raise InvalidRequestError(f"a header of event {headers.get(HEADER_ID)} is malformed: {error}") from error
