"""A person has looked at a quarantined study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from study_router.domain.announcements import StudyRevised
from study_router.domain.registry import Archive
from study_router.domain.studies import SeenInstance, Study, StudyEntry, StudyEvent, StudyState, Touched
from study_router.ports import BeginTrace, Connectors, Store, Transaction
from study_router.usecases.reading import study_named
from udckit.clock import Clock
from udckit.errors import ConflictError, PreconditionError
from udcmodel.ids import study_id


class ConflictRemainsError(PreconditionError):
    """The archives still hold what the study was quarantined for."""

    reason = "CONFLICT_REMAINS"


@dataclass(frozen=True, slots=True)
class _Held:
    """What the archives hold of a study now: its series by archive, and one instance that speaks for the study."""

    series: Mapping[str, Sequence[str]]
    example: SeenInstance


@dataclass(frozen=True, slots=True)
class _Known:
    """What was known before the archives were asked: all studies of the UID, and where they lie."""

    study: Study
    same_uid: frozenset[str]
    archives: tuple[Archive, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseStudy:
    """End a quarantine.

    Attributes:
        store: Transactions.
        connectors: Access to archives.
        clock: Time.
        region: Part of every study's id.
        begin_trace: Begins the trace of the new revision.
    """

    store: Store
    connectors: Connectors
    clock: Clock
    region: str
    begin_trace: BeginTrace

    async def __call__(self, name: str, *, reason: str) -> Study:
        """Let the study go on in a new revision; one that is not quarantined stays as it is.

        Raises:
            ConflictError: the study changed meanwhile; ask again.
            ConflictRemainsError: an archive holds the UID under another patient, or none under this one.
            NotFoundError: there is no such study.
            UpstreamUnavailableError: an archive cannot be asked.
        """
        known = await self.store.read(partial(_known, name=name))
        if known.study.state is not StudyState.QUARANTINED:
            return known.study
        held = await self._ask(known)
        return await self.store.transact(partial(self._release, known=known, held=held, reason=reason))

    async def _ask(self, known: _Known) -> _Held:
        """Ask every archive in which the UID was ever seen."""
        uid = known.study.study_instance_uid
        series: dict[str, Sequence[str]] = {}
        example: SeenInstance | None = None
        for archive in known.archives:
            connector = await self.connectors.connector(archive)
            owners = {
                study_id(
                    region=self.region,
                    patient_id=patient.patient_id,
                    issuer=patient.issuer,
                    study_instance_uid=uid,
                )
                for patient in await connector.patients(uid)
            }
            if owners - {known.study.study}:
                raise ConflictRemainsError(
                    f"archive {archive.archive} holds the StudyInstanceUID of study {known.study.study} under another"
                    " patient; correct it there first",
                    archive=archive.archive,
                )
            if not owners:
                continue
            series[archive.archive] = sorted(await connector.counts(uid))
            for name in series[archive.archive] if example is None else ():
                example = next(iter(await connector.series(uid, name)), example)
        if example is None:
            raise ConflictRemainsError(f"no archive holds study {known.study.study} under its patient any more")
        return _Held(series, example)

    def _release(self, transaction: Transaction, *, known: _Known, held: _Held, reason: str) -> Study:
        study = transaction.studies.lock(known.study.study)
        uid = known.study.study_instance_uid
        now_known = {item.study for item in transaction.studies.find(study_instance_uid=uid)}
        if study is None or study.version != known.study.version or now_known != known.same_uid:
            raise ConflictError(f"study {known.study.study} changed while the archives were asked; ask again")
        now = self.clock.now()
        released = replace(
            study,
            # A study that was never readable has only its name until now.
            age=held.example.age,
            study_date=held.example.study_date,
            description=held.example.study_description,
            state=StudyState.OPEN,
            revision=study.revision + 1,
            version=study.version + 1,
            is_forced=False,
            reason="",
            due_at=now,
            closed_at=None,
            trace=self.begin_trace(study.trace),
        )
        transaction.studies.save(released)
        for archive in known.archives:
            # What was indexed may be the other patient's: everything is read again before anything is decided.
            indexed = transaction.intake.series_of(archive.archive, uid)
            touched = [
                Touched(uid, item, study.last_arrival_at)
                for item in sorted({*indexed, *held.series.get(archive.archive, ())})
            ]
            transaction.intake.touch(archive.archive, touched, now=now, pause_s=0.0)
        # What the person found out may name patients: it stays in the audit trail.
        entry = StudyEntry(
            at=now,
            event=StudyEvent.RELEASED,
            revision=released.revision,
            detail="the archives hold it under one patient; who released it and why is in the audit trail",
        )
        transaction.studies.note(study.study, entry)
        transaction.announce(
            StudyRevised(
                study=study.study,
                revision=released.revision,
                organisation=study.organisation,
                reason="released from quarantine",
                at=now,
            )
        )
        transaction.audit(
            action="study.released",
            subject=f"studies/{study.study}",
            at=now,
            reason=reason,
            quarantined_for=study.reason,
            revision=released.revision,
        )
        return released


def _known(transaction: Transaction, *, name: str) -> _Known:
    study = study_named(transaction, name)
    same = transaction.studies.find(study_instance_uid=study.study_instance_uid)
    names = dict.fromkeys(archive for item in same for archive in transaction.studies.locations(item.study))
    return _Known(
        study,
        frozenset(item.study for item in same),
        tuple(transaction.registry.archive(archive) for archive in names),
    )
