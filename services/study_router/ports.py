"""What the use cases need from outside."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol, TypeVar

from study_router.domain.announcements import Announcement
from study_router.domain.backfills import Backfill
from study_router.domain.finished import Statement
from study_router.domain.listings import Fingerprint, ListedStudy, Span, StudyPage
from study_router.domain.queue import NOTHING_HELD, Held, PoolOffer, Waiting
from study_router.domain.quiet import Pauses, Sender
from study_router.domain.registry import Archive, Attachment, DeviceVersion
from study_router.domain.sender_profiles import RegisteredProfile
from study_router.domain.studies import Patient, SeenInstance, StoredInstance, Study, StudyEntry, Touched
from study_router.domain.sweeps import Sweep
from study_router.domain.work import CurrentOutcome, HistoryEntry, Job, Progress
from udckit.errors import Fact
from udcmodel.stack import StackDescriptor

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A series whose metadata have to be read again. ``touched_at`` tells whether it was touched meanwhile."""

    archive: str
    study_instance_uid: str
    series_instance_uid: str
    arrived_at: datetime
    touched_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the decisions about a study revision were based on.

    Attributes:
        digest: Of facts and rules.
        facts: As ``domain.facts.snapshot_facts`` makes them.
        rules: By attachment: its ``revision``, the ``decision`` and ``notes`` on every stack.
    """

    digest: str
    facts: Mapping[str, Any]
    rules: Mapping[str, Mapping[str, Any]]


class Jobs(Protocol):
    """The jobs table: the queue, and the state of everything that runs."""

    def get(self, job: str) -> Job:
        """Return a job.

        Raises:
            NotFoundError: there is none.
        """

    def lock(self, job: str) -> Job:
        """Return a job that nobody else changes until the transaction ends.

        Raises:
            NotFoundError: there is none.
        """

    def find(self, job: str) -> Job | None:
        """Return a job, or None."""

    def add(self, job: Job) -> None:
        """Store a new job."""

    def save(self, job: Job) -> None:
        """Store what changed."""

    def put_off(self, job: str, *, now: datetime, until: datetime, detail: str) -> None:
        """Let a waiting job wait until then, and note why; reads nothing of it, for that may be what fails."""

    def accept(self, job: str, digest: str) -> bool:
        """Make ``digest`` the one result of the job; False if it has one already."""

    def accepted_before(self, *, study: str, attachment: str) -> int:
        """Return how many results were accepted for a study and attachment."""

    def note(self, job: str, entry: HistoryEntry) -> None:
        """Add to the history of a job."""

    def history(self, job: str) -> Sequence[HistoryEntry]:
        """Return the history of a job, oldest first."""

    def changes_after(self, position: int, *, limit: int) -> tuple[Sequence[str], int]:
        """Return the jobs whose history grew after ``position``, and the new position."""

    def last_change(self) -> int:
        """Return the position of the newest entry of any history."""

    def waiting_pools(self, now: datetime) -> Sequence[str]:
        """Return the pools for which a job may start."""

    def waiting(self, pool: str, *, now: datetime, each: int, held: Held = NOTHING_HELD) -> Sequence[Waiting]:
        """Return the oldest ``each`` jobs of every attachment and priority that may start in ``pool``, none held."""

    def working(self, pool: str) -> Mapping[str, int]:
        """Return how many jobs of each attachment the workers of ``pool`` have."""

    def late(self, now: datetime, *, limit: int) -> Sequence[str]:
        """Return jobs with a timer that has run out."""

    def unfinished_of(self, study: str) -> Sequence[str]:
        """Return the jobs of a study that have not ended."""

    def overdue(self, before: datetime, *, limit: int) -> Sequence[str]:
        """Return unfinished jobs all of whose deadlines were before ``before``."""

    def archived_since(self, since: datetime, *, after: str, limit: int) -> Sequence[Job]:
        """Return jobs that were archived since then, in the order of their ids, page by page."""

    def of_study(self, study: str) -> Sequence[Job]:
        """Return all jobs of a study, oldest first."""

    def deliver(self, job: str, archive: str, *, is_archived: bool, at: datetime) -> None:
        """Note that a destination holds the result, or cannot take it; what is held stays held."""

    def deliveries(self, job: str) -> Mapping[str, bool]:
        """Return for each destination that reported whether it holds the result."""

    def search(self, *, limit: int, study: str = "", states: Collection[str] = ()) -> Sequence[Job]:
        """Return the newest jobs that match."""

    def own(self, job: str, sop_instance_uids: Collection[str]) -> None:
        """Remember instances as our own before they are stored."""

    def set_outcome(self, outcome: CurrentOutcome) -> None:
        """Make this the current outcome of its study revision and attachment."""

    def outcomes_of_job(self, job: str) -> Sequence[CurrentOutcome]:
        """Return the current outcomes that rest on a job."""

    def outcomes(self, study: str, *, revision: int | None = None) -> Sequence[CurrentOutcome]:
        """Return the current outcomes of a study."""


class Studies(Protocol):
    """Studies, what they consist of, and when they have to be looked at."""

    def get(self, study: str) -> Study:
        """Return a study.

        Raises:
            NotFoundError: there is none.
        """

    def lock(self, study: str) -> Study | None:
        """Return a study that nobody else changes until the transaction ends, or None."""

    def find(self, *, study_instance_uid: str) -> Sequence[Study]:
        """Return the studies of that UID; more than one means several patients."""

    def search(self, *, limit: int, study_instance_uid: str = "") -> Sequence[Study]:
        """Return the studies in which something arrived last."""

    def add(self, study: Study) -> None:
        """Store a new study."""

    def save(self, study: Study) -> None:
        """Store what changed."""

    def due(self, now: datetime, *, limit: int) -> Sequence[str]:
        """Return studies that have to be looked at."""

    def hasten(self, now: datetime) -> None:
        """Have every open study looked at now."""

    def note(self, study: str, entry: StudyEntry) -> None:
        """Add to the history of a study."""

    def history(self, study: str) -> Sequence[StudyEntry]:
        """Return the history of a study, oldest first."""

    def touched_since(self, since: datetime, *, after: str, limit: int) -> Sequence[str]:
        """Return studies in which a source instance arrived since then, in the order of their ids, page by page."""

    def locate(self, study: str, archive: str, *, at: datetime) -> None:
        """Note that an archive holds the study."""

    def locations(self, study: str) -> Sequence[str]:
        """Return the archives that hold the study, first seen first."""

    def instances(self, study: str) -> Sequence[StoredInstance]:
        """Return everything known of a study."""

    def instances_of_series(self, archive: str, series_instance_uid: str) -> Sequence[tuple[str, StoredInstance]]:
        """Return what an archive held of a series when it was last read, each with its study."""

    def sources_elsewhere(self, study: str, *, archive: str, sop_instance_uids: Collection[str]) -> frozenset[str]:
        """Return which of these source instances another archive showed before."""

    def put_instances(self, study: str, instances: Collection[StoredInstance]) -> None:
        """Store instances, replacing what is known of them."""

    def remove_instances(self, study: str, archive: str, sop_instance_uids: Collection[str]) -> None:
        """Forget instances that the archive no longer holds."""

    def collapse(self, study: str) -> None:
        """Keep the instances of a study in little room, because nothing is expected to change them any more."""

    def own_among(self, sop_instance_uids: Collection[str]) -> frozenset[str]:
        """Return which of these were announced by our archiver."""

    def keep_snapshot(self, study: str, revision: int, snapshot: Snapshot, *, at: datetime) -> None:
        """Store what a decision was based on; a snapshot known already stays as it is."""

    def snapshot(self, study: str, revision: int) -> Snapshot | None:
        """Return the newest snapshot of a study revision."""


class Intake(Protocol):
    """What was touched in the archives, and how far they were read."""

    def touch(self, archive: str, touched: Collection[Touched], *, now: datetime, pause_s: float) -> None:
        """Note series whose metadata have to be read once nothing came for ``pause_s``."""

    def arrivals(self, archive: str, now: datetime, *, limit: int) -> Sequence[Arrival]:
        """Return series of an archive to be read now, those that came last first."""

    def settle(self, arrival: Arrival) -> None:
        """Forget an arrival, unless the series was touched again meanwhile."""

    def put_off(self, arrival: Arrival, until: datetime) -> None:
        """Leave an arrival alone until then, unless the series was touched again meanwhile."""

    def has_arrivals(self, study_instance_uid: str) -> bool:
        """Say whether a series of the study still has to be read."""

    def counts(self, archive: str, study_instance_uids: Collection[str]) -> Mapping[str, int]:
        """Return how many instances of each study an archive held when it was last read."""

    def study_uids(self, archive: str, *, after: str, limit: int) -> Sequence[str]:
        """Return the UIDs of the studies known in an archive, in order, page by page."""

    def series_counts(self, archive: str, series_instance_uids: Collection[str]) -> Mapping[str, int]:
        """Return how many instances of each series an archive held when it was last read."""

    def waiting_since(self, study_instance_uid: str) -> datetime | None:
        """Return since when a series of the study waits to be read; None when all were."""

    def series_of(self, archive: str, study_instance_uid: str) -> Sequence[str]:
        """Return the series known of a study in an archive."""

    def cursor(self, archive: str) -> str:
        """Return how far the feed of an archive was read; empty before the first time."""

    def move_cursor(self, archive: str, cursor: str) -> None:
        """Note how far the feed of an archive was read."""

    def swept_at(self, archive: str) -> datetime | None:
        """Return when everything of an archive was last compared."""

    def note_sweep(self, archive: str, at: datetime) -> None:
        """Note that everything of an archive was compared."""


class Sweeps(Protocol):
    """How far archives that only answer queries were swept, and what was seen of each study."""

    def of(self, archive: str) -> Mapping[str, Sweep]:
        """Return the sweeps of an archive by tier; a tier that never began is absent."""

    def save(self, sweep: Sweep) -> None:
        """Note how far a sweep has come."""

    def fingerprints(self, archive: str, study_instance_uids: Collection[str]) -> Mapping[str, Fingerprint]:
        """Return what was seen last of each of these studies, where anything was."""

    def keep(self, archive: str, studies: Collection[ListedStudy]) -> None:
        """Remember what was seen of studies."""

    def forget(self, archive: str, study_instance_uids: Collection[str]) -> None:
        """Forget studies."""

    def forget_before(self, archive: str, day: date) -> None:
        """Forget studies that were made before a day."""

    def seen_in(self, archive: str, span: Span) -> Sequence[str]:
        """Return the studies seen that were made in ``span``; of a part of a day, those that have a time."""

    def seen_without_time(self, archive: str, *, after: str, limit: int) -> Sequence[str]:
        """Return the studies seen that lack a day or a time of day, in order, page by page."""

    def open_studies(self, archive: str, *, after: str, limit: int) -> Sequence[str]:
        """Return the UIDs of the open studies known in an archive, in order, page by page."""


class Registry(Protocol):
    """Archives, devices, attachments."""

    def lock(self) -> None:
        """Let nobody else change the registry until the transaction ends; call it before reading what is changed."""

    def archive(self, archive: str) -> Archive:
        """Return an archive.

        Raises:
            NotFoundError: there is none.
        """

    def archives(self) -> Sequence[Archive]:
        """Return all archives."""

    def put_archive(self, archive: Archive) -> None:
        """Store an archive."""

    def device(self, device: str, version: str) -> DeviceVersion | None:
        """Return a device version, or None."""

    def devices(self) -> Sequence[DeviceVersion]:
        """Return all device versions."""

    def put_device(self, device: DeviceVersion) -> None:
        """Store a device version."""

    def attachment(self, attachment: str) -> Attachment | None:
        """Return an attachment, or None."""

    def attachments(self) -> Sequence[Attachment]:
        """Return all attachments."""

    def put_attachment(self, attachment: Attachment) -> None:
        """Store an attachment."""


class Backfills(Protocol):
    """Older studies that attachments are to look at."""

    def find(self, backfill: str) -> Backfill | None:
        """Return a backfill, or None."""

    def add(self, backfill: Backfill) -> None:
        """Store a new backfill."""

    def save(self, backfill: Backfill) -> None:
        """Store how far it has come."""

    def unfinished(self) -> Sequence[Backfill]:
        """Return the backfills that go on, oldest first."""

    def newest(self, *, limit: int) -> Sequence[Backfill]:
        """Return the newest backfills."""

    def next_studies(self, backfill: Backfill, *, limit: int) -> Sequence[str]:
        """Return the studies that follow its position."""

    def hand_on(self, backfill: Backfill, study: str) -> None:
        """Make the study the attachment's business."""

    def attachments_of(self, study: str) -> frozenset[str]:
        """Return the attachments to which the study was handed."""

    def backlog(self, attachment: str, *, now: datetime) -> int:
        """Return how many closed studies wait to be looked at, and batch jobs of the attachment to be run."""


