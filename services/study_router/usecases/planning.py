"""What is to be done about a study for every attachment."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from study_router.domain.ages import parse_date
from study_router.domain.facts import study_age, study_facts, subject_facts
from study_router.domain.matching import Decision, Insufficient, Matched, NotEligible, decide
from study_router.domain.quiet import declared_quiet, learnt_quiet
from study_router.domain.readiness import Closing, Quiet, became_complete_at
from study_router.domain.registry import Attachment, DeviceVersion
from study_router.domain.studies import Study, StudyState
from study_router.domain.work import Ending, Job, JobInput
from study_router.ports import PutStack
from study_router.usecases.commands import configuration_of
from study_router.usecases.viewing import RuleBook, View
from udcmodel.grant import Grant
from udcmodel.ids import job_id, patient_fingerprint
from udcmodel.vocabulary import ErrorCategory, InputKind, Outcome, Priority

MAX_INPUTS: Final = 128
"""Inputs with which a job's events are far from the size that is refused: what cannot be told holds up its pool."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done about an attachment now; without job and outcome it is too early to say.

    Attributes:
        look_at: When to look again.
        is_backfill: The study was complete before the attachment began.
        quiet_why: From whom and from how much the silence of the inputs was learnt; empty for the setting.
        finished_why: Why the inputs were finished without any silence; empty where silence decided.
    """

    attachment: Attachment
    device: DeviceVersion
    decision: Decision
    job: Job | None = None
    outcome: Outcome | None = None
    ending: Ending = field(default_factory=Ending)
    look_at: datetime | None = None
    is_backfill: bool = False
    quiet_why: str = ""
    finished_why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStudy:
    """Decide for every attachment that a study concerns.

    Attributes:
        put_stack: Stores the descriptions of inputs.
        rules: Compiled rules.
        region: Part of every job's id.
        identity_key: Key of the patient fingerprint.
        quiet: How long silence must last, unless a sender is known to pause for longer.
        longest_quiet: How long it must last at most, however long a sender pauses.
        job_deadline_s: From the making of a job to its total deadline.
        max_study_age_days: Studies older than this by Study Date are history; None for no limit.
    """

    put_stack: PutStack
    rules: RuleBook
    region: str
    identity_key: bytes
    quiet: Quiet
    longest_quiet: Quiet
    job_deadline_s: float
    max_study_age_days: float | None

    async def __call__(self, view: View, *, now: datetime, closing: Closing) -> Sequence[Plan]:
        """Plan for all attachments.

        Args:
            view: The study.
            now: The time.
            closing: Whether the study is closed now; then whatever is left is settled.

        Raises:
            UpstreamUnavailableError: the object store is away.
        """
        return [
            await self._plan(view, attachment, device, now=now, closing=closing)
            for attachment, device in view.attachments
            if self._is_concerned(view, attachment)
        ]

    def quiet_of(self, view: View) -> Quiet:
        """Return how long silence must last for this study."""
        declared = declared_quiet(view.profiles, setting=self.quiet)
        return learnt_quiet(view.pauses, setting=declared, longest=self.longest_quiet)

    def concerns(
        self, study: Study, archives: Sequence[str], attachment: Attachment, *, quiet: Quiet | None = None
    ) -> bool:
        """Say whether the study is the attachment's business: its organisation, its archives, its time.

        Args:
            study: The study.
            archives: Where it is.
            attachment: Whose business it may be.
            quiet: How long its senders pause; the setting, which is the least, when left out. A backfill may hand over
                more.
        """
        if not attachment.looks_at(organisation=study.organisation, archives=archives):
            return False
        if became_complete_at(study, quiet=quiet or self.quiet) <= attachment.effective_from:
            return False
        made = parse_date(study.study_date)
        if self.max_study_age_days is None or made is None:
            return True
        return (study.first_seen_at.date() - made).days <= self.max_study_age_days

    def _is_concerned(self, view: View, attachment: Attachment) -> bool:
        if not attachment.looks_at(organisation=view.study.organisation, archives=view.archives):
            return False
        if view.study.state is StudyState.CLOSED:
            return attachment.attachment in view.owed
        return attachment.attachment in view.backfilled or self._is_in_time(view, attachment)

    def _is_in_time(self, view: View, attachment: Attachment) -> bool:
        return self.concerns(view.study, view.archives, attachment, quiet=self.quiet_of(view))

    async def _plan(
        self, view: View, attachment: Attachment, device: DeviceVersion, *, now: datetime, closing: Closing
    ) -> Plan:
        stacks = view.stacks(attachment)
        decision = decide(
            self.rules.rules(attachment, device),
            study=study_facts(view.study, stacks),
            age_why=study_age(view.study).why,
            stacks=stacks,
        )
        quiet = self.quiet_of(view)
        is_backfill = attachment.attachment in view.backfilled and not self._is_in_time(view, attachment)
        plan = Plan(attachment, device, decision, is_backfill=is_backfill, quiet_why=quiet.stack_why)
        match decision.verdict:
            case NotEligible(ending=ending):
                return replace(plan, outcome=Outcome.NOT_ELIGIBLE, ending=ending) if closing.is_due else plan
            case Insufficient(ending=ending):
                return replace(plan, outcome=Outcome.INSUFFICIENT, ending=ending) if closing.is_due else plan
            case Matched(chosen=chosen) if len(chosen) > MAX_INPUTS:
                ending = Ending(
                    reason="TOO_MANY_INPUTS",
                    detail=f"{len(chosen)} stacks are its input; a job has at most {MAX_INPUTS}",
                    category=ErrorCategory.NUMBER_OF_IMAGES,
                )
                return replace(plan, outcome=Outcome.INSUFFICIENT, ending=ending) if closing.is_due else plan
            case Matched() as matched:
                ready_at, why = self._ready(view, matched, quiet)
                if now < ready_at and not closing.is_due:
                    return replace(plan, look_at=ready_at)
                if now < ready_at:
                    why = closing.evidence
                # A study that is declared complete does not wait for silence.
                job = await self._job(view, plan, matched, now, ready_at=min(ready_at, now))
                return replace(plan, job=job, finished_why=why)

    def _ready(self, view: View, matched: Matched, quiet: Quiet) -> tuple[datetime, tuple[str, ...]]:
        """Return when everything that could be chosen is finished, and why if that was not decided by silence."""
        ready_at: list[datetime] = []
        why: list[str] = []
        is_said = True
        for stack in matched.candidates:
            finished = view.finished_stack(stack)
            is_said = is_said and finished.is_certain
            if finished.is_certain:
                ready_at.append(stack.last_arrival_at)
                why.extend(finished.evidence)
            else:
                wait = max(quiet.stack, self.longest_quiet.stack) if finished.against else quiet.stack
                ready_at.append(stack.last_arrival_at + wait)
        return max(ready_at), tuple(dict.fromkeys(why)) if is_said else ()

    async def _job(self, view: View, plan: Plan, matched: Matched, now: datetime, *, ready_at: datetime) -> Job:
        inputs = [
            JobInput(
                name=chosen.name,
                kind=InputKind.STACK,
                digest=await self.put_stack(chosen.stack.descriptor()),
                archive=chosen.stack.archive,
            )
            for chosen in matched.chosen
        ]
        study, attachment, device = view.study, plan.attachment, plan.device
        deadline = now + timedelta(seconds=self.job_deadline_s)
        digests = tuple(item.digest for item in inputs)
        name = self.work_id(plan, study.study, digests, run=1)
        return Job(
            job=name,
            study=study.study,
            revision=study.revision,
            run=1,
            grant=Grant(
                job=name,
                device=device.device,
                version=device.version,
                attachment=attachment.attachment,
                attachment_revision=attachment.revision,
                organisation=study.organisation,
                mode=attachment.mode,
                manifest_digest=device.manifest_digest,
                model_digest=device.model_digest,
                input_digests=digests,
                valid_until=deadline,
            ),
            inputs=tuple(inputs),
            pool=attachment.pool,
            priority=Priority.BATCH if plan.is_backfill else attachment.priority,
            attempt_limit_s=attachment.deadline_s,
            destinations=attachment.shown_in,
            issue=0,
            patient_fingerprint=patient_fingerprint(
                self.identity_key,
                patient_id=study.patient.patient_id,
                issuer=study.patient.issuer,
                birth_date=study.patient.birth_date,
                sex=study.patient.sex,
            ),
            facts=subject_facts(study, matched.chosen[0].stack),
            created_at=now,
            input_ready_at=ready_at,
            deadline=deadline,
        )

    def work_id(self, plan: Plan, study: str, digests: tuple[str, ...], *, run: int) -> str:
        """Return the id of run ``run`` of the work that a plan asks for."""
        return job_id(
            region=self.region,
            subject=f"studies/{study}",
            attachment=plan.attachment.attachment,
            input_digests=digests,
            configuration=configuration_of(plan.device, plan.attachment),
            run=run,
        )
