"""Looks at studies that may be ready: matches, makes jobs, settles outcomes, closes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from study_router.domain.ages import parse_date
from study_router.domain.announcements import OutcomeDecided, StudyCompleted
from study_router.domain.facts import digest_of_facts, snapshot_facts, study_age, study_facts, subject_facts
from study_router.domain.instances import InstanceClass
from study_router.domain.jobs import State, Verdict
from study_router.domain.matching import Decision, Insufficient, Matched, NotEligible, decide, name_of
from study_router.domain.readiness import Quiet, became_complete_at, behind, closing_of
from study_router.domain.registry import Archive, Attachment, DeviceVersion
from study_router.domain.studies import Study, StudyState, Touched
from study_router.domain.work import CurrentOutcome, Ending, HistoryEntry, Job, JobInput
from study_router.ports import Connectors, PutStack, Snapshot, Store, Transaction
from study_router.usecases.commands import configuration_of
from study_router.usecases.moving import supersede
from study_router.usecases.viewing import RuleBook, View, view_of
from udckit import crash
from udckit.clock import Clock
from udcmodel.grant import Grant
from udcmodel.ids import job_id, patient_fingerprint
from udcmodel.vocabulary import InputKind, Outcome


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done about an attachment now; without job and outcome it is too early to say."""

    attachment: Attachment
    device: DeviceVersion
    decision: Decision
    job: Job | None = None
    outcome: Outcome | None = None
    ending: Ending = field(default_factory=Ending)
    look_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateStudy:
    """Look at one study that is due.

    Attributes:
        store: Transactions.
        connectors: Access to archives.
        put_stack: Stores the descriptions of inputs.
        rules: Compiled rules.
        clock: Time.
        region: Part of every job's id.
        identity_key: Key of the patient fingerprint.
        quiet: How long silence must last.
        job_deadline_s: From the making of a job to its total deadline.
        retry_s: When to look again while the index is behind the archive.
        max_study_age_days: Studies older than this by Study Date are history; None for no limit.
    """

    store: Store
    connectors: Connectors
    put_stack: PutStack
    rules: RuleBook
    clock: Clock
    region: str
    identity_key: bytes
    quiet: Quiet
    job_deadline_s: float
    retry_s: float
    max_study_age_days: float | None

    async def __call__(self, name: str) -> None:
        """Look at the study and do what is due.

        Raises:
            UpstreamUnavailableError: an archive or the object store is away; the study stays due.
        """
        view = await self.store.read(lambda transaction: view_of(transaction, transaction.studies.get(name)))
        if view.study.state is not StudyState.OPEN:
            await self._look_again(view.study, at=None)
            return
        now = self.clock.now()
        if view.has_arrivals or not await self._has_caught_up(view, now):
            await self._look_again(view.study, at=now + timedelta(seconds=self.retry_s))
            return
        closing = closing_of(view.study, now=now, quiet=self.quiet)
        plans = [
            await self._plan(view, attachment, device, now=now, is_closing=closing.is_due)
            for attachment, device in view.attachments
            if self._is_concerned(view, attachment)
        ]
        looks = [closing.look_at, *(plan.look_at for plan in plans if plan.look_at is not None)]
        crash.point("router.before_plan")
        await self.store.transact(
            partial(
                self._carry_out,
                view=view,
                plans=plans,
                evidence=closing.evidence if closing.is_due else None,
                look_at=min(looks),
            )
        )

    async def put_off(self, name: str, seconds: float) -> None:
        """Look at a study later, because it could not be looked at now."""
        study = await self.store.read(lambda transaction: transaction.studies.get(name))
        await self._look_again(study, at=self.clock.now() + timedelta(seconds=seconds))

    def _is_concerned(self, view: View, attachment: Attachment) -> bool:
        """Say whether the study is the attachment's business: its organisation, its archives, its time."""
        study = view.study
        if not attachment.looks_at(organisation=study.organisation, archives=view.archives):
            return False
        if became_complete_at(study, quiet=self.quiet) <= attachment.effective_from:
            return False
        made = parse_date(study.study_date)
        if self.max_study_age_days is None or made is None:
            return True
        return (study.first_seen_at.date() - made).days <= self.max_study_age_days

    async def _look_again(self, study: Study, *, at: datetime | None) -> None:
        def note(transaction: Transaction) -> None:
            current = transaction.studies.lock(study.study)
            if current is not None and current.version == study.version:
                transaction.studies.save(replace(current, due_at=at))

        await self.store.transact(note)

    async def _has_caught_up(self, view: View, now: datetime) -> bool:
        """Compare our index with what the archives hold now; what differs is read again."""
        for name in view.archives:
            archive = await self.store.read(partial(_archive, name=name))
            connector = await self.connectors.connector(archive)
            held = await connector.counts(view.study.study_instance_uid)
            missing = behind(view.instances, archive=name, held=held)
            if missing:
                touched = [Touched(view.study.study_instance_uid, series, now) for series in missing]
                await self.store.transact(partial(_touch, archive=name, touched=touched, now=now))
                return False
        return True

    async def _plan(
        self, view: View, attachment: Attachment, device: DeviceVersion, *, now: datetime, is_closing: bool
    ) -> Plan:
        stacks = view.stacks(attachment)
        decision = decide(
            self.rules.rules(attachment, device),
            study=study_facts(view.study, stacks),
            age_why=study_age(view.study).why,
            stacks=stacks,
        )
        plan = Plan(attachment, device, decision)
        match decision.verdict:
            case NotEligible(ending=ending):
                return replace(plan, outcome=Outcome.NOT_ELIGIBLE, ending=ending) if is_closing else plan
            case Insufficient(ending=ending):
                return replace(plan, outcome=Outcome.INSUFFICIENT, ending=ending) if is_closing else plan
            case Matched() as matched:
                ready_at = matched.latest_arrival_at + self.quiet.stack
                if now < ready_at and not is_closing:
                    return replace(plan, look_at=ready_at)
                return replace(plan, job=await self._job(view, plan, matched, now))

    async def _job(self, view: View, plan: Plan, matched: Matched, now: datetime) -> Job:
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
        name = self._job_id(plan, study.study, digests, run=1)
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
            priority=attachment.priority,
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
            input_ready_at=matched.latest_arrival_at,
            deadline=deadline,
        )

    def _job_id(self, plan: Plan, study: str, digests: tuple[str, ...], *, run: int) -> str:
        return job_id(
            region=self.region,
            subject=f"studies/{study}",
            attachment=plan.attachment.attachment,
            input_digests=digests,
            configuration=configuration_of(plan.device, plan.attachment),
            run=run,
        )

    def _carry_out(
        self,
        transaction: Transaction,
        *,
        view: View,
        plans: Sequence[Plan],
        evidence: tuple[str, ...] | None,
        look_at: datetime,
    ) -> None:
        """Do what was planned, unless the study changed meanwhile: then it is due again already."""
        study = transaction.studies.lock(view.study.study)
        if study is None or study.version != view.study.version or study.state is not StudyState.OPEN:
            return
        if study.is_forced and evidence is None:
            return
        now = self.clock.now()
        snapshot = _snapshot(view, plans)
        transaction.studies.keep_snapshot(study.study, study.revision, snapshot, at=now)
        latest = _latest_outcomes(transaction.jobs.outcomes(study.study))
        for plan in plans:
            self._settle(transaction, study, plan, latest.get(plan.attachment.attachment), snapshot.digest)
        if evidence is None:
            transaction.studies.save(replace(study, due_at=look_at))
            return
        transaction.studies.save(replace(study, state=StudyState.CLOSED, due_at=None))
        sources = {
            item.header.sop_instance_uid: item.header.series_instance_uid
            for item in view.instances
            if item.instance_class is InstanceClass.SOURCE
        }
        transaction.announce(
            StudyCompleted(
                study=study.study,
                revision=study.revision,
                organisation=study.organisation,
                series_count=len(set(sources.values())),
                instance_count=len(sources),
                evidence=(*evidence, "the index equals the archive"),
                at=now,
            )
        )

    def _settle(
        self, transaction: Transaction, study: Study, plan: Plan, latest: CurrentOutcome | None, snapshot: str
    ) -> None:
        existing = transaction.jobs.lock(latest.job) if latest is not None and latest.job else None
        now = self.clock.now()
        current = CurrentOutcome(
            study=study.study,
            revision=study.revision,
            attachment=plan.attachment.attachment,
            device=plan.device.device,
            version=plan.device.version,
            job="",
            outcome=plan.outcome,
            ending=plan.ending,
            decided_at=now,
            snapshot=snapshot,
        )
        is_settled = latest is not None and latest.revision == study.revision
        if plan.job is not None:
            if existing is not None and _is_same_work(existing, plan.job):
                if not is_settled:
                    self._carry_over(transaction, current, existing)
                return
            job = self._make(transaction, plan, plan.job, now)
            if existing is not None:
                supersede(transaction, existing, successor=job.job, now=now)
            transaction.jobs.set_outcome(replace(current, job=job.job, outcome=None))
        elif plan.outcome is not None:
            if latest is not None and is_settled and not latest.job and latest.outcome is plan.outcome:
                return
            if existing is not None:
                supersede(transaction, existing, successor="", now=now)
            transaction.jobs.set_outcome(current)
            self._announce(transaction, current, plan, study)

    def _make(self, transaction: Transaction, plan: Plan, job: Job, now: datetime) -> Job:
        run = 1
        while transaction.jobs.find(job.job) is not None:
            # The same input was worked on before and has been something else in between.
            run += 1
            name = self._job_id(plan, job.study, job.grant.input_digests, run=run)
            job = replace(job, job=name, run=run, grant=replace(job.grant, job=name))
        transaction.jobs.add(job)
        entry = HistoryEntry(
            at=now, event="CREATED", verdict=Verdict.APPLY, state=job.state, attempt=0, detail=_evidence(job, now)
        )
        transaction.jobs.note(job.job, entry)
        return job

    def _carry_over(self, transaction: Transaction, current: CurrentOutcome, job: Job) -> None:
        """Let a new revision rest on the job of an earlier one, whose inputs are the same."""
        carried = replace(current, job=job.job, outcome=job.outcome, ending=job.ending, successor=job.successor)
        transaction.jobs.set_outcome(carried)
        if job.outcome is not None:
            transaction.announce(
                OutcomeDecided(
                    study=current.study,
                    revision=current.revision,
                    attachment=current.attachment,
                    organisation=job.grant.organisation,
                    device=current.device,
                    version=current.version,
                    mode=job.grant.mode,
                    job=job.job,
                    outcome=job.outcome,
                    ending=job.ending,
                    successor=job.successor,
                    facts=job.facts,
                    attempts=job.attempt,
                    at=current.decided_at,
                )
            )

    def _announce(self, transaction: Transaction, current: CurrentOutcome, plan: Plan, study: Study) -> None:
        if current.outcome is None:
            return
        transaction.announce(
            OutcomeDecided(
                study=current.study,
                revision=current.revision,
                attachment=current.attachment,
                organisation=study.organisation,
                device=current.device,
                version=current.version,
                mode=plan.attachment.mode,
                job="",
                outcome=current.outcome,
                ending=current.ending,
                successor="",
                facts=subject_facts(study, None),
                attempts=0,
                at=current.decided_at,
            )
        )


