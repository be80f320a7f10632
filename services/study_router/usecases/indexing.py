"""Reads touched series: what their images are, and which study they belong to."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from study_router.domain.announcements import StudyQuarantined, StudyRevised
from study_router.domain.instances import InstanceClass, classify, is_rejection_note
from study_router.domain.jobs import Event
from study_router.domain.registry import Archive
from study_router.domain.rejections import changes_input, has_notes
from study_router.domain.studies import (
    TWO_PATIENTS,
    Patient,
    SeenInstance,
    StoredInstance,
    Study,
    StudyEntry,
    StudyEvent,
    StudyState,
)
from study_router.domain.work import Ending
from study_router.ports import ArchiveConnector, Arrival, BeginTrace, Connectors, Store, Transaction
from study_router.usecases.moving import move
from udckit import crash
from udckit.clock import Clock
from udckit.errors import UpstreamUnavailableError
from udcmodel.ids import study_id

_DECIDING: Final = frozenset({InstanceClass.SOURCE, InstanceClass.REJECTION_NOTE})
"""What changes the input of devices when it is deleted."""


def _has_sources(seen: Sequence[SeenInstance], own: Collection[str]) -> bool:
    return any(classify(item.header, is_own=own.__contains__) is InstanceClass.SOURCE for item in seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSeries:
    """Reads the metadata of a touched series and brings the studies up to date.

    Attributes:
        store: Transactions.
        connectors: Access to archives.
        clock: Time.
        region: Part of every study's id.
        begin_trace: Begins the trace of a study revision.
        input_quiet_s: When a study is looked at after an arrival.
    """

    store: Store
    connectors: Connectors
    clock: Clock
    region: str
    begin_trace: BeginTrace
    input_quiet_s: float

    async def __call__(self, archive: Archive, arrival: Arrival) -> None:
        """Read the series and store what is new.

        Raises:
            UpstreamUnavailableError: the archive is away; the arrival stays.
        """
        connector = await self.connectors.connector(archive)
        seen = await connector.series(arrival.study_instance_uid, arrival.series_instance_uid)
        if not seen and await self._is_ambiguous(connector, archive, arrival):
            return
        crash.point("router.before_index")
        await self.store.transact(partial(self._store, archive=archive, arrival=arrival, seen=seen))

    async def put_off(self, arrival: Arrival, seconds: float) -> None:
        """Read a series later, because it could not be read now."""
        at = self.clock.now() + timedelta(seconds=seconds)
        await self.store.transact(lambda transaction: transaction.intake.put_off(arrival, at))

    async def _is_ambiguous(self, connector: ArchiveConnector, archive: Archive, arrival: Arrival) -> bool:
        """Find out why a series cannot be read: deleted, or its study held under two patients at once.

        Seen of Orthanc 1.10.1: once two patients share a UID, retrieving it answers 404 for both.

        Raises:
            UpstreamUnavailableError: the archive lists the series and does not give it.
        """
        uid = arrival.study_instance_uid
        patients = await connector.patients(uid)
        if len({self._study_of(uid, patient) for patient in patients}) > 1:
            await self.store.transact(
                partial(self._quarantine_all, archive=archive, arrival=arrival, patients=patients)
            )
            return True
        if arrival.series_instance_uid in await connector.counts(uid):
            raise UpstreamUnavailableError(
                f"archive {archive.archive} lists a series and does not give it", archive=archive.archive
            )
        return False

    def _quarantine_all(
        self, transaction: Transaction, *, archive: Archive, arrival: Arrival, patients: Sequence[Patient]
    ) -> None:
        for patient in patients:
            study = self._study_of(arrival.study_instance_uid, patient)
            current = transaction.studies.lock(study)
            if current is None:
                current = self._new(study, archive, arrival, patient)
                transaction.studies.add(current)
            self._quarantine(transaction, current)
            transaction.studies.locate(study, archive.archive, at=arrival.arrived_at)
        transaction.intake.settle(arrival)

    def _store(
        self, transaction: Transaction, *, archive: Archive, arrival: Arrival, seen: Sequence[SeenInstance]
    ) -> None:
        by_study: dict[str, list[SeenInstance]] = defaultdict(list)
        for instance in seen:
            by_study[self._owner(transaction, instance)].append(instance)
        known = transaction.studies.instances_of_series(archive.archive, arrival.series_instance_uid)
        self._forget_deleted(transaction, archive.archive, arrival, known, by_study)
        for study, instances in by_study.items():
            before = {item.header.sop_instance_uid: item for owner, item in known if owner == study}
            self._store_study(transaction, study, archive=archive, arrival=arrival, seen=instances, before=before)
        for study in sorted({*by_study, *(owner for owner, _ in known)}):
            current = transaction.studies.lock(study)
            # What came is a result, or nothing: the study stays closed.
            if current is not None and current.state is StudyState.CLOSED:
                transaction.studies.collapse(study)
        transaction.intake.settle(arrival)

    def _owner(self, transaction: Transaction, instance: SeenInstance) -> str:
        """Return the study of an instance; workstations leave the issuer of the patient id out of a rejection note."""
        if is_rejection_note(instance.header.sop_class_uid, instance.header.document_title):
            for study in transaction.studies.find(study_instance_uid=instance.study_instance_uid):
                if study.patient.patient_id == instance.patient.patient_id:
                    return study.study
        return self._study_of(instance.study_instance_uid, instance.patient)

    def _study_of(self, study_instance_uid: str, patient: Patient) -> str:
        return study_id(
            region=self.region,
            patient_id=patient.patient_id,
            issuer=patient.issuer,
            study_instance_uid=study_instance_uid,
        )

    def _forget_deleted(
        self,
        transaction: Transaction,
        archive: str,
        arrival: Arrival,
        known: Sequence[tuple[str, StoredInstance]],
        by_study: Mapping[str, Sequence[SeenInstance]],
    ) -> None:
        ours = {study.study for study in transaction.studies.find(study_instance_uid=arrival.study_instance_uid)}
        gone: dict[str, list[str]] = defaultdict(list)
        deciding: set[str] = set()
        for study, instance in known:
            still = {item.header.sop_instance_uid for item in by_study.get(study, ())}
            uid = instance.header.sop_instance_uid
            if study in ours and uid not in still:
                gone[study].append(uid)
                if instance.instance_class in _DECIDING:
                    deciding.add(study)
        for study, uids in gone.items():
            transaction.studies.remove_instances(study, archive, uids)
            current = transaction.studies.lock(study) if study in deciding else None
            # Archives purge what is old: a deletion changes what is still being decided, and reopens nothing.
            if current is not None and current.state is StudyState.OPEN:
                self._reopen(transaction, current, at=current.last_arrival_at, reason="source instances were deleted")

    def _store_study(
        self,
        transaction: Transaction,
        study: str,
        *,
        archive: Archive,
        arrival: Arrival,
        seen: Sequence[SeenInstance],
        before: Mapping[str, StoredInstance],
    ) -> None:
        own = transaction.studies.own_among([item.header.sop_instance_uid for item in seen])
        changed: list[StoredInstance] = []
        for item in seen:
            uid = item.header.sop_instance_uid
            label = classify(item.header, is_own=own.__contains__)
            old = before.get(uid)
            if old is None or old.header != item.header or old.instance_class is not label:
                arrived_at = arrival.arrived_at if old is None else old.arrived_at
                changed.append(
                    StoredInstance(
                        archive=archive.archive, instance_class=label, header=item.header, arrived_at=arrived_at
                    )
                )
        transaction.studies.put_instances(study, changed)
        sources = [item for item in changed if item.instance_class is InstanceClass.SOURCE]
        uids = [item.header.sop_instance_uid for item in sources]
        elsewhere = transaction.studies.sources_elsewhere(study, archive=archive.archive, sop_instance_uids=uids)
        arrived = [uid for uid in uids if uid not in elsewhere]
        current = transaction.studies.lock(study)
        if current is None and not sources:
            return
        if current is None:
            current = replace(
                self._new(study, archive, arrival, seen[0].patient),
                age=seen[0].age,
                study_date=seen[0].study_date,
                description=seen[0].study_description,
            )
            current = replace(current, due_at=self._first_look(transaction, current, arrival.arrived_at, seen))
            self._open(transaction, current)
        elif current.state is StudyState.QUARANTINED and _has_sources(seen, own):
            # The other patient of a study that was released is there again.
            for same in transaction.studies.find(study_instance_uid=current.study_instance_uid):
                self._quarantine(transaction, same)
        elif arrived:
            self._reopen(transaction, current, at=arrival.arrived_at, reason="source instances arrived", seen=seen)
        elif has_notes(changed) and changes_input(
            transaction.studies.instances(study), changed=changed, before=before.values()
        ):
            self._reopen(transaction, current, at=current.last_arrival_at, reason="source instances were rejected")
        transaction.studies.locate(study, archive.archive, at=arrival.arrived_at)

    def _new(self, study: str, archive: Archive, arrival: Arrival, patient: Patient) -> Study:
        return Study(
            study=study,
            study_instance_uid=arrival.study_instance_uid,
            patient=patient,
            age="",
            study_date="",
            description="",
            organisation=archive.organisation,
            state=StudyState.OPEN,
            revision=1,
            version=1,
            first_seen_at=arrival.arrived_at,
            last_arrival_at=arrival.arrived_at,
            due_at=arrival.arrived_at + timedelta(seconds=self.input_quiet_s),
            trace=self.begin_trace(""),
        )

    def _open(self, transaction: Transaction, study: Study) -> None:
        others = transaction.studies.find(study_instance_uid=study.study_instance_uid)
        transaction.studies.add(study)
        for same in (study, *others) if others else ():
            self._quarantine(transaction, same)

    def _quarantine(self, transaction: Transaction, study: Study) -> None:
        """Keep a UID that two patients share away from every device until a person has looked."""
        if study.state is StudyState.QUARANTINED:
            return
        now = self.clock.now()
        transaction.studies.save(
            replace(study, state=StudyState.QUARANTINED, reason=TWO_PATIENTS, due_at=None, version=study.version + 1)
        )
        ending = Ending(reason=TWO_PATIENTS, detail="the StudyInstanceUID belongs to two patients")
        for name in transaction.jobs.unfinished_of(study.study):
            job = transaction.jobs.lock(name)
            move(transaction, job, Event.CANCEL, now=now, ending=ending)
        detail = "two patients share the StudyInstanceUID"
        transaction.studies.note(
            study.study,
            StudyEntry(at=now, event=StudyEvent.QUARANTINED, revision=study.revision, detail=detail),
        )
        transaction.announce(
            StudyQuarantined(
                study=study.study,
                revision=study.revision,
                organisation=study.organisation,
                reason=TWO_PATIENTS,
                at=now,
            )
        )

    def _first_look(
        self, transaction: Transaction, study: Study, arrived_at: datetime, seen: Sequence[SeenInstance]
    ) -> datetime:
        """Return when a study is looked at after an arrival: at once where something else than silence may decide."""
        is_said = (
            any(item.header.images_in_acquisition for item in seen)
            or transaction.statements.of_study(study.study_instance_uid)
            or any(item.content.views for item in transaction.profiles.of_organisation(study.organisation))
        )
        return arrived_at if is_said else arrived_at + timedelta(seconds=self.input_quiet_s)

    def _reopen(
        self,
        transaction: Transaction,
        study: Study,
        *,
        at: datetime,
        reason: str,
        seen: Sequence[SeenInstance] = (),
    ) -> None:
        if study.state is StudyState.QUARANTINED:
            return
        now = self.clock.now()
        last = max(study.last_arrival_at, at)
        changed = replace(
            study,
            state=StudyState.OPEN,
            version=study.version + 1,
            last_arrival_at=last,
            is_forced=False,
            due_at=max(self._first_look(transaction, study, last, seen), now),
        )
        if study.state is StudyState.CLOSED:
            changed = replace(changed, revision=study.revision + 1, closed_at=None, trace=self.begin_trace(study.trace))
            transaction.studies.note(
                study.study, StudyEntry(at=now, event=StudyEvent.REVISED, revision=changed.revision, detail=reason)
            )
            transaction.announce(
                StudyRevised(
                    study=study.study,
                    revision=changed.revision,
                    organisation=study.organisation,
                    reason=reason,
                    at=now,
                )
            )
        transaction.studies.save(changed)
