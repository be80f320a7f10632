"""A person says that nothing more will come."""

from dataclasses import dataclass, replace

from study_router.domain.studies import Study, StudyEntry, StudyEvent, StudyState
from study_router.ports import Store, Transaction
from study_router.usecases.reading import study_named
from udckit.clock import Clock
from udckit.errors import NotFoundError, PreconditionError


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteStudy:
    """Close a study now."""

    store: Store
    clock: Clock

    async def __call__(self, name: str) -> Study:
        """Mark the study as complete; it is closed at the next look. A closed one stays as it is.

        Raises:
            NotFoundError: there is no such study.
            PreconditionError: it is quarantined.
        """

        def complete(transaction: Transaction) -> Study:
            study = transaction.studies.lock(study_named(transaction, name).study)
            if study is None:
                raise NotFoundError(f"there is no study {name}")
            if study.state is StudyState.QUARANTINED:
                raise PreconditionError(f"study {study.study} is quarantined: {study.reason}", study=study.study)
            if study.state is StudyState.CLOSED or study.is_forced:
                return study
            now = self.clock.now()
            forced = replace(study, is_forced=True, due_at=now)
            transaction.studies.save(forced)
            entry = StudyEntry(
                at=now,
                event=StudyEvent.DECLARED_COMPLETE,
                revision=study.revision,
                detail="a person said that nothing more comes",
            )
            transaction.studies.note(study.study, entry)
            transaction.audit(action="study.completed", subject=f"studies/{study.study}", at=now)
            return forced

        return await self.store.transact(complete)
