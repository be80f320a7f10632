"""Proves that archives, index, outcomes and jobs agree; says where they do not, and begins to repair."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from functools import partial
from typing import Final, TypeVar

from study_router.domain.listings import Span
from study_router.domain.reconciliation import (
    Difference,
    Finding,
    FindingKind,
    Place,
    Unsettled,
    contradicted,
    difference,
    job_for,
    places,
    without_outcome,
)
from study_router.domain.registry import Archive, FeedKind
from study_router.domain.studies import Study, StudyState, Touched
from study_router.domain.sweeps import Reach, Tier
from study_router.domain.work import CurrentOutcome, Job
from study_router.ports import ArchiveConnector, Connectors, Store, Transaction
from study_router.usecases.listing import ListingCutError, studies_held
from study_router.usecases.moving import settle
from study_router.usecases.planning import PlanStudy
from udckit.clock import Clock
from udckit.errors import UpstreamUnavailableError

SETTLE_S: Final = 3.0
"""What differs now may be on its way: it counts when it still differs after this."""
UNMOVED: Final = timedelta(minutes=5)
"""What should have been done so long ago is not being done."""
_AT_ONCE: Final = 200

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareArchives:
    """Archive and index: the same instances in every series.

    Archives do not say when something came to them, so all studies of an archive are listed; of one that only answers
    queries those of the days that are swept. Those that the index knows count only if something arrived in them since.

    Attributes:
        store: Transactions.
        connectors: Access to archives.
        clock: Time.
        pause: Waits so many seconds.
        tiers: The table of sweeps.
        zone: Time zone of the region.
    """

    store: Store
    connectors: Connectors
    clock: Clock
    pause: Callable[[float], Awaitable[None]]
    tiers: Sequence[Tier]
    zone: tzinfo

    async def __call__(self, *, since: datetime, repair: bool) -> AsyncIterator[Finding | Unsettled]:
        """Compare every archive that has a feed."""
        for archive in await self.store.read(lambda transaction: transaction.registry.archives()):
            if archive.feed is FeedKind.NONE:
                continue
            try:
                for finding in await self._compare(archive, since=since, repair=repair):
                    yield finding
            except (UpstreamUnavailableError, ListingCutError) as error:
                yield Finding(kind=FindingKind.ARCHIVE_AWAY, about=f"archives/{archive.archive}", detail=error.message)

    async def _compare(self, archive: Archive, *, since: datetime, repair: bool) -> Sequence[Finding | Unsettled]:
        connector = await self.connectors.connector(archive)
        held = await studies_held(connector, archive.archive, self._days(archive))
        suspects = await self._suspects(archive.archive, held, since)
        differing = [uid for uid in suspects if await self._difference(archive.archive, connector, uid, since)]
        if not differing:
            return ()
        await self.pause(SETTLE_S)
        findings: list[Finding | Unsettled] = []
        for uid in differing:
            still = await self._difference(archive.archive, connector, uid, since)
            if not still:
                continue
            if await self.store.read(partial(_is_being_read, uid=uid, now=self.clock.now())):
                findings.append(Unsettled(_about(archive.archive, uid)))
            else:
                findings.extend(await self._found(archive.archive, uid, still, repair=repair))
        return findings

    def _days(self, archive: Archive) -> Span | None:
        """Return what is listed of an archive; None for everything."""
        if archive.feed is not FeedKind.DICOMWEB:
            return None
        spans = [tier.window(self.clock.now(), self.zone) for tier in self.tiers if tier.reach is Reach.DATED]
        return min(spans, key=lambda span: span.first, default=None)

    async def _suspects(self, archive: str, held: Mapping[str, int], since: datetime) -> Sequence[str]:
        """Return the studies whose number of instances is not the same."""
        suspects: list[str] = []
        uids = sorted(held)
        for start in range(0, len(uids), _AT_ONCE):
            chunk = uids[start : start + _AT_ONCE]
            known = await self.store.read(partial(_counts, archive=archive, uids=chunk))
            suspects.extend(uid for uid in chunk if known.get(uid, 0) != held[uid])
        after = ""
        while page := await self.store.read(partial(_touched, since=since, after=after)):
            gone = [study.study_instance_uid for study in page if study.study_instance_uid not in held]
            known = await self.store.read(partial(_counts, archive=archive, uids=gone))
            suspects.extend(uid for uid in gone if known.get(uid, 0))
            after = page[-1].study
        return suspects

    async def _difference(
        self, archive: str, connector: ArchiveConnector, uid: str, since: datetime
    ) -> Difference | None:
        """Compare series by series; None for what need not agree: it is history, or quarantined."""
        held = await connector.counts(uid)

        def known(transaction: Transaction) -> Mapping[str, int] | None:
            studies = transaction.studies.find(study_instance_uid=uid)
            if any(study.state is StudyState.QUARANTINED for study in studies):
                return None
            if studies and max(study.last_arrival_at for study in studies) < since:
                return None
            series = {*held, *transaction.intake.series_of(archive, uid)}
            return transaction.intake.series_counts(archive, series)

        counts = await self.store.read(known)
        return None if counts is None else difference(held=held, known=counts)

    async def _found(self, archive: str, uid: str, still: Difference, *, repair: bool) -> Sequence[Finding]:
        done = ""
        if repair:
            now = self.clock.now()
            touched = [Touched(uid, series, now) for series in still.series]
            await self.store.transact(partial(_touch, archive=archive, uid=uid, touched=touched, now=now))
            done = "the series are read again"
        about = _about(archive, uid)
        findings: list[Finding] = []
        if still.missing:
            detail = f"{_count(still.missing)} in the archive are not in the index"
            findings.append(Finding(kind=FindingKind.INDEX_BEHIND, about=about, detail=detail, repair=done))
        if still.gone:
            detail = f"{_count(still.gone)} in the index are no longer in the archive"
            findings.append(Finding(kind=FindingKind.INDEX_AHEAD, about=about, detail=detail, repair=done))
        return findings


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOutcomes:
    """Index, outcomes and jobs: everything that was decided about has one outcome, and everything is looked at.

    Attributes:
        store: Transactions.
        plan: Knows which attachments a study concerns.
        clock: Time.
    """

    store: Store
    plan: PlanStudy
    clock: Clock

    async def __call__(self, *, since: datetime, repair: bool) -> AsyncIterator[Finding | Unsettled]:
        """Compare the studies touched since then, and all jobs that have not ended."""
        after = ""
        while page := await self.store.read(partial(_touched, since=since, after=after)):
            for study in page:
                if self._is_being_decided(study):
                    yield Unsettled(f"studies/{study.study}")
                for finding in await self._run(partial(self._look_at, name=study.study, repair=repair), repair=repair):
                    yield finding
            after = page[-1].study
        before = self.clock.now() - UNMOVED
        for job in await self.store.read(lambda transaction: transaction.jobs.overdue(before, limit=_AT_ONCE)):
            for finding in await self._run(partial(self._stuck, name=job, repair=repair), repair=repair):
                yield finding

    def _is_being_decided(self, study: Study) -> bool:
        now = self.clock.now()
        return study.state is StudyState.OPEN and study.due_at is not None and now - UNMOVED < study.due_at <= now

    async def _run(self, work: Callable[[Transaction], T], *, repair: bool) -> T:
        return await (self.store.transact(work) if repair else self.store.read(work))

    def _look_at(self, transaction: Transaction, *, name: str, repair: bool) -> Sequence[Finding]:
        study = transaction.studies.lock(name) if repair else transaction.studies.get(name)
        if study is None:
            return ()
        jobs = transaction.jobs.of_study(name)
        findings = [
            *self._forgotten(transaction, study, repair=repair),
            *self._missing(transaction, study, jobs, repair=repair),
            *self._wrong(transaction, study, jobs, repair=repair),
        ]
        for finding in findings:
            if finding.repair:
                self._audit(transaction, finding)
        return findings

    def _forgotten(self, transaction: Transaction, study: Study, *, repair: bool) -> Sequence[Finding]:
        if study.state is not StudyState.OPEN:
            return ()
        now = self.clock.now()
        finding = Finding(
            kind=FindingKind.STUDY_FORGOTTEN, about=f"studies/{study.study}", detail="the study is open and never due"
        )
        if study.due_at is None:
            if not repair:
                return (finding,)
            transaction.studies.save(replace(study, due_at=now))
            return (replace(finding, repair="it is due now"),)
        if now - study.due_at < UNMOVED:
            return ()
        return (replace(finding, detail=f"the study was due at {study.due_at.isoformat()}, and nobody looked"),)

    def _missing(
        self, transaction: Transaction, study: Study, jobs: Sequence[Job], *, repair: bool
    ) -> Sequence[Finding]:
        archives = transaction.studies.locations(study.study)
        concerned = {
            attachment.attachment
            for attachment in transaction.registry.attachments()
            if self.plan.concerns(study, archives, attachment)
        }
        snapshots = {
            revision: transaction.studies.snapshot(study.study, revision) for revision in range(1, study.revision + 1)
        }
        decided = {revision: kept.rules for revision, kept in snapshots.items() if kept is not None}
        expected = places(study, concerned=concerned, decided=decided)
        missing = without_outcome(expected, transaction.jobs.outcomes(study.study))
        restored = {place: job_for(place, jobs) for place in missing} if repair else {}
        for place, job in restored.items():
            kept = snapshots[place.revision]
            if job is not None:
                self._restore(transaction, place, job, snapshot="" if kept is None else kept.digest)
        must_be_decided = [place for place, job in restored.items() if job is None and place.revision == study.revision]
        if must_be_decided:
            now = self.clock.now()
            # The same revision: nothing came. Whoever looks decides what is missing, and closes it again.
            transaction.studies.save(replace(study, state=StudyState.OPEN, due_at=now, version=study.version + 1))
        return [
            Finding(
                kind=FindingKind.OUTCOME_MISSING,
                about=f"studies/{study.study}/revisions/{place.revision}/attachments/{place.attachment}",
                detail=f"revision {place.revision} is closed and has no outcome for {place.attachment}",
                repair="taken from its job"
                if restored.get(place) is not None
                else ("the study is looked at again" if place in must_be_decided else ""),
            )
            for place in missing
        ]

    def _restore(self, transaction: Transaction, place: Place, job: Job, *, snapshot: str) -> None:
        current = CurrentOutcome(
            study=job.study,
            revision=place.revision,
            attachment=place.attachment,
            device=job.grant.device,
            version=job.grant.version,
            job=job.job,
            outcome=None,
            ending=job.ending,
            decided_at=job.created_at,
            snapshot=snapshot,
        )
        transaction.jobs.set_outcome(current)
        self._follow(transaction, current)

    def _wrong(self, transaction: Transaction, study: Study, jobs: Sequence[Job], *, repair: bool) -> Sequence[Finding]:
        by_name = {job.job: job for job in jobs}
        findings: list[Finding] = []
        for outcome, why in contradicted(transaction.jobs.outcomes(study.study), by_name):
            said = "that it goes on" if outcome.outcome is None else outcome.outcome.value
            is_mended = repair and outcome.job in by_name
            if is_mended:
                self._follow(transaction, outcome)
            findings.append(
                Finding(
                    kind=FindingKind.OUTCOME_WRONG,
                    about=f"studies/{study.study}/revisions/{outcome.revision}/attachments/{outcome.attachment}",
                    detail=f"the outcome says {said}, and {why}",
                    repair="taken from its job" if is_mended else "",
                )
            )
        return findings

    def _follow(self, transaction: Transaction, outcome: CurrentOutcome) -> None:
        """Make an outcome what its job says; announced already is announced no second time."""
        job = transaction.jobs.lock(outcome.job)
        if job.outcome is None:
            transaction.jobs.set_outcome(replace(outcome, outcome=None, ending=job.ending, successor=job.successor))
        else:
            settle(transaction, job, now=self.clock.now())

    def _stuck(self, transaction: Transaction, *, name: str, repair: bool) -> Sequence[Finding]:
        job = transaction.jobs.lock(name) if repair else transaction.jobs.get(name)
        if job.outcome is not None:
            return ()
        finding = Finding(
            kind=FindingKind.JOB_STUCK,
            about=f"jobs/{job.job}",
            detail=f"the job is {job.state.value} and its deadline was {job.deadline.isoformat()}",
        )
        if repair:
            # With it the timer is written anew, which is all the watchdog goes by.
            transaction.jobs.save(job)
            finding = replace(finding, repair="its timer is set again")
            self._audit(transaction, finding)
        return (finding,)

    def _audit(self, transaction: Transaction, finding: Finding) -> None:
        transaction.audit(
            action="reconciliation.repaired", subject=finding.about, at=self.clock.now(), kind=finding.kind.value
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListArchived:
    """What the archiver must have a record of.

    Attributes:
        store: Transactions.
    """

    store: Store

    async def __call__(self, *, since: datetime) -> AsyncIterator[Job]:
        """Return the jobs that were archived since then."""
        after = ""
        while page := await self.store.read(partial(_archived, since=since, after=after)):
            for job in page:
                yield job
            after = page[-1].job


def _counts(transaction: Transaction, *, archive: str, uids: Sequence[str]) -> Mapping[str, int]:
    return transaction.intake.counts(archive, uids)


def _touched(transaction: Transaction, *, since: datetime, after: str) -> Sequence[Study]:
    names = transaction.studies.touched_since(since, after=after, limit=_AT_ONCE)
    return [transaction.studies.get(name) for name in names]


def _archived(transaction: Transaction, *, since: datetime, after: str) -> Sequence[Job]:
    return transaction.jobs.archived_since(since, after=after, limit=_AT_ONCE)


def _touch(transaction: Transaction, *, archive: str, uid: str, touched: Sequence[Touched], now: datetime) -> None:
    transaction.intake.touch(archive, touched, now=now, pause_s=0.0)
    transaction.audit(action="reconciliation.repaired", subject=_about(archive, uid), at=now, series=len(touched))


def _is_being_read(transaction: Transaction, *, uid: str, now: datetime) -> bool:
    waiting_since = transaction.intake.waiting_since(uid)
    return waiting_since is not None and now - waiting_since < UNMOVED


def _about(archive: str, uid: str) -> str:
    return f"archives/{archive}/studies/{uid}"


def _count(series: Mapping[str, int]) -> str:
    return f"{sum(series.values())} instances of {len(series)} series"
