"""An attachment starts with what comes; what came before is handed to it by order, and slowly."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from typing import Final

from study_router.domain.backfills import Backfill
from study_router.domain.registry import Attachment
from study_router.domain.studies import StudyState
from study_router.ports import Store, Transaction
from study_router.usecases.reading import page_size
from udckit import crash
from udckit.clock import Clock
from udckit.errors import ConflictError, InvalidRequestError, NotFoundError
from udcmodel.ids import derive

MAX_NAMED: Final = 1000
_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderBackfill:
    """Write down that an attachment is to look at older studies."""

    store: Store
    clock: Clock

    async def __call__(
        self, *, request_id: str, attachment: str, from_day: str, to_day: str, study_instance_uids: Sequence[str]
    ) -> Backfill:
        """Order it; the same request twice is one order.

        Args:
            request_id: Tells a repeated request from a new one.
            attachment: Who is to look.
            from_day: First Study Date, ISO 8601; empty when studies are named.
            to_day: Last Study Date, inclusive; empty when studies are named.
            study_instance_uids: The studies, when no days are given.

        Raises:
            ConflictError: the request was made before and asked for something else.
            InvalidRequestError: a field is missing or wrong.
            NotFoundError: the attachment or a named study is unknown.
        """
        if not request_id:
            raise InvalidRequestError("request_id is missing")
        wanted = Backfill(
            backfill=str(derive("backfill", request_id)),
            attachment=attachment,
            days=_days(from_day, to_day),
            study_instance_uids=tuple(sorted(set(study_instance_uids))),
            ordered_at=self.clock.now(),
        )
        if (wanted.days is None) == (not wanted.study_instance_uids):
            raise InvalidRequestError("name either the first and last day, or studies")
        if len(wanted.study_instance_uids) > MAX_NAMED:
            raise InvalidRequestError(f"at most {MAX_NAMED} studies can be named; use days for more")
        return await self.store.transact(partial(self._order, wanted=wanted))

    def _order(self, transaction: Transaction, *, wanted: Backfill) -> Backfill:
        known = transaction.backfills.find(wanted.backfill)
        if known is not None:
            if not known.asks_the_same_as(wanted):
                raise ConflictError("this request_id was used for another backfill", backfill=known.backfill)
            return known
        if transaction.registry.attachment(wanted.attachment) is None:
            raise NotFoundError(f"there is no attachment {wanted.attachment}", attachment=wanted.attachment)
        for uid in wanted.study_instance_uids:
            if not transaction.studies.find(study_instance_uid=uid):
                raise NotFoundError(f"no study with UID {uid} is known", study_instance_uid=uid)
        transaction.backfills.add(wanted)
        transaction.audit(
            action="backfill.ordered",
            subject=f"attachments/{wanted.attachment}",
            at=wanted.ordered_at,
            backfill=wanted.backfill,
            from_day=wanted.days[0].isoformat() if wanted.days else "",
            to_day=wanted.days[1].isoformat() if wanted.days else "",
            named=len(wanted.study_instance_uids),
        )
        return wanted


def _days(from_day: str, to_day: str) -> tuple[date, date] | None:
    if not from_day and not to_day:
        return None
    first, last = _day(from_day, "from_day"), _day(to_day, "to_day")
    if last < first:
        raise InvalidRequestError(f"{to_day} is before {from_day}")
    return first, last


def _day(text: str, field: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidRequestError(f"{field} must be a day such as 2026-03-01, not {text!r}") from error


@dataclass(frozen=True, slots=True)
class ReadBackfills:
    """Backfills, and how far they have come."""

    store: Store

    async def __call__(self, *, limit: int) -> Sequence[Backfill]:
        """Return the newest backfills."""
        return await self.store.read(lambda transaction: transaction.backfills.newest(limit=page_size(limit)))


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceBackfills:
    """Hand on the next studies of every backfill whose attachment has room.

    Attributes:
        store: Transactions.
        clock: Time.
        backlog: How many studies and jobs may wait, so that what arrives now never waits for what is old.
    """

    store: Store
    clock: Clock
    backlog: int

    async def __call__(self) -> int:
        """Take one step of each; return how many backfills went on."""
        unfinished = await self.store.read(lambda transaction: transaction.backfills.unfinished())
        moved = 0
        for backfill in unfinished:
            moved += await self.store.transact(partial(self._advance, name=backfill.backfill))
        return moved

    def _advance(self, transaction: Transaction, *, name: str) -> bool:
        """Hand on and remember the position in one transaction, so that a crash neither skips nor counts twice."""
        now = self.clock.now()
        backfill = transaction.backfills.find(name)
        if backfill is None or backfill.ended_at is not None:
            return False
        attachment = transaction.registry.attachment(backfill.attachment)
        room = self.backlog - transaction.backfills.backlog(backfill.attachment, now=now)
        if attachment is None or room <= 0:
            return False
        names = transaction.backfills.next_studies(backfill, limit=min(room, _AT_ONCE))
        handed_on = sum(_hand_on(transaction, backfill, attachment, study, now) for study in names)
        crash.point("router.before_backfill")
        transaction.backfills.save(
            replace(
                backfill,
                position=names[-1] if names else backfill.position,
                handed_on=backfill.handed_on + handed_on,
                ended_at=None if names else now,
            )
        )
        return True


def _hand_on(transaction: Transaction, backfill: Backfill, attachment: Attachment, name: str, now: datetime) -> bool:
    study = transaction.studies.lock(name)
    if study is None:
        return False
    if not attachment.looks_at(organisation=study.organisation, archives=transaction.studies.locations(name)):
        return False
    transaction.backfills.hand_on(backfill, name)
    if study.state is StudyState.CLOSED and study.due_at is None:
        transaction.studies.save(replace(study, due_at=now))
    return True