class Senders(Protocol):
    """How long those who send images usually pause."""

    def note(self, study: str, pauses: Mapping[Sender, Pauses], *, at: datetime) -> None:
        """Remember how long the senders of a study paused, instead of what was known of that study."""

    def known(self, senders: Collection[Sender]) -> Mapping[Sender, Sequence[Pauses]]:
        """Return the pauses of the latest studies of each of these senders."""


class SenderProfiles(Protocol):
    """What senders of images really send."""

    def of_organisation(self, organisation: str) -> Sequence[RegisteredProfile]:
        """Return the profiles that hold for studies of an organisation: its own and those of the region."""

    def all(self, *, organisation: str = "") -> Sequence[RegisteredProfile]:
        """Return the profiles in use; those of one organisation only, if it is named."""

    def last_revision(self, organisation: str, profile: str) -> int:
        """Return the highest revision a name ever had; 0 for none."""

    def add(self, profile: RegisteredProfile, *, at: datetime) -> None:
        """Put a revision in the place of the one before it, which stays readable."""

    def remove(self, profile: RegisteredProfile, *, at: datetime) -> None:
        """Take a profile out of use; its revisions stay readable."""


class Statements(Protocol):
    """What senders said about the images of studies."""

    def lock(self, statement: str) -> Statement | None:
        """Return a statement that nobody else changes until the transaction ends, or None."""

    def put(self, statement: Statement) -> None:
        """Store a statement, in place of what was said before."""

    def of_study(self, study_instance_uid: str) -> Sequence[Statement]:
        """Return what was said about a study."""


