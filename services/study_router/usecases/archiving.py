"""The line: before it anything may prevent archiving, after it archiving finishes."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta

from study_router.domain.jobs import Event, Verdict
from study_router.domain.studies import StudyState
from study_router.domain.work import Ending, Job
from study_router.ports import Store, Transaction
from study_router.usecases.moving import move
from udckit.clock import Clock
from udcmodel.grant import check_grant


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether archiving may begin; if not, an upper-case reason and a sentence."""

    granted: bool
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginArchiving:
    """Let the archiver store a result, once everything that could forbid it has been asked.

    Attributes:
        store: Transactions.
        clock: Time.
        archiving_deadline_s: How long archiving may take from here.
    """

    store: Store
    clock: Clock
    archiving_deadline_s: float

    async def __call__(self, *, job: str, digest: str, sop_instance_uids: Collection[str]) -> Answer:
        """Cross the line, or say why not. Asking again for the same result gives the same answer.

        Args:
            job: The job.
            digest: Digest of the result that would be archived.
            sop_instance_uids: Everything that will be stored: known as our own from now on.

        Raises:
            NotFoundError: there is no such job.
        """
        return await self.store.transact(lambda transaction: self._begin(transaction, job, digest, sop_instance_uids))

    def _begin(self, transaction: Transaction, name: str, digest: str, uids: Collection[str]) -> Answer:
        now = self.clock.now()
        job = transaction.jobs.lock(name)
        step = job.decide(Event.BEGIN_ARCHIVING)
        if job.result_digest != digest and step.verdict in {Verdict.APPLY, Verdict.ALREADY}:
            return Answer(granted=False, reason="OTHER_RESULT", detail=f"job {name} has another accepted result")
        match step.verdict:
            case Verdict.ALREADY:
                transaction.jobs.own(name, uids)
                return Answer(granted=True)
            case Verdict.APPLY:
                pass
            case Verdict.NOT_YET:
                return Answer(granted=False, reason="NOT_ACCEPTED", detail=f"job {name} has no accepted result")
            case _:
                return Answer(
                    granted=False, reason=job.state.value, detail=job.ending.detail or f"job {name} has ended"
                )
        # Before the grant, which ends at the same moment: being late is no lack of authority.
        if now >= job.deadline:
            detail = f"the deadline of job {name} has passed before its result could be stored"
            late = Ending(reason="DEADLINE_PASSED", detail=detail, category=job.at_fault_for_lateness(now=now))
            move(transaction, job, Event.EXPIRE, now=now, ending=late)
            return Answer(granted=False, reason=late.reason, detail=late.detail)
        refusal = self._refusal(transaction, job)
        if refusal is not None:
            move(transaction, job, Event.REFUSE, now=now, ending=refusal)
            return Answer(granted=False, reason=refusal.reason, detail=refusal.detail)
        transaction.jobs.own(name, uids)
        ends_at = now + timedelta(seconds=self.archiving_deadline_s)
        move(transaction, replace(job, attempt_deadline=ends_at), Event.BEGIN_ARCHIVING, now=now)
        return Answer(granted=True)

    def _refusal(self, transaction: Transaction, job: Job) -> Ending | None:
        study = transaction.studies.get(job.study)
        if study.state is StudyState.QUARANTINED:
            return Ending(reason=study.reason, detail="the study is quarantined")
        grant = job.grant
        device = transaction.registry.device(grant.device, grant.version)
        attachment = transaction.registry.attachment(grant.attachment)
        refused = check_grant(
            grant,
            device=None if device is None else device.record(),
            attachment=None if attachment is None else attachment.record(),
            now=self.clock.now(),
        )
        return None if refused is None else Ending(reason=refused.refusal.value, detail=refused.detail)
