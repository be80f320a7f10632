"""The one error vocabulary of the platform.

Errors know neither gRPC nor NATS. What a transport does with a kind is written in one table per transport:
``grpc_errors.STATUS_OF`` for calls, ``consumer.SETTLEMENT_OF`` for events.
"""

from enum import StrEnum, unique
from typing import ClassVar, Final

Fact = str | int | float


@unique
class Kind(StrEnum):
    """What a caller can do about an error; decides status, retry and log level."""

    INVALID = "INVALID"
    """The request itself is wrong; repeating it cannot help."""
    NOT_FOUND = "NOT_FOUND"
    """The named thing does not exist."""
    PRECONDITION = "PRECONDITION"
    """The thing exists, but its state forbids this."""
    CONFLICT = "CONFLICT"
    """Somebody else changed it meanwhile; read again and retry."""
    OVERLOADED = "OVERLOADED"
    """A limit is reached; wait until others are done."""
    UNAVAILABLE = "UNAVAILABLE"
    """A dependency is away; the same request works when it is back."""
    TIMED_OUT = "TIMED_OUT"
    """No answer in time; whether the work was done is unknown."""
    UNAUTHENTICATED = "UNAUTHENTICATED"
    """The caller did not prove who it is."""
    DENIED = "DENIED"
    """The caller is known and may not do this."""
    INTERNAL = "INTERNAL"
    """A bug of ours."""


PASSING: Final = frozenset({Kind.UNAVAILABLE, Kind.OVERLOADED, Kind.TIMED_OUT, Kind.CONFLICT})
"""What ends by itself and may be tried again; whatever does not is to be looked at by somebody."""


class ServiceError(Exception):
    """An error that means something to a caller.

    Args:
        message: One sentence that names the thing and says what to do. Never patient data.
        facts: Identifiers and numbers for logs and machine-readable details. Never patient data.
    """

    kind: ClassVar[Kind] = Kind.INTERNAL
    reason: ClassVar[str] = "SERVICE_ERROR"

    def __init__(self, message: str, /, **facts: Fact) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


class InvalidRequestError(ServiceError):
    """What was asked makes no sense as it stands."""

    kind = Kind.INVALID
    reason = "INVALID_REQUEST"


class NotFoundError(ServiceError):
    """There is no such thing."""

    kind = Kind.NOT_FOUND
    reason = "NOT_FOUND"


class PreconditionError(ServiceError):
    """The thing is in a state that forbids this."""

    kind = Kind.PRECONDITION
    reason = "FAILED_PRECONDITION"


class ConflictError(ServiceError):
    """The thing changed underneath; nothing was done."""

    kind = Kind.CONFLICT
    reason = "CONFLICT"


class OverloadedError(ServiceError):
    """A queue or a limit is full."""

    kind = Kind.OVERLOADED
    reason = "OVERLOADED"


class UpstreamUnavailableError(ServiceError):
    """A dependency is down or cannot be reached."""

    kind = Kind.UNAVAILABLE
    reason = "UPSTREAM_UNAVAILABLE"


class TimedOutError(ServiceError):
    """The deadline passed before an answer came."""

    kind = Kind.TIMED_OUT
    reason = "TIMED_OUT"


class UnauthenticatedError(ServiceError):
    """No valid certificate or token."""

    kind = Kind.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"


class DeniedError(ServiceError):
    """The identity is known and has no right to do this."""

    kind = Kind.DENIED
    reason = "DENIED"


class InternalError(ServiceError):
    """A promise of ours was broken; a bug."""

    kind = Kind.INTERNAL
    reason = "INTERNAL"
