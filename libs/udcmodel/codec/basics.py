"""What every codec needs: times, enumerations that may be newer than we are, broken bytes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from udckit.errors import InvalidRequestError

M = TypeVar("M", bound=Message)
K = TypeVar("K")
V = TypeVar("V")


def known(table: Mapping[K, V], number: K) -> V:
    """Look ``number`` up in one of the tables above.

    Raises:
        InvalidRequestError: this version does not know the value.
    """
    try:
        return table[number]
    except KeyError as error:
        raise InvalidRequestError(f"the enumeration value {number} is not known to this version") from error


def decoded(kind: type[M], content: bytes) -> M:
    """Return ``content`` as a message.

    Raises:
        InvalidRequestError: the bytes are none.
    """
    try:
        message = kind.FromString(content)
    except DecodeError as error:
        raise InvalidRequestError(f"the bytes are not a {kind.DESCRIPTOR.full_name}") from error
    return message


def timestamp(moment: datetime) -> Timestamp:
    """Return ``moment`` (aware) for the wire."""
    stamp = Timestamp()
    stamp.FromDatetime(moment.astimezone(UTC))
    return stamp


def moment(stamp: Timestamp) -> datetime:
    """Return the aware UTC time of ``stamp``."""
    return stamp.ToDatetime(tzinfo=UTC)