def _archive(transaction: Transaction, *, name: str) -> Archive:
    return transaction.registry.archive(name)


def _touch(transaction: Transaction, *, archive: str, touched: Sequence[Touched], now: datetime) -> None:
    transaction.studies.touch(archive, touched, now=now, pause_s=0.0)


def _is_same_work(existing: Job, wanted: Job) -> bool:
    """Say whether a job does what is wanted; one that was superseded does not any more."""
    pinned = replace(wanted.grant, job=existing.job, valid_until=existing.grant.valid_until)
    return existing.state is not State.SUPERSEDED and not existing.successor and existing.grant == pinned


def _latest_outcomes(outcomes: Sequence[CurrentOutcome]) -> Mapping[str, CurrentOutcome]:
    latest: dict[str, CurrentOutcome] = {}
    for outcome in outcomes:
        before = latest.get(outcome.attachment)
        if before is None or before.revision <= outcome.revision:
            latest[outcome.attachment] = outcome
    return latest


def _snapshot(view: View, plans: Sequence[Plan]) -> Snapshot:
    facts = snapshot_facts(view.study, view.stacks())
    rules: dict[str, Any] = {
        plan.attachment.attachment: {
            "revision": plan.attachment.revision,
            "device": plan.device.device,
            "version": plan.device.version,
            "decision": name_of(plan.decision.verdict),
            "notes": list(plan.decision.notes),
        }
        for plan in plans
    }
    return Snapshot(digest=digest_of_facts({"facts": facts, "rules": rules}), facts=facts, rules=rules)


def _evidence(job: Job, now: datetime) -> str:
    quiet_s = (now - job.input_ready_at).total_seconds()
    return f"run {job.run}; input complete, quiet for {quiet_s:.1f} s, the index equals the archive"
