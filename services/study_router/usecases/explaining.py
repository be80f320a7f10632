"""What a study was understood to be, and what its end was known by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from study_router.domain.finished import Kind, Status
from study_router.domain.instances import Told
from study_router.domain.studies import StudyState
from study_router.ports import Snapshot, Store, Transaction
from study_router.usecases.reading import study_named
from study_router.usecases.viewing import view_of


@dataclass(frozen=True, slots=True)
class StackKnown:
    """What was known of a stack when it was last decided about."""

    series_instance_uid: str
    modality: str
    excluded: str
    facts: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class StudyKnown:
    """What was known of a study when it was last decided about.

    Attributes:
        stacks: Its stacks, with the facts that tags may lie about.
        finished: What it was closed for; of an open one what is known about its end now.
    """

    stacks: tuple[StackKnown, ...]
    finished: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """Something that was heard about the end of a study."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class ExplainFacts:
    """Every fact that tags may lie about, with what was sent and who said what it is."""

    store: Store

    async def __call__(self, name: str) -> StudyKnown:
        """Return what the newest decision of the present revision rests on; nothing before the first.

        Raises:
            NotFoundError: there is no such study.
        """

        def read(transaction: Transaction) -> StudyKnown:
            study = study_named(transaction, name)
            snapshot = transaction.studies.snapshot(study.study, study.revision)
            if study.state is StudyState.OPEN:
                finished: Sequence[str] = view_of(transaction, study).finished().lines
            else:
                finished = () if snapshot is None else snapshot.facts.get("finished", ())
            return StudyKnown(tuple(map(_stack, _stacks(snapshot))), tuple(finished))

        return await self.store.read(read)


@dataclass(frozen=True, slots=True)
class ReadNotes:
    """What was heard about the end of a study."""

    store: Store

    async def __call__(self, name: str) -> Sequence[Note]:
        """Return what was heard, oldest first.

        Raises:
            NotFoundError: there is no such study.
        """

        def read(transaction: Transaction) -> Sequence[Note]:
            study = study_named(transaction, name)
            notes: list[Note] = []
            for said in transaction.statements.of_study(study.study_instance_uid):
                if said.kind is Kind.MPPS:
                    notes.append(Note(said.began_at, f"{said.kind.value} heard from {said.sender}"))
                if said.status is not Status.IN_PROGRESS:
                    text = f"{said.label} from {said.sender} names {len(said.images)} images"
                    notes.append(Note(said.changed_at, text))
            return sorted(notes, key=lambda note: note.at)

        return await self.store.read(read)


def _stacks(snapshot: Snapshot | None) -> Sequence[Mapping[str, Any]]:
    return () if snapshot is None else snapshot.facts["stacks"]


def _stack(kept: Mapping[str, Any]) -> StackKnown:
    return StackKnown(
        series_instance_uid=kept["series_instance_uid"],
        modality=kept["facts"].get("modality", ""),
        excluded=kept["excluded"],
        # Snapshots of older versions do not have them.
        facts=tuple(Told(**told) for told in kept.get("known", ())),
    )
