"""Hears what senders say about the images of a study. Answered when it is durable; said twice it is heard once."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto, unique
from functools import partial

from study_router.domain.finished import FINAL, Kind, Statement, Status
from study_router.domain.studies import StudyState
from study_router.ports import Store, Transaction
from udckit import crash
from udckit.clock import Clock

Images = Mapping[str, tuple[str, ...]]
"""SOP Instance UIDs by Series Instance UID."""


@unique
class Heard(Enum):
    """What became of a statement."""

    KEPT = auto()
    """It is durable; or it was before, and nothing changed."""
    OTHER = auto()
    """Something else is known under this UID."""
    UNKNOWN = auto()
    """Nothing is known under this UID."""
    ENDED = auto()
    """The step has ended with something else, and nothing changes it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HearStatement:
    """Keeps what is said and has the study looked at."""

    store: Store
    clock: Clock

    async def begun(self, statement: str, *, studies: tuple[str, ...], sender: str, series: Images) -> Heard:
        """A procedure step has begun (N-CREATE).

        Args:
            statement: SOP Instance UID of the step.
            studies: Study Instance UIDs; at least one.
            sender: Application entity title of the modality.
            series: Images that are there already; usually none.
        """
        wanted = self._statement(
            statement, Kind.MPPS, Status.IN_PROGRESS, studies=studies, sender=sender, series=series
        )
        return await self._run(partial(self._add, wanted=wanted, is_whole=False))

    async def performed(self, statement: str, *, status: Status | None, series: Images | None) -> Heard:
        """A procedure step changed (N-SET).

        Args:
            statement: SOP Instance UID of the step.
            status: What it is now; None where that is not said.
            series: All series and images it has until now; None where that is not said.
        """
        return await self._run(partial(self._change, statement=statement, status=status, series=series))

    async def available(self, statement: str, *, study: str, sender: str, series: Images, is_of_a_step: bool) -> Heard:
        """Images can be had (Instance Availability Notification).

        Args:
            statement: SOP Instance UID of the notification.
            study: Study Instance UID.
            sender: Application entity title of the archive.
            series: The images that can be had.
            is_of_a_step: It is about a procedure step, whose images these are.
        """
        status = Status.COMPLETED if is_of_a_step else Status.AVAILABLE
        wanted = self._statement(statement, Kind.IAN, status, studies=(study,), sender=sender, series=series)
        return await self._run(partial(self._add, wanted=wanted, is_whole=True))

    def _statement(
        self, statement: str, kind: Kind, status: Status, *, studies: tuple[str, ...], sender: str, series: Images
    ) -> Statement:
        now = self.clock.now()
        return Statement(
            statement=statement,
            study_instance_uids=tuple(sorted(set(studies))),
            kind=kind,
            status=status,
            sender=sender,
            series=series if len(set(studies)) == 1 else {},
            began_at=now,
            changed_at=now,
        )

    async def _run(self, work: partial[Heard]) -> Heard:
        crash.point("router.before_statement")
        heard = await self.store.transact(work)
        crash.point("router.after_statement")
        return heard

    def _add(self, transaction: Transaction, *, wanted: Statement, is_whole: bool) -> Heard:
        known = transaction.statements.lock(wanted.statement)
        if known is not None:
            same = (known.kind, known.study_instance_uids) == (wanted.kind, wanted.study_instance_uids)
            # Of a step that has gone on since, the beginning says nothing any more.
            if is_whole:
                same = same and (known.status, known.series) == (wanted.status, wanted.series)
            return Heard.KEPT if same else Heard.OTHER
        self._keep(transaction, wanted)
        return Heard.KEPT

    def _change(
        self, transaction: Transaction, *, statement: str, status: Status | None, series: Images | None
    ) -> Heard:
        known = transaction.statements.lock(statement)
        if known is None or known.kind is not Kind.MPPS:
            return Heard.UNKNOWN
        wanted = replace(
            known,
            status=known.status if status is None else status,
            series=known.series if series is None or len(known.study_instance_uids) > 1 else series,
        )
        if wanted == known:
            return Heard.KEPT
        if known.status in FINAL:
            return Heard.ENDED
        self._keep(transaction, replace(wanted, changed_at=self.clock.now()))
        return Heard.KEPT

    def _keep(self, transaction: Transaction, statement: Statement) -> None:
        transaction.statements.put(statement)
        for uid in statement.study_instance_uids:
            for found in transaction.studies.find(study_instance_uid=uid):
                study = transaction.studies.lock(found.study)
                if study is not None and study.state is StudyState.OPEN:
                    # Another version: what is being decided without this statement is not stored.
                    now = self.clock.now()
                    transaction.studies.save(replace(study, due_at=now, version=study.version + 1))
