"""What the archiver tells the others, on the wire."""

from collections.abc import Sequence
from datetime import datetime

from result_archiver.domain.delivery import DeliveryKey
from result_archiver.domain.objects import EncodedObject
from result_archiver.ports import AcceptedResult
from udc.events.v1 import result_pb2
from udckit import subjects
from udckit.envelope import OutgoingEvent, outgoing
from udcmodel import codec
from udcmodel.vocabulary import ErrorCategory


def result_archived(
    accepted: AcceptedResult, key: DeliveryKey, objects: Sequence[EncodedObject], at: datetime
) -> OutgoingEvent:
    """Return the event that every object of a result is in an archive."""
    message = result_pb2.ResultArchived(
        job=key.job,
        result_digest=key.result_digest,
        archive=key.archive,
        objects=[
            result_pb2.ArchivedObject(sop_class_uid=encoded.sop_class_uid, digest=encoded.digest) for encoded in objects
        ],
    )
    return outgoing(
        message,
        key=_fact(key),
        subject=subjects.RESULT_ARCHIVED,
        about=f"jobs/{key.job}",
        organisation=accepted.organisation,
        occurred_at=at,
    )


def result_failed(
    key: DeliveryKey, *, reason: str, detail: str, category: ErrorCategory, organisation: str, at: datetime
) -> OutgoingEvent:
    """Return the event that a result cannot reach an archive."""
    message = result_pb2.ResultFailed(
        job=key.job,
        result_digest=key.result_digest,
        archive=key.archive,
        reason=reason,
        detail=detail,
        category=codec.CATEGORY_TO_PROTO[category],
    )
    return outgoing(
        message,
        key=_fact(key),
        subject=subjects.RESULT_FAILED,
        about=f"jobs/{key.job}",
        organisation=organisation,
        occurred_at=at,
    )


def _fact(key: DeliveryKey) -> str:
    return f"{key.job}|{key.result_digest}|{key.archive}"