class ProgressOfJobs(Protocol):
    """How far workers are; nothing is decided by it."""

    def advance(self, job: str, progress: Progress) -> None:
        """Keep how far a worker is, unless one was as far: what comes late or twice changes nothing."""

    def of(self, job: str) -> Progress | None:
        """Return the furthest that was kept, or None."""


class Transaction(Protocol):
    """One atomic change: what is stored and what is announced become true together."""

    @property
    def jobs(self) -> Jobs:
        """Jobs and outcomes."""

    @property
    def progress(self) -> ProgressOfJobs:
        """How far workers are."""

    @property
    def studies(self) -> Studies:
        """Studies and what they consist of."""

    @property
    def intake(self) -> Intake:
        """Feeds, and what still has to be read."""

    @property
    def sweeps(self) -> Sweeps:
        """What was seen of archives that only answer queries."""

    @property
    def registry(self) -> Registry:
        """Archives, devices, attachments."""

    @property
    def senders(self) -> Senders:
        """How long those who send images usually pause."""

    @property
    def profiles(self) -> SenderProfiles:
        """What senders of images really send."""

    @property
    def statements(self) -> Statements:
        """What senders said about the images of studies."""

    @property
    def backfills(self) -> Backfills:
        """Older studies that attachments are to look at."""

    def announce(self, announcement: Announcement) -> None:
        """Add to the outbox; published after commit, once."""

    def audit(self, *, action: str, subject: str, at: datetime, **facts: Fact) -> None:
        """Add to the audit trail what the caller did."""


