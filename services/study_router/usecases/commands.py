"""What people order about jobs."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from study_router.domain.jobs import Event, State, Verdict, has_ended
from study_router.domain.registry import Attachment, DeviceVersion
from study_router.domain.studies import StudyState
from study_router.domain.work import CurrentOutcome, Ending, HistoryEntry, Job
from study_router.ports import Store, Transaction
from study_router.usecases.moving import move
from udckit.clock import Clock
from udckit.errors import PreconditionError
from udcmodel.ids import job_id

RETRYABLE: Final = frozenset({State.FAILED, State.EXPIRED, State.CANCELED, State.INSUFFICIENT, State.REFUSED})
"""Ended without a result that anybody could see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelJob:
    """Stop a job that has not crossed the line."""

    store: Store
    clock: Clock

    async def __call__(self, *, job: str, reason: str) -> Job:
        """Cancel it; cancelling twice changes nothing.

        Raises:
            NotFoundError: there is no such job.
            PreconditionError: it is being archived, or has ended otherwise.
        """

        def cancel(transaction: Transaction) -> Job:
            now = self.clock.now()
            current = transaction.jobs.lock(job)
            verdict = current.decide(Event.CANCEL).verdict
            if verdict is Verdict.REFUSE:
                raise PreconditionError(f"job {job} is {current.state.value} and cannot be canceled", job=job)
            if verdict is Verdict.ALREADY:
                return current
            canceled, _ = move(
                transaction, current, Event.CANCEL, now=now, ending=Ending(reason="CANCELED", detail=reason)
            )
            transaction.audit(action="job.canceled", subject=f"jobs/{job}", at=now, reason=reason)
            return canceled

        return await self.store.transact(cancel)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryJob:
    """Run the work of an ended job again, as a new job; the old one stays as it ended."""

    store: Store
    clock: Clock
    region: str
    job_deadline_s: float

    async def __call__(self, *, job: str) -> Job:
        """Make the next run under today's authorisation; asked again, return the run that was made.

        Raises:
            NotFoundError: there is no such job.
            PreconditionError: it has not ended, has a result, or its study moved on or is quarantined.
        """
        return await self.store.transact(lambda transaction: self._retry(transaction, job))

    def _retry(self, transaction: Transaction, name: str) -> Job:
        now = self.clock.now()
        # The study first, as everywhere: nobody else decides about it, or quarantines it, meanwhile.
        study = transaction.studies.lock(transaction.jobs.get(name).study)
        old = transaction.jobs.lock(name)
        if not has_ended(old.state):
            raise PreconditionError(f"job {name} is {old.state.value}; wait for its end or cancel it", job=name)
        if old.state not in RETRYABLE:
            raise PreconditionError(
                f"job {name} is {old.state.value}; only work without a result is repeated", job=name
            )
        if study is not None and study.state is StudyState.QUARANTINED:
            raise PreconditionError(
                f"study {old.study} of job {name} is quarantined for {study.reason}; udc study release ends that and"
                " makes new work",
                job=name,
                study=old.study,
            )
        device = transaction.registry.device(old.grant.device, old.grant.version)
        attachment = transaction.registry.attachment(old.grant.attachment)
        if device is None or attachment is None:
            raise PreconditionError(f"device or attachment of job {name} is not registered any more", job=name)
        job = renewed(old, device=device, attachment=attachment, region=self.region, run=old.run + 1)
        repeated = transaction.jobs.find(job.job)
        if repeated is not None:
            return repeated
        current = transaction.jobs.outcomes_of_job(name)
        if not current:
            raise PreconditionError(f"job {name} is not what the study rests on any more", job=name)
        job = replace(
            job,
            created_at=now,
            deadline=now + timedelta(seconds=self.job_deadline_s),
            grant=replace(job.grant, valid_until=now + timedelta(seconds=self.job_deadline_s)),
        )
        transaction.jobs.add(job)
        # Should the result of the old one reach the archive after all, it is superseded and no second outcome.
        transaction.jobs.save(replace(old, successor=job.job))
        transaction.jobs.note(
            job.job,
            HistoryEntry(
                at=now,
                event="CREATED",
                verdict=Verdict.APPLY,
                state=job.state,
                attempt=0,
                detail=f"run {job.run}, repeats job {name}",
            ),
        )
        for outcome in current:
            transaction.jobs.set_outcome(_pending(outcome, job))
        transaction.audit(action="job.retried", subject=f"jobs/{name}", at=now, run=job.run, new_job=job.job)
        return job


def _pending(outcome: CurrentOutcome, job: Job) -> CurrentOutcome:
    return replace(outcome, job=job.job, outcome=None, ending=Ending(), successor="", decided_at=job.created_at)


def configuration_of(device: DeviceVersion, attachment: Attachment) -> dict[str, str]:
    """Return what is pinned for a job of ``attachment``, for its id."""
    return {
        "device": device.device,
        "version": device.version,
        "manifest": device.manifest_digest,
        "model": device.model_digest,
        "attachment_revision": str(attachment.revision),
    }


def renewed(job: Job, *, device: DeviceVersion, attachment: Attachment, region: str, run: int) -> Job:
    """Return ``job`` as a fresh one of number ``run``, pinned to the registry as it is now."""
    name = job_id(
        region=region,
        subject=f"studies/{job.study}",
        attachment=attachment.attachment,
        input_digests=job.grant.input_digests,
        configuration=configuration_of(device, attachment),
        run=run,
    )
    return replace(
        job,
        job=name,
        run=run,
        grant=replace(
            job.grant,
            job=name,
            attachment_revision=attachment.revision,
            mode=attachment.mode,
            manifest_digest=device.manifest_digest,
            model_digest=device.model_digest,
        ),
        pool=attachment.pool,
        priority=attachment.priority,
        attempt_limit_s=attachment.deadline_s,
        destinations=attachment.shown_in,
        state=State.PENDING,
        attempt=0,
        failures=0,
        ending=Ending(),
        result_digest="",
        successor="",
        not_before=None,
        attempt_deadline=None,
        dispatched_at=None,
        accepted_at=None,
        ended_at=None,
    )
