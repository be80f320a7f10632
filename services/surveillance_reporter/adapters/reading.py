"""What the wire tells, as facts that are counted."""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

import structlog
from google.protobuf.message import DecodeError

from surveillance_reporter.domain.facts import Accepted, Case, Ended, Fact, Inferred
from udc.events.v1 import job_pb2, result_pb2
from udckit import telemetry
from udcmodel import codec

log: Final = structlog.get_logger()

_uncounted: Final = telemetry.meter().create_counter("udc.surveillance.uncounted", unit="{event}")


def fact_of(*, event_id: str, type_name: str, sequence: int, occurred_at: datetime, body: bytes) -> Fact | None:
    """Return what of an event is counted, or None if nothing is.

    An event that should be counted and cannot be read is kept in the journal all the same: it may be from a newer
    producer, and counting anew after an upgrade will count it.

    Args:
        event_id: The event, for the log.
        type_name: Full protobuf name of the body.
        sequence: Number given by the producer.
        occurred_at: When it happened.
        body: Serialised protobuf.
    """
    read = _READERS.get(type_name)
    if read is None:
        return None
    try:
        return read(body, sequence, occurred_at)
    except (DecodeError, KeyError, ValueError) as error:
        _uncounted.add(1)
        log.error(  # noqa: TRY400 the words of the error may quote what is in the event
            "event.not_counted", event_id=event_id, event_type=type_name, error_type=type(error).__qualname__
        )
        return None


def _ended(body: bytes, sequence: int, occurred_at: datetime) -> Ended:
    message = job_pb2.JobEnded.FromString(body)
    _require(message.study, message.attachment)
    return Ended(
        case=Case(message.study, message.attachment),
        job=message.job,
        revision=message.revision,
        sequence=sequence,
        outcome=codec.OUTCOME_FROM_PROTO[message.outcome],
        category=codec.CATEGORY_FROM_PROTO[message.category] if message.category else None,
        successor=message.successor,
        mode=codec.MODE_FROM_PROTO[message.mode],
        device=message.device,
        version=message.version,
        organisation=message.organisation,
        occurred_at=occurred_at,
    )


def _accepted(body: bytes, _sequence: int, _occurred_at: datetime) -> Accepted:
    message = result_pb2.ResultAccepted.FromString(body)
    _require(message.job, message.result_digest)
    return Accepted(job=message.job, issue=message.issue, digest=message.result_digest)


def _inferred(body: bytes, _sequence: int, _occurred_at: datetime) -> Inferred:
    message = job_pb2.JobInferred.FromString(body)
    _require(message.job, message.result_digest)
    return Inferred(
        job=message.job,
        digest=message.result_digest,
        attempt=message.attempt,
        findings_present=message.findings_present,
        findings_undetermined=message.findings_undetermined,
    )


def _require(*names: str) -> None:
    if not all(names):
        raise ValueError("the event does not say what it is about")


_READERS: Final[Mapping[str, Callable[[bytes, int, datetime], Fact]]] = MappingProxyType(
    {
        job_pb2.JobEnded.DESCRIPTOR.full_name: _ended,
        result_pb2.ResultAccepted.DESCRIPTOR.full_name: _accepted,
        job_pb2.JobInferred.DESCRIPTOR.full_name: _inferred,
    }
)
