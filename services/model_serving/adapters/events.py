"""Events of other services: what is dispatched to this pool, and what is cancelled."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog
from nats.aio.msg import Msg

from model_serving.adapters.store import Effect, SqlRuns
from model_serving.domain.run import Dispatch, Ending, JobInput
from model_serving.usecases import InFlight
from udc.events.v1 import job_pb2
from udckit import crash, envelope, subjects
from udckit.bus import Bus
from udckit.consumer import Policy, Subscription
from udckit.envelope import Event
from udckit.errors import InvalidRequestError
from udcmodel.codec import INPUT_KIND_FROM_PROTO, PRIORITY_FROM_PROTO, grant_from_proto, known, moment

DISPATCHED: Final = job_pb2.JobDispatched.DESCRIPTOR.full_name

log: Final = structlog.get_logger()


def dispatch_of(event: Event) -> Dispatch:
    """Return what a ``JobDispatched`` says.

    Raises:
        InvalidRequestError: it is none, or says something unknown.
    """
    message = event.decode(job_pb2.JobDispatched)
    return Dispatch(
        job=message.job,
        attempt=message.attempt,
        deadline=moment(message.deadline),
        priority=known(PRIORITY_FROM_PROTO, message.priority),
        grant=grant_from_proto(message.grant),
        inputs=tuple(
            JobInput(
                name=item.name,
                kind=known(INPUT_KIND_FROM_PROTO, item.kind),
                digest=item.digest,
                archive=item.archive,
            )
            for item in message.inputs
        ),
    )


def dispatches(
    run: Callable[[Dispatch], Awaitable[Ending]],
    runs: SqlRuns,
    *,
    pool: str,
    waiting_room: int,
    longest_run_s: float,
    grace_s: float,
) -> Subscription:
    """Return the subscription to this pool's jobs.

    Args:
        run: ``usecases.RunJob``.
        runs: Turns endings into statements.
        pool: The pool.
        waiting_room: How many jobs are held here at the same time, running or waiting for their model.
        longest_run_s: No deadline is further away.
        grace_s: How long runs may go on when this process is told to stop; then another replica gets their jobs.
    """

    async def handle(event: Event) -> Effect:
        dispatch = dispatch_of(event)
        with structlog.contextvars.bound_contextvars(job=dispatch.job, attempt=dispatch.attempt):
            ending = await run(dispatch)
            log.info("run.ended", ending=type(ending).__name__, device=dispatch.grant.device)
        crash.point("serving.before_report")
        return runs.ended(dispatch, ending)

    def given_up(event: Event, reason: str, detail: str) -> Effect:
        return runs.given_up(dispatch_of(event), reason, detail)

    return Subscription(
        stream=subjects.STREAM_EVENTS,
        durable=subjects.durable_serving_jobs(pool),
        handlers={DISPATCHED: handle},
        policy=Policy(concurrency=waiting_room, batch=waiting_room, limit_s=longest_run_s, drain_s=grace_s),
        on_dead_letter=given_up,
    )


@asynccontextmanager
async def hearing_cancellations(bus: Bus, in_flight: InFlight) -> AsyncIterator[None]:
    """Stop runs that are cancelled, while the block runs.

    Every replica hears every cancellation as it is published, without a durable: only the replica that has the job can
    stop it, and one that missed the word wastes work but does no harm.
    """

    async def heard(message: Msg) -> None:
        try:
            event = envelope.parse(message.headers or {}, message.data)
            canceled = event.decode(job_pb2.JobCanceled)
        except InvalidRequestError as error:
            log.warning("cancellation.malformed", error=error.message)
            return
        if in_flight.cancel(canceled.job, canceled.attempt):
            log.info("run.canceled", job=canceled.job, attempt=canceled.attempt, reason=canceled.reason)

    subscription = await bus.nc.subscribe(subjects.JOB_CANCELED, cb=heard)
    try:
        yield
    finally:
        if not bus.nc.is_closed:
            await subscription.unsubscribe()
