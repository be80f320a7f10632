"""What can be asked about studies and jobs."""

from collections.abc import Collection, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

from study_router.domain.jobs import WORKING, State
from study_router.domain.matching import Answer
from study_router.domain.registry import Archive, Attachment, DeviceVersion, FeedKind
from study_router.domain.stacks import Stack
from study_router.domain.studies import Study, StudyEntry, StudyState
from study_router.domain.work import CurrentOutcome, HistoryEntry, Job, Progress
from study_router.ports import Connectors, Snapshot, Store, Transaction
from study_router.usecases.viewing import RuleBook, view_of
from udckit.errors import PreconditionError, ServiceError

MAX_PAGE: Final = 1000


def study_named(transaction: Transaction, name: str) -> Study:
    """Return a study by internal id or StudyInstanceUID.

    Raises:
        NotFoundError: there is none.
        PreconditionError: several patients share the UID; ask by internal id.
    """
    found = transaction.studies.find(study_instance_uid=name)
    if len(found) > 1:
        ids = ", ".join(study.study for study in found)
        raise PreconditionError(f"{len(found)} studies have this UID; ask for one of {ids}")
    return found[0] if found else transaction.studies.get(name)


@dataclass(frozen=True, slots=True)
class StudyReport:
    """A study with everything about it."""

    study: Study
    archives: tuple[str, ...]
    stacks: tuple[Stack, ...]
    outcomes: tuple[CurrentOutcome, ...]
    history: tuple[StudyEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class JobReport:
    """A job with its study's UID and history, and how far the worker of the attempt in hand is."""

    job: Job
    study_instance_uid: str
    history: tuple[HistoryEntry, ...]
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class ClauseReport:
    """One clause, judged again on the facts that were kept."""

    name: str
    expression: str
    answer: Answer
    explain: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a study was or was not sent for an attachment."""

    attachment: Attachment
    decision: str
    clauses: tuple[ClauseReport, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadStudies:
    """Studies, and what became of them."""

    store: Store

    async def one(self, name: str) -> StudyReport:
        """Return a study with its stacks, outcomes and history.

        Raises:
            NotFoundError: there is none.
        """
        return await self.store.read(lambda transaction: _report(transaction, study_named(transaction, name)))

    async def some(self, *, limit: int, study_instance_uid: str) -> Sequence[StudyReport]:
        """Return the studies in which something arrived last, without their stacks."""

        def read(transaction: Transaction) -> Sequence[StudyReport]:
            studies = transaction.studies.search(limit=page_size(limit), study_instance_uid=study_instance_uid)
            return [
                StudyReport(
                    study,
                    tuple(transaction.studies.locations(study.study)),
                    (),
                    _outcomes(transaction, study),
                )
                for study in studies
            ]

        return await self.store.read(read)


def _report(transaction: Transaction, study: Study) -> StudyReport:
    view = view_of(transaction, study)
    history = tuple(transaction.studies.history(study.study))
    return StudyReport(study, view.archives, view.stacks(), _outcomes(transaction, study), history)


def _outcomes(transaction: Transaction, study: Study) -> tuple[CurrentOutcome, ...]:
    return tuple(transaction.jobs.outcomes(study.study))


def page_size(limit: int) -> int:
    """Return how many rows to read for a wished number; 0 leaves it to us."""
    return min(limit, MAX_PAGE) if limit > 0 else 100


@dataclass(frozen=True, slots=True)
class ReadJobs:
    """Jobs and their history."""

    store: Store

    async def one(self, name: str) -> JobReport:
        """Return a job with its history.

        Raises:
            NotFoundError: there is none.
        """
        return await self.store.read(lambda transaction: _job_report(transaction, transaction.jobs.get(name)))

    async def some(self, *, limit: int, study: str, states: Collection[State]) -> Sequence[JobReport]:
        """Return the newest jobs, without history; ``study`` is an internal id, a UID, or empty."""

        def read(transaction: Transaction) -> Sequence[JobReport]:
            name = study_named(transaction, study).study if study else ""
            found = transaction.jobs.search(
                limit=page_size(limit), study=name, states=[state.value for state in states]
            )
            return [JobReport(job, transaction.studies.get(job.study).study_instance_uid, ()) for job in found]

        return await self.store.read(read)

    async def newest(self) -> tuple[Sequence[JobReport], int]:
        """Return the newest jobs, oldest first, and the position from which changes follow."""

        def read(transaction: Transaction) -> tuple[Sequence[JobReport], int]:
            position = transaction.jobs.last_change()
            found = transaction.jobs.search(limit=page_size(0))
            return [_job_report(transaction, job) for job in reversed(found)], position

        return await self.store.read(read)

    async def changes_after(self, position: int) -> tuple[Sequence[JobReport], int]:
        """Return the jobs that changed after ``position``, and the new position."""

        def read(transaction: Transaction) -> tuple[Sequence[JobReport], int]:
            names, moved = transaction.jobs.changes_after(position, limit=page_size(0))
            return [_job_report(transaction, transaction.jobs.get(name)) for name in names], moved

        return await self.store.read(read)


def _job_report(transaction: Transaction, job: Job) -> JobReport:
    study = transaction.studies.get(job.study)
    progress = transaction.progress.of(job.job) if job.state in WORKING else None
    if progress is not None and progress.attempt != job.attempt:
        progress = None
    return JobReport(job, study.study_instance_uid, tuple(transaction.jobs.history(job.job)), progress)


@dataclass(frozen=True, slots=True)
class ExplainStudy:
    """Why a study was or was not sent, for every attachment."""

    store: Store
    rules: RuleBook

    async def __call__(self, name: str) -> Sequence[Explanation]:
        """Judge every clause again on the facts that were kept with the decision.

        Raises:
            NotFoundError: there is no such study.
        """

        def read(
            transaction: Transaction,
        ) -> tuple[Study, Snapshot | None, Sequence[tuple[Attachment, DeviceVersion]]]:
            study = study_named(transaction, name)
            snapshot = transaction.studies.snapshot(study.study, study.revision)
            return study, snapshot, view_of(transaction, study).attachments

        study, snapshot, attachments = await self.store.read(read)
        if study.state is StudyState.QUARANTINED:
            why = ("no device sees a study in quarantine",)
            return [Explanation(attachment, study.state.value, (), why) for attachment, _ in attachments]
        is_open = study.state is StudyState.OPEN
        return [self._explain(attachment, device, snapshot, is_open=is_open) for attachment, device in attachments]

    def _explain(
        self, attachment: Attachment, device: DeviceVersion, snapshot: Snapshot | None, *, is_open: bool
    ) -> Explanation:
        if snapshot is None:
            return Explanation(attachment, "NOT_YET", (), ("the study has not been looked at in this revision",))
        recorded = snapshot.rules.get(attachment.attachment)
        if recorded is None and is_open:
            return Explanation(
                attachment, "NOT_YET", (), ("not looked at for this attachment yet; at the latest when it is closed",)
            )
        if recorded is None:
            return Explanation(
                attachment, "NOT_CONCERNED", (), ("other organisation or archive, or complete before it was attached",)
            )
        clauses = tuple(
            ClauseReport(
                clause.name,
                clause.condition.source,
                clause.condition.of({"study": snapshot.facts["study"]}),
                clause.explain,
            )
            for clause in self.rules.rules(attachment, device).clauses
        )
        notes = list(recorded["notes"])
        if recorded["revision"] != attachment.revision:
            notes.append(
                f"decided by revision {recorded['revision']} of the attachment, shown by {attachment.revision}"
            )
        return Explanation(attachment, str(recorded["decision"]), clauses, tuple(notes))


@dataclass(frozen=True, slots=True)
class ReadRegistry:
    """Archives, devices, attachments."""

    store: Store

    async def devices(self) -> Sequence[DeviceVersion]:
        """Return all device versions."""
        return await self.store.read(lambda transaction: transaction.registry.devices())

    async def attachments(self) -> Sequence[Attachment]:
        """Return all attachments."""
        return await self.store.read(lambda transaction: transaction.registry.attachments())

    async def archives(self) -> Sequence[Archive]:
        """Return all archives."""
        return await self.store.read(lambda transaction: transaction.registry.archives())

    async def archive(self, name: str) -> Archive:
        """Return an archive.

        Raises:
            NotFoundError: there is none.
        """
        return await self.store.read(lambda transaction: transaction.registry.archive(name))


@dataclass(frozen=True, slots=True)
class CheckStep:
    """One thing asked of an archive, and what it answered."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckArchive:
    """Talks to an archive and says what it answers."""

    store: Store
    connectors: Connectors

    async def __call__(self, name: str) -> Sequence[CheckStep]:
        """Ask the archive everything that the router will ask, step by step.

        Raises:
            NotFoundError: there is no such archive.
        """
        archive = await self.store.read(lambda transaction: transaction.registry.archive(name))
        steps = [await self._step("query", self._query(archive))]
        if archive.feed is FeedKind.ORTHANC:
            steps.append(await self._step("feed", self._feed(archive)))
        if archive.feed is FeedKind.DICOMWEB:
            steps.append(await self._sweeps(archive))
        return steps

    async def _step(self, name: str, asking: Coroutine[Any, Any, str]) -> CheckStep:
        try:
            return CheckStep(name, ok=True, detail=await asking)
        except ServiceError as error:
            return CheckStep(name, ok=False, detail=error.message)

    async def _query(self, archive: Archive) -> str:
        connector = await self.connectors.connector(archive)
        page = await connector.studies(None, offset=0, limit=1)
        return "QIDO-RS answers" + ("" if page.studies else "; no study is there yet")

    async def _feed(self, archive: Archive) -> str:
        cursor = await self.store.read(lambda transaction: transaction.intake.cursor(archive.archive))
        feed = await self.connectors.feed(archive)
        page = await feed.read(cursor)
        return "the feed is up to date" if page.is_last and not page.touched else "the feed has more to read"

    async def _sweeps(self, archive: Archive) -> CheckStep:
        """Say how far the sweeps have come, and what they could not see."""
        sweeps = await self.store.read(lambda transaction: transaction.sweeps.of(archive.archive))
        problems = [f"{name}: {sweep.problem}" for name, sweep in sorted(sweeps.items()) if sweep.problem]
        if problems:
            return CheckStep("sweeps", ok=False, detail="; ".join(problems))
        told = [
            f"{name} {'under way' if sweep.completed_at is None else f'complete {sweep.completed_at:%F %T} UTC'}"
            for name, sweep in sorted(sweeps.items())
        ]
        return CheckStep("sweeps", ok=True, detail="; ".join(told) or "no sweep has begun yet")
