"""Errors on the wire: one table each way between the kinds of the platform and the status codes of gRPC.

A status carries, beside code and sentence, a ``google.rpc.ErrorInfo`` with reason and facts, so that a caller gets the
same ``ServiceError`` that was raised. What is not a ``ServiceError`` is a bug: the caller learns "internal error" only.
"""

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Final

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]  # generated, without types
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # generated, without types
from grpc import aio

from udckit.errors import (
    ConflictError,
    DeniedError,
    InternalError,
    InvalidRequestError,
    Kind,
    NotFoundError,
    OverloadedError,
    PreconditionError,
    ServiceError,
    TimedOutError,
    UnauthenticatedError,
    UpstreamUnavailableError,
)
from udckit.grpc_server import ServedCall

DOMAIN: Final = "udc"
DETAILS_KEY: Final = "grpc-status-details-bin"
INTERNAL_TEXT: Final = "internal error"

_CUT_OFF: Final = "Internal error from Core"
"""What grpc.aio itself says when the other side ends a call while requests are sent; the real status is then lost."""

STATUS_OF: Final[Mapping[Kind, grpc.StatusCode]] = MappingProxyType(
    {
        Kind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
        Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
        Kind.PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
        Kind.CONFLICT: grpc.StatusCode.ABORTED,
        Kind.OVERLOADED: grpc.StatusCode.RESOURCE_EXHAUSTED,
        Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
        Kind.TIMED_OUT: grpc.StatusCode.DEADLINE_EXCEEDED,
        Kind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
        Kind.DENIED: grpc.StatusCode.PERMISSION_DENIED,
        Kind.INTERNAL: grpc.StatusCode.INTERNAL,
    }
)

LOG_LEVEL_OF: Final[Mapping[Kind, int]] = MappingProxyType(
    dict.fromkeys(Kind, logging.WARNING) | {Kind.CONFLICT: logging.INFO, Kind.INTERNAL: logging.ERROR}
)

ERROR_OF: Final[Mapping[grpc.StatusCode, type[ServiceError]]] = MappingProxyType(
    {
        grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
        grpc.StatusCode.OUT_OF_RANGE: InvalidRequestError,
        grpc.StatusCode.NOT_FOUND: NotFoundError,
        grpc.StatusCode.FAILED_PRECONDITION: PreconditionError,
        grpc.StatusCode.ABORTED: ConflictError,
        grpc.StatusCode.ALREADY_EXISTS: ConflictError,
        grpc.StatusCode.RESOURCE_EXHAUSTED: OverloadedError,
        grpc.StatusCode.UNAVAILABLE: UpstreamUnavailableError,
        # The other side gave up on the call, as a server does that is stopping; nothing is wrong with the request.
        grpc.StatusCode.CANCELLED: UpstreamUnavailableError,
        grpc.StatusCode.DEADLINE_EXCEEDED: TimedOutError,
        grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
        grpc.StatusCode.PERMISSION_DENIED: DeniedError,
        grpc.StatusCode.INTERNAL: InternalError,
        grpc.StatusCode.UNKNOWN: InternalError,
        grpc.StatusCode.DATA_LOSS: InternalError,
        grpc.StatusCode.UNIMPLEMENTED: InternalError,
    }
)

log = structlog.get_logger()


@asynccontextmanager
async def answering_errors(call: ServedCall) -> AsyncIterator[None]:
    """Turn what the handler raises into a status; the outermost surrounding."""
    try:
        yield
    except aio.AbortError:
        raise
    except ServiceError as error:
        log.log(
            LOG_LEVEL_OF[error.kind],
            "rpc.failed",
            method=call.method,
            reason=error.reason,
            error=error.message,
            facts=error.facts,
        )
        await _abort(call.context, error)
    except Exception:
        log.exception("rpc.crashed", method=call.method)
        await _abort(call.context, InternalError(INTERNAL_TEXT))


async def _abort(context: Any, error: ServiceError) -> None:
    # An internal error is ours to understand: the caller can do nothing with its words.
    message = INTERNAL_TEXT if error.kind is Kind.INTERNAL else error.message
    facts = {} if error.kind is Kind.INTERNAL else error.facts
    code = STATUS_OF[error.kind]
    info = ErrorInfo(reason=error.reason, domain=DOMAIN, metadata={name: str(fact) for name, fact in facts.items()})
    detail = AnyMessage()
    detail.Pack(info)
    status = Status(code=code.value[0], message=message, details=[detail])
    await context.abort(code, message, ((DETAILS_KEY, status.SerializeToString()),))


def raised_by(error: aio.AioRpcError, *, method: str) -> ServiceError:
    """Return the error that the other side raised.

    Class, reason, message and facts are those of the original (facts as text). A reason that this process has no class
    for comes back in the class of its kind. Without details, as when nothing listens there, the status decides.
    """
    code = error.code()
    base = ERROR_OF.get(code, InternalError)
    info = _error_info(error)
    if info is None and error.details() == _CUT_OFF:
        return UpstreamUnavailableError(f"{method} was ended while requests were still being sent", method=method)
    if info is None:
        return base(_sentence(code, method, error.details() or ""), method=method)
    facts = dict(info.metadata)
    kind = next((cls for cls in _classes(ServiceError) if cls.reason == info.reason and cls.kind is base.kind), base)
    raised = kind(error.details() or INTERNAL_TEXT, **facts)
    # Without a class of its own here, the reason is still the other side's own word.
    vars(raised)["reason"] = info.reason
    return raised


def _sentence(code: grpc.StatusCode, method: str, details: str) -> str:
    service = method.partition("/")[0]
    match code:
        case grpc.StatusCode.UNAVAILABLE:
            return f"{service} cannot be reached: {details}"
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"{method} did not answer in time"
        case _:
            return f"{method} answered {code.name}: {details}"


def _error_info(error: aio.AioRpcError) -> ErrorInfo | None:
    for name, value in error.trailing_metadata() or ():
        if name != DETAILS_KEY or not isinstance(value, bytes):
            continue
        info = ErrorInfo()
        try:
            for detail in Status.FromString(value).details:
                if detail.Unpack(info) and info.domain == DOMAIN:
                    return info
        except DecodeError:
            # The peer is not one of ours; its status code still counts.
            return None
    return None


def _classes(root: type[ServiceError]) -> Iterator[type[ServiceError]]:
    yield root
    for child in root.__subclasses__():
        yield from _classes(child)
