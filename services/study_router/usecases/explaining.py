"""What a study was understood to be, and what its end was known by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from study_router.domain.instances import Told
from study_router.ports import Snapshot, Store, Transaction
from study_router.usecases.reading import study_named


@dataclass(frozen=True, slots=True)
class StackKnown:
    """What was known of a stack when it was last decided about."""

    series_instance_uid: str
    modality: str
    excluded: str
    facts: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class StudyKnown:
    """What was known of a study when it was last decided about."""

    stacks: tuple[StackKnown, ...]


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
            return StudyKnown(tuple(map(_stack, _stacks(snapshot))))

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
