"""Looks at studies that may be ready: matches, makes jobs, settles outcomes, closes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from study_router.domain.announcements import OutcomeDecided, StudyCompleted
from study_router.domain.facts import digest_of_facts, snapshot_facts, subject_facts
from study_router.domain.instances import InstanceClass
from study_router.domain.jobs import State, Verdict
from study_router.domain.matching import Matched, name_of
from study_router.domain.quiet import pauses_of
from study_router.domain.readiness import Closing, behind, closing_of
from study_router.domain.registry import Archive
from study_router.domain.studies import TWO_PATIENTS, Study, StudyEntry, StudyEvent, StudyState, Touched
from study_router.domain.work import CurrentOutcome, HistoryEntry, Job
from study_router.ports import Connectors, Snapshot, Store, Transaction
from study_router.usecases.moving import supersede
from study_router.usecases.planning import Plan, PlanStudy
from study_router.usecases.viewing import View, view_of
from udckit import crash
from udckit.clock import Clock
from udckit.errors import InternalError


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateStudy:
    """Look at one study that is due.

    Attributes:
        store: Transactions.
        connectors: Access to archives.
        plan: Decides for every attachment.
        clock: Time.
        retry_s: When to look again while the index is behind the archive.
    """

    store: Store
    connectors: Connectors
    plan: PlanStudy
    clock: Clock
    retry_s: float

    async def __call__(self, name: str) -> None:
        """Look at the study and do what is due.

        Raises:
            UpstreamUnavailableError: an archive or the object store is away; the study stays due.
        """
        view = await self.store.read(lambda transaction: view_of(transaction, transaction.studies.get(name)))
        is_closed = view.study.state is StudyState.CLOSED
        if view.study.state is not StudyState.OPEN and not view.owed:
            await self._look_again(view.study, at=None)
            return
        now = self.clock.now()
        if view.has_arrivals or not await self._has_caught_up(view, now):
            await self._look_again(view.study, at=now + timedelta(seconds=self.retry_s))
            return
        closing = (
            Closing(is_due=True, evidence=(), look_at=now)
            if is_closed
            else closing_of(
                view.study,
                now=now,
                quiet=self.plan.quiet_of(view),
                finished=view.finished(),
                longest=self.plan.longest_quiet.study,
            )
        )
        plans = await self.plan(view, now=now, closing=closing)
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
        if study is None or (study.version, study.state) != (view.study.version, view.study.state):
            return
        if study.is_forced and evidence is None:
            return
        now = self.clock.now()
        is_closed = study.state is StudyState.CLOSED
        before = transaction.studies.snapshot(study.study, study.revision) if is_closed else None
        snapshot = _snapshot(view, plans, before, evidence)
        transaction.studies.keep_snapshot(study.study, study.revision, snapshot, at=now)
        latest = _latest_outcomes(transaction.jobs.outcomes(study.study))
        for plan in plans:
            self._settle(transaction, study, plan, latest.get(plan.attachment.attachment), snapshot.digest)
        if evidence is None:
            transaction.studies.save(replace(study, due_at=look_at))
            return
        transaction.studies.save(replace(study, state=StudyState.CLOSED, due_at=None, closed_at=study.closed_at or now))
        transaction.studies.collapse(study.study)
        if is_closed:
            return
        pauses = pauses_of(view.stacks(), longest=self.plan.longest_quiet)
        transaction.senders.note(study.study, pauses, at=now)
        sources = {
            item.header.sop_instance_uid: item.header.series_instance_uid
            for item in view.instances
            if item.instance_class is InstanceClass.SOURCE
        }
        said = (*evidence, "the index equals the archive")
        transaction.studies.note(
            study.study,
            StudyEntry(at=now, event=StudyEvent.COMPLETED, revision=study.revision, detail=", ".join(said)),
        )
        transaction.announce(
            StudyCompleted(
                study=study.study,
                revision=study.revision,
                organisation=study.organisation,
                series_count=len(set(sources.values())),
                instance_count=len(sources),
                evidence=said,
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
            name = self.plan.work_id(plan, job.study, job.grant.input_digests, run=run)
            job = replace(job, job=name, run=run, grant=replace(job.grant, job=name))
        transaction.jobs.add(job)
        entry = HistoryEntry(
            at=now,
            event="CREATED",
            verdict=Verdict.APPLY,
            state=job.state,
            attempt=0,
            detail=_evidence(job, now, plan),
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
    transaction.intake.touch(archive, touched, now=now, pause_s=0.0)


def _is_same_work(existing: Job, wanted: Job) -> bool:
    """Say whether a job does what is wanted; one that was superseded or stopped by a quarantine does not any more."""
    if existing.ending.reason == TWO_PATIENTS:
        return False
    pinned = replace(wanted.grant, job=existing.job, valid_until=existing.grant.valid_until)
    return existing.state is not State.SUPERSEDED and not existing.successor and existing.grant == pinned


def _latest_outcomes(outcomes: Sequence[CurrentOutcome]) -> Mapping[str, CurrentOutcome]:
    latest: dict[str, CurrentOutcome] = {}
    for outcome in outcomes:
        before = latest.get(outcome.attachment)
        if before is None or before.revision <= outcome.revision:
            latest[outcome.attachment] = outcome
    return latest


def _snapshot(view: View, plans: Sequence[Plan], before: Snapshot | None, evidence: tuple[str, ...] | None) -> Snapshot:
    """Return what ``plans`` rest on, with what was decided ``before`` for other attachments of a closed study."""
    facts = snapshot_facts(view.study, view.stacks())
    if before is not None:
        facts["finished"] = before.facts.get("finished", [])
    elif evidence is not None:
        facts["finished"] = list(evidence)
    rules: dict[str, Any] = dict(before.rules) if before is not None else {}
    rules |= {
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


def _evidence(job: Job, now: datetime, plan: Plan) -> str:
    matched = plan.decision.verdict
    if not isinstance(matched, Matched):
        raise InternalError(f"job {job.job} was made for a study that does not match", job=job.job)
    quiet_s = (now - matched.latest_arrival_at).total_seconds()
    origin = "; ordered by a backfill" if plan.is_backfill else ""
    if plan.finished_why:
        why = "; ".join(plan.finished_why)
    else:
        why = f"quiet for {quiet_s:.1f} s" + (f" ({plan.quiet_why})" if plan.quiet_why else "")
    return f"run {job.run}{origin}; input complete, {why}, the index equals the archive"