class Store(Protocol):
    """Where transactions come from. Work may run more than once and has no effect but on its transaction."""

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` and return its result once it is durable."""

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` on one snapshot; it cannot write."""


@dataclass(frozen=True, slots=True)
class Page:
    """A piece of an archive's feed.

    Attributes:
        touched: Series in which something changed.
        cursor: Where the next page starts.
        is_last: Nothing more is there for now.
        is_broken: The feed is not the one that was read before: everything has to be compared.
    """

    touched: tuple[Touched, ...]
    cursor: str
    is_last: bool
    is_broken: bool = False


class Feed(Protocol):
    """Tells which series of an archive changed."""

    async def read(self, cursor: str) -> Page:
        """Return what changed after ``cursor``; empty asks for the beginning.

        Raises:
            UpstreamUnavailableError: the archive is away.
        """


class ArchiveConnector(Protocol):
    """Reads from one archive. Every call raises UpstreamUnavailableError when the archive is away."""

    async def series(self, study_instance_uid: str, series_instance_uid: str) -> Sequence[SeenInstance]:
        """Return the headers of a series; empty when the archive does not hold it."""

    async def counts(self, study_instance_uid: str) -> Mapping[str, int]:
        """Return the number of instances of each series of a study."""

    async def patients(self, study_instance_uid: str) -> Sequence[Patient]:
        """Return everybody under whose identity the archive holds that UID."""

    async def studies(self, span: Span | None, *, offset: int, limit: int) -> StudyPage:
        """Return a page of the studies made in ``span``, or of all studies."""

    async def named(self, study_instance_uids: Sequence[str]) -> Mapping[str, ListedStudy]:
        """Return those of the named studies that the archive holds."""


class Connectors(Protocol):
    """Gives access to archives."""

    async def connector(self, archive: Archive) -> ArchiveConnector:
        """Return the connector of an archive."""

    async def feed(self, archive: Archive) -> Feed:
        """Return the feed of an archive.

        Raises:
            InvalidRequestError: it has none.
        """


class Pools(Protocol):
    """How much the serving replicas can take."""

    async def offers(self) -> Mapping[str, PoolOffer]:
        """Return what each pool can take; one that is not heard of is not there."""

    async def held_up(self) -> Collection[str] | None:
        """Return the pools of which a replica says that it waits for something away; None while none can be heard."""


BeginTrace = Callable[[str], str]
"""Begins a trace, linked to the one given if any, and returns its W3C context; empty where nothing is recorded."""

PutStack = Callable[[StackDescriptor], Awaitable[str]]
"""Stores the description of an input and returns its digest."""
