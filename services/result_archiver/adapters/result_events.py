"""``ResultAccepted`` from the wire to the use case, and what happens when it is given up."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection

from result_archiver.adapters.ledger import end_badly, has_ended
from result_archiver.domain.delivery import DeliveryKey
from result_archiver.domain.delivery import Event as DeliveryEvent
from result_archiver.domain.failure import ArchiveBrokeError
from result_archiver.ports import AcceptedResult
from result_archiver.usecases.archive_result import ArchiveResult
from udc.events.v1 import job_pb2, result_pb2
from udckit import subjects
from udckit.clock import Clock
from udckit.consumer import Effect, Handler, Policy, Subscription
from udckit.dead_letters import DeadLetter
from udckit.envelope import HEADER_TYPE, Event
from udckit.errors import InvalidRequestError, PreconditionError, TimedOutError
from udcmodel import codec
from udcmodel.vocabulary import ErrorCategory

RESULT_ACCEPTED: Final = result_pb2.ResultAccepted.DESCRIPTOR.full_name

_FAULTS_OF_ARCHIVES: Final = frozenset({ArchiveBrokeError.reason, TimedOutError.reason})


def subscription(archive_result: ArchiveResult, clock: Clock, policy: Policy) -> Subscription:
    """Return what the archiver consumes."""

    async def on_result_accepted(event: Event) -> Effect | None:
        # Every delivery is committed step by step by the use case itself: nothing is left to do with the inbox.
        await archive_result(accepted_result(event))
        return None

    def on_dead_letter(event: Event, reason: str, detail: str) -> Effect:
        message = event.decode(result_pb2.ResultAccepted)
        category = ErrorCategory.SERVER_UNAVAILABLE if reason in _FAULTS_OF_ARCHIVES else ErrorCategory.OTHER

        def effect(connection: Connection) -> None:
            for archive in message.destinations:
                end_badly(
                    connection,
                    key=DeliveryKey(job=message.job, result_digest=message.result_digest, archive=archive),
                    event=DeliveryEvent.FAILED,
                    reason=reason,
                    detail=detail,
                    category=category,
                    organisation=event.organisation,
                    at=clock.now(),
                )

        return effect

    handlers: Mapping[str, Handler] = {RESULT_ACCEPTED: on_result_accepted}
    return Subscription(
        stream=subjects.STREAM_EVENTS,
        durable=subjects.DURABLE_ARCHIVER_RESULTS,
        handlers=handlers,
        policy=policy,
        on_dead_letter=on_dead_letter,
    )


def may_replay(connection: Connection, letter: DeadLetter) -> None:
    """Refuse to handle an event again that can no longer lead to anything.

    Raises:
        PreconditionError: every delivery of the result has ended; the job has to be retried instead.
    """
    if letter.headers.get(HEADER_TYPE) != RESULT_ACCEPTED:
        return
    message = result_pb2.ResultAccepted.FromString(letter.body)
    if has_ended(connection, job=message.job, result_digest=message.result_digest):
        raise PreconditionError(
            f"the result of job {message.job} has ended and was reported; retry the job", job=message.job
        )


def accepted_result(event: Event) -> AcceptedResult:
    """Read an event.

    Raises:
        InvalidRequestError: it is of another type, or names no image stack of the study.
    """
    message = event.decode(result_pb2.ResultAccepted)
    stack = next((item for item in message.inputs if item.kind == job_pb2.INPUT_KIND_STACK), None)
    if stack is None:
        raise InvalidRequestError(f"the result of job {message.job} was made from no images", job=message.job)
    return AcceptedResult(
        job=message.job,
        result_digest=message.result_digest,
        grant=codec.grant_from_proto(message.grant),
        stack_digest=stack.digest,
        source_archive=stack.archive,
        study=message.study,
        issue=message.issue,
        destinations=tuple(message.destinations),
        patient_fingerprint=message.patient_fingerprint,
        accepted_at=codec.moment(message.accepted_at),
        deadline=codec.moment(message.deadline),
        organisation=event.organisation,
    )
