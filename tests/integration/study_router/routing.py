"""The router's use cases on a real database, with a clock that is set and an archive that is played."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import select

from study_router.adapters.cel import CelCompiler
from study_router.adapters.store import SqlStore
from study_router.domain.instances import Header
from study_router.domain.listings import Fingerprint, ListedStudy, Moment, Span, StudyPage
from study_router.domain.queue import PoolOffer
from study_router.domain.readiness import Quiet
from study_router.domain.reconciliation import Finding, Unsettled
from study_router.domain.registry import Archive, Attachment, FeedKind
from study_router.domain.studies import Patient, SeenInstance, StoredInstance, Study, Touched
from study_router.domain.sweeps import DEFAULT_TIERS
from study_router.domain.work import CurrentOutcome, Ending, Job
from study_router.ports import Page, Transaction
from study_router.usecases.archiving import Answer, BeginArchiving
from study_router.usecases.commands import CancelJob, RetryJob
from study_router.usecases.completing import CompleteStudy
from study_router.usecases.dispatching import DispatchJobs
from study_router.usecases.evaluating import EvaluateStudy
from study_router.usecases.following import FollowFeed
from study_router.usecases.indexing import IndexSeries
from study_router.usecases.planning import PlanStudy
from study_router.usecases.reconciling import CompareArchives, CompareOutcomes
from study_router.usecases.registering import AddArchive, CreateAttachment, RegisterDevice, SuspendDevice
from study_router.usecases.reports import (
    AcceptResult,
    RecordDelivery,
    RecordDeliveryFailure,
    RecordFailure,
    RecordReturn,
    RecordStart,
)
from study_router.usecases.sweeping import SweepArchive
from study_router.usecases.viewing import RuleBook
from study_router.usecases.watching import Outages, SweepDeadlines
from udckit.database import Database
from udckit.envelope import Event
from udckit.plumbing_tables import OUTBOX
from udckit.security.identity import EVERYWHERE, Identity, IdentityKind, Role, acting_as
from udcmodel.codec import encode_stack
from udcmodel.grant import Certificate
from udcmodel.ids import digest_of
from udcmodel.stack import StackDescriptor
from udcmodel.vocabulary import ErrorCategory, Mode, Priority

MOSCOW = ZoneInfo("Europe/Moscow")
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
REGION = "r77"
ORGANISATION = "1.2.643.5.1.13.13.12.2.77.99999"
MANIFEST = Path(__file__).parents[3] / "examples/devices/ct-brain-hyperdensity/manifest.yaml"
DEVICE = "ct-brain-hyperdensity"
PATIENT = Patient(patient_id="P1", issuer="I", birth_date="19600229", sex="M")
QUIET = Quiet(stack=timedelta(seconds=15), study=timedelta(minutes=10))
LONGEST_QUIET = Quiet(stack=timedelta(minutes=2), study=timedelta(hours=1))
FIRST = digest_of(b"first result")
SECOND = digest_of(b"second result")
SOMEBODY = Identity(
    kind=IdentityKind.PERSON,
    name="tester",
    region=REGION,
    roles=frozenset({Role.REGIONAL_ADMIN}),
    organisations=frozenset({EVERYWHERE}),
)


class SetClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> datetime:
        return self.time

    def pass_by(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def slice_header(number: int, *, series: str = "1.2.1", patient_spacing: float = 5.0, kernel: str = "SOFT") -> Header:
    """Return the header of one axial slice of a head CT."""
    return Header(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid=f"{series}.{number}",
        series_instance_uid=series,
        modality="CT",
        series_number=int(series.rpartition(".")[2]),
        body_part="HEAD",
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        frame_of_reference_uid="1.2.0",
        position=(0.0, 0.0, patient_spacing * number),
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, 1.0, 0.0),
        pixel_spacing=(0.5, 0.5),
        rows=512,
        columns=512,
        instance_number=number,
        kernel=kernel,
        kvp=120.0,
    )


@dataclass
class PlayedArchive:
    """What an archive holds, by study and series, and the Study Times.

    ``meanwhile`` happens once, while it is being asked for counts.
    """

    held: dict[str, dict[str, list[SeenInstance]]] = field(default_factory=dict)
    times: dict[str, str] = field(default_factory=dict)
    meanwhile: Callable[[], Awaitable[None]] | None = None

    def put(
        self,
        study: str,
        headers: Sequence[Header],
        *,
        patient: Patient = PATIENT,
        age: str = "066Y",
        day: str = "20260301",
    ) -> None:
        for header in headers:
            series = self.held.setdefault(study, {}).setdefault(header.series_instance_uid, [])
            series[:] = [item for item in series if item.header.sop_instance_uid != header.sop_instance_uid]
            series.append(
                SeenInstance(
                    study_instance_uid=study,
                    patient=patient,
                    age=age,
                    study_date=day,
                    study_description="",
                    header=header,
                )
            )

    def delete(self, study: str, sop_instance_uid: str) -> None:
        for series in self.held[study].values():
            series[:] = [item for item in series if item.header.sop_instance_uid != sop_instance_uid]

    async def series(self, study_instance_uid: str, series_instance_uid: str) -> Sequence[SeenInstance]:
        return list(self.held.get(study_instance_uid, {}).get(series_instance_uid, []))

    async def counts(self, study_instance_uid: str) -> Mapping[str, int]:
        counts = {uid: len(items) for uid, items in self.held.get(study_instance_uid, {}).items() if items}
        if self.meanwhile is not None:
            happen, self.meanwhile = self.meanwhile, None
            await happen()
        return counts

    async def patients(self, study_instance_uid: str) -> Sequence[Patient]:
        series = self.held.get(study_instance_uid, {}).values()
        return list(dict.fromkeys(item.patient for items in series for item in items))

    async def studies(self, span: Span | None, *, offset: int, limit: int) -> StudyPage:
        listed = [study for uid in sorted(self.held) if (study := self._listed(uid)) is not None]
        asked = [study for study in listed if span is None or _is_in(study, span)]
        return StudyPage(tuple(asked[offset : offset + limit]))

    async def named(self, study_instance_uids: Sequence[str]) -> Mapping[str, ListedStudy]:
        return {uid: study for uid in study_instance_uids if (study := self._listed(uid)) is not None}

    def _listed(self, uid: str) -> ListedStudy | None:
        items = [item for series in self.held.get(uid, {}).values() for item in series]
        if not items:
            return None
        told = Fingerprint(
            instances=len(items),
            series=len({item.header.series_instance_uid for item in items}),
            modalities=tuple(sorted({item.header.modality for item in items})),
        )
        return ListedStudy(uid, Moment.parse(items[0].study_date, self.times.get(uid, "")), told)


def _is_in(study: ListedStudy, span: Span) -> bool:
    day, second = study.moment.day, study.moment.second
    if day is None or not span.first <= day <= span.last:
        return False
    return not span.is_part_of_a_day or (second is not None and span.from_s <= second <= span.to_s)


@dataclass
class Played:
    """Connectors and pools of a test."""

    archives: dict[str, PlayedArchive] = field(default_factory=dict)
    pages: list[Page] = field(default_factory=list)
    slot_count: int = 4
    archives_away: frozenset[str] = frozenset()
    not_activated: frozenset[tuple[str, str]] = frozenset()
    held_up_pools: Collection[str] | None = ()

    async def connector(self, archive: Archive) -> PlayedArchive:
        return self.archives[archive.archive]

    async def feed(self, archive: Archive) -> "Played":
        assert archive.archive in self.archives
        return self

    async def read(self, cursor: str) -> Page:
        return self.pages.pop(0) if self.pages else Page((), cursor, is_last=True)

    async def offers(self) -> Mapping[str, PoolOffer]:
        offer = PoolOffer(slots=self.slot_count, archives_away=self.archives_away, not_activated=self.not_activated)
        return {"cpu": offer}

    async def held_up(self) -> Collection[str] | None:
        return self.held_up_pools


class Routing:
    """A router without its loops: every step is taken by the test."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.store = SqlStore(database)
        self.clock = SetClock()
        self.played = Played()
        self.outages = Outages()
        self.rules = RuleBook(CelCompiler())
        self.objects: dict[str, StackDescriptor] = {}
        self.contents: dict[str, bytes] = {}
        self.cases: dict[str, bytes] = {}

    async def put_stack(self, stack: StackDescriptor) -> str:
        digest = digest_of(encode_stack(stack))
        self.objects[digest] = stack
        return digest

    async def put(self, content: bytes) -> str:
        digest = digest_of(content)
        self.contents[digest] = content
        return digest

    async def put_case(self, content: bytes) -> str:
        digest = digest_of(content)
        self.cases[digest] = content
        return digest

    async def has_case(self, digest: str) -> bool:
        return digest in self.cases

    async def add_archive(self, name: str = "hospital", *, feed: FeedKind = FeedKind.ORTHANC) -> PlayedArchive:
        archive = Archive(
            archive=name,
            organisation=ORGANISATION,
            feed=feed,
            dicomweb_url="http://archive/dicom-web",
            orthanc_url="http://archive",
            credentials="",
            profile="air",
        )
        with acting_as(SOMEBODY):
            await AddArchive(store=self.store, clock=self.clock)(archive)
        self.played.archives[name] = PlayedArchive()
        return self.played.archives[name]

    async def register(self, *, manifest: bytes | None = None, model: bytes = b"model", golden: bytes = b"") -> bool:
        register = RegisterDevice(
            store=self.store,
            put=self.put,
            put_case=self.put_case,
            has_case=self.has_case,
            compiler=self.rules.compiler,
            clock=self.clock,
        )
        certificate = Certificate(
            number="РЗН 2099/1",
            valid_from=NOON - timedelta(days=1),
            valid_until=NOON + timedelta(days=30),
            versions=("1.0.0",),
            holder="",
            source="",
            checked_at=NOON,
        )
        with acting_as(SOMEBODY):
            _, created = await register(
                manifest_yaml=manifest or MANIFEST.read_bytes(),
                model_digest=digest_of(model),
                certificate=certificate,
                may_certify=True,
                golden_json=golden,
            )
        return created

    async def attach(self, name: str = "pilot", **changes: object) -> Attachment:
        wanted = Attachment(
            attachment=name,
            revision=0,
            device=DEVICE,
            version="1.0.0",
            mode=Mode.PILOT,
            organisations=(),
            sources=(),
            destinations=("hospital",),
            rule="",
            pool="cpu",
            priority=Priority.ROUTINE,
            deadline_s=100,
            effective_from=NOON,
        )
        create = CreateAttachment(store=self.store, compiler=self.rules.compiler, clock=self.clock)
        with acting_as(SOMEBODY):
            attachment, _ = await create(replace(wanted, **changes))  # type: ignore[arg-type]  # named fields
        return attachment

    async def ready(self, *attachments: str) -> PlayedArchive:
        """Have one archive, the reference device and attachments of it."""
        archive = await self.add_archive()
        await self.register()
        for name in attachments or ("pilot",):
            await self.attach(name)
        await self.sweep()
        self.clock.pass_by(1)
        return archive

    async def arrive(self, study: str, headers: Sequence[Header], *, archive: str = "hospital", **kind: object) -> None:
        """Let images arrive, and index them."""
        self.played.archives[archive].put(study, headers, **kind)  # type: ignore[arg-type]  # passed on
        await self.touch(study, {header.series_instance_uid for header in headers}, archive=archive)
        await self.index(archive)

    async def touch(self, study: str, series: set[str], *, archive: str = "hospital") -> None:
        now = self.clock.now()
        touched = tuple(Touched(study, uid, now) for uid in sorted(series))
        self.played.pages.append(Page(touched, f"cursor {now.isoformat()}", is_last=True))
        await self.follow(archive)

    async def follow(self, archive: str = "hospital") -> None:
        follow = FollowFeed(
            store=self.store, connectors=self.played, clock=self.clock, pause_s=0.0, sweep_every_s=3600.0
        )
        await follow(await self._archive(archive))

    async def step(self, tier: str, *, archive: str = "hospital") -> bool:
        """Take one step of a sweep; say whether more is waiting."""
        sweep = SweepArchive(
            store=self.store,
            connectors=self.played,
            clock=self.clock,
            tiers=DEFAULT_TIERS,
            zone=MOSCOW,
            pause_s=0.0,
        )
        [wanted] = [item for item in DEFAULT_TIERS if item.name == tier]
        return await sweep(await self._archive(archive), wanted)

    async def sweep_archive(self, tier: str, *, archive: str = "hospital", index: bool = True) -> int:
        """Sweep an archive by one tier until that has nothing to do, and index; return how many steps followed."""
        steps = 0
        while await self.step(tier, archive=archive):
            steps += 1
        if index:
            await self.index(archive)
        return steps

    async def instances(self) -> list[StoredInstance]:
        """Return everything that the index knows."""

        def read(transaction: Transaction) -> list[StoredInstance]:
            found = transaction.studies.search(limit=1000)
            return [item for study in found for item in transaction.studies.instances(study.study)]

        return await self.store.read(read)

    async def index(self, archive: str = "hospital") -> None:
        index = IndexSeries(
            store=self.store,
            connectors=self.played,
            clock=self.clock,
            region=REGION,
            begin_trace=lambda linked: linked,
            input_quiet_s=15.0,
        )
        now = self.clock.now()
        arrivals = await self.store.read(lambda transaction: transaction.intake.arrivals(archive, now, limit=100))
        for arrival in arrivals:
            await index(await self._archive(archive), arrival)

    async def _archive(self, name: str) -> Archive:
        return await self.store.read(lambda transaction: transaction.registry.archive(name))

    async def look(self, *, after_s: float = 0.0) -> None:
        """Look at everything that is due after some time."""
        self.clock.pass_by(after_s)
        for _ in range(5):
            due = await self.store.read(lambda transaction: transaction.studies.due(self.clock.now(), limit=100))
            for study in due:
                await self.evaluate(study)
            if not due:
                return

    async def evaluate(self, study: str) -> None:
        """Look at a study, due or not."""
        evaluate = EvaluateStudy(
            store=self.store,
            connectors=self.played,
            plan=self._plan(),
            clock=self.clock,
            retry_s=1.0,
        )
        await evaluate(study)

    def _plan(self) -> PlanStudy:
        return PlanStudy(
            put_stack=self.put_stack,
            rules=self.rules,
            region=REGION,
            identity_key=b"k" * 32,
            quiet=QUIET,
            longest_quiet=LONGEST_QUIET,
            job_deadline_s=86400.0,
            max_study_age_days=None,
        )

    async def reconcile(self, *, repair: bool = False, since: datetime = NOON) -> list[Finding | Unsettled]:
        """Compare everything; the clock passes by while differences settle."""

        async def pause(seconds: float) -> None:
            self.clock.pass_by(seconds)

        archives = CompareArchives(
            store=self.store,
            connectors=self.played,
            clock=self.clock,
            pause=pause,
            tiers=DEFAULT_TIERS,
            zone=MOSCOW,
        )
        outcomes = CompareOutcomes(store=self.store, plan=self._plan(), clock=self.clock)
        with acting_as(SOMEBODY):
            return [found for compare in (archives, outcomes) async for found in compare(since=since, repair=repair)]

    async def dispatch(self) -> int:
        dispatch = DispatchJobs(
            store=self.store,
            pools=self.played,
            clock=self.clock,
            begin_trace=lambda linked: linked,
            batch_ageing_s=3600.0,
        )
        return await dispatch()

    async def sweep(self) -> None:
        sweep = SweepDeadlines(
            store=self.store,
            pools=self.played,
            clock=self.clock,
            max_attempts=3,
            back_off_s=(5.0, 30.0),
            outages=self.outages,
        )
        while await sweep():
            continue

    async def start(self, job: str, *, attempt: int = 1) -> None:
        record = RecordStart(clock=self.clock)
        await self.store.transact(lambda transaction: record(transaction, job=job, attempt=attempt, worker="w"))

    async def infer(self, job: str, *, attempt: int = 1, digest: str = FIRST) -> None:
        accept = AcceptResult(clock=self.clock)
        await self.store.transact(
            lambda transaction: accept(transaction, job=job, attempt=attempt, worker="w", digest=digest)
        )

    async def fail(
        self,
        job: str,
        *,
        attempt: int = 1,
        reason: str = "MODEL_FAILED",
        is_insufficient: bool = False,
        is_retryable: bool = False,
    ) -> None:
        record = RecordFailure(clock=self.clock, max_attempts=3, back_off_s=(5.0, 30.0))
        ending = Ending(reason=reason, detail="it failed", category=ErrorCategory.OTHER)
        await self.store.transact(
            lambda transaction: record(
                transaction,
                job=job,
                attempt=attempt,
                ending=ending,
                is_insufficient=is_insufficient,
                is_retryable=is_retryable,
            )
        )

    async def give_back(self, job: str, *, attempt: int = 1) -> None:
        record = RecordReturn(clock=self.clock)
        await self.store.transact(
            lambda transaction: record(
                transaction, job=job, attempt=attempt, reason="ARCHIVE_AWAY", detail="hospital does not answer"
            )
        )

    async def begin(self, job: str, *, digest: str = FIRST, uids: Sequence[str] = ()) -> Answer:
        begin = BeginArchiving(store=self.store, clock=self.clock, archiving_deadline_s=600.0)
        return await begin(job=job, digest=digest, sop_instance_uids=uids)

    async def deliver(self, job: str, *, archive: str = "hospital", digest: str = FIRST) -> None:
        record = RecordDelivery(clock=self.clock)
        await self.store.transact(lambda transaction: record(transaction, job=job, digest=digest, archive=archive))

    async def fail_delivery(self, job: str, *, archive: str = "hospital", reason: str = "REFUSED_BY_ARCHIVE") -> None:
        record = RecordDeliveryFailure(clock=self.clock)
        await self.store.transact(
            lambda transaction: record(
                transaction,
                job=job,
                digest=FIRST,
                archive=archive,
                reason=reason,
                detail="",
                category=ErrorCategory.OTHER,
            )
        )

    async def cancel(self, job: str) -> Job:
        with acting_as(SOMEBODY):
            return await CancelJob(store=self.store, clock=self.clock)(job=job, reason="not needed")

    async def retry(self, job: str) -> Job:
        retry = RetryJob(store=self.store, clock=self.clock, region=REGION, job_deadline_s=86400.0)
        with acting_as(SOMEBODY):
            return await retry(job=job)

    async def suspend(self, *, is_suspended: bool = True) -> None:
        suspend = SuspendDevice(store=self.store, clock=self.clock)
        with acting_as(SOMEBODY):
            await suspend(device=DEVICE, version="1.0.0", is_suspended=is_suspended, reason="a defect")

    async def complete(self, study: str) -> None:
        with acting_as(SOMEBODY):
            await CompleteStudy(store=self.store, clock=self.clock)(study)

    async def archive_result(self, job: str, *, digest: str = FIRST) -> None:
        """Play everything from dispatch to the archived result."""
        await self.dispatch()
        current = await self.job(job)
        await self.infer(job, attempt=current.attempt, digest=digest)
        assert (await self.begin(job, digest=digest)).granted
        await self.deliver(job, digest=digest)

    async def job(self, name: str) -> Job:
        return await self.store.read(lambda transaction: transaction.jobs.get(name))

    async def jobs(self) -> Sequence[Job]:
        """Return all jobs, oldest first."""
        found = await self.store.read(lambda transaction: transaction.jobs.search(limit=1000))
        return sorted(found, key=lambda job: job.created_at)

    async def only_job(self) -> Job:
        [job] = await self.jobs()
        return job

    async def studies(self) -> Sequence[Study]:
        return await self.store.read(lambda transaction: transaction.studies.search(limit=100))

    async def only_study(self) -> Study:
        [study] = await self.studies()
        return study

    async def outcomes(self) -> Sequence[CurrentOutcome]:
        study = await self.only_study()
        return await self.store.read(lambda transaction: transaction.jobs.outcomes(study.study))

    async def announced(self) -> list[str]:
        """Return the types of all events in the outbox, oldest first, without package."""
        return [event.type.rpartition(".")[2] for event in await self.events()]

    async def events(self) -> list[Event]:
        rows = await self.database.read(
            lambda connection: connection.execute(select(OUTBOX).order_by(OUTBOX.c.position)).all()
        )
        return [
            Event(
                id=row.event_id,
                type=row.type,
                source="",
                about=row.about,
                region=REGION,
                organisation=row.organisation,
                sequence=0,
                occurred_at=row.occurred_at,
                body=row.body,
                headers={},
            )
            for row in rows
        ]
