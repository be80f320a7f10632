"""Follows archives that only answer queries: what they show is compared with what they showed before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from functools import partial
from typing import Final

from study_router.domain.listings import Fingerprint, ListedStudy, Span
from study_router.domain.registry import Archive
from study_router.domain.studies import Touched
from study_router.domain.sweeps import Reach, Sweep, Tier, is_covered
from study_router.ports import ArchiveConnector, Connectors, Store, Transaction
from study_router.usecases.listing import PAGE, ListingCutError, list_span, smaller
from udckit import crash
from udckit.clock import Clock
from udcmodel.ids import derive

_NAMED_AT_ONCE: Final = 50
_IN_ONE_TRANSACTION: Final = 20
_CHANGED_AT_ONCE: Final = 200
"""A step ends after so many changed studies, so that what was done is durable and a lost lease is noticed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepArchive:
    """Takes one step of a sweep: a day or a part of it, or a page. What was found and how far it came are durable.

    Attributes:
        store: Transactions.
        connectors: Access to archives.
        clock: Time.
        tiers: The table of sweeps.
        zone: Time zone of the region.
        pause_s: How long nothing must come to a series before its metadata are read.
    """

    store: Store
    connectors: Connectors
    clock: Clock
    tiers: Sequence[Tier]
    zone: tzinfo
    pause_s: float

    async def __call__(self, archive: Archive, tier: Tier) -> bool:
        """Take a step of the tier's sweep, if one goes on or is due; say whether more is waiting.

        Raises:
            ListingCutError: the archive hides studies; the sweep goes on with the next step.
            UpstreamUnavailableError: the archive is away; the same step is taken at the next call.
        """
        name = archive.archive
        sweeps = await self.store.read(lambda transaction: transaction.sweeps.of(name))
        sweep = sweeps.get(tier.name, Sweep(archive=name, tier=tier.name))
        now = self.clock.now()
        if not sweep.is_running:
            if sweep.began_at is not None and now < tier.next_at(sweep.began_at, self.zone):
                return False
            sweep = replace(
                sweep,
                began_at=now,
                is_running=True,
                # Today is looked at first.
                spans=tier.window(now, self.zone).days() if tier.reach is Reach.DATED else (),
                mark="",
                problem="",
            )
        connector = await self.connectors.connector(archive)
        step = _Step(self, connector, sweep, tier, sweeps, now)
        match tier.reach:
            case Reach.OPEN:
                return await step.look_at_open()
            case Reach.DATED:
                return await step.look_at_span()
            case Reach.UNDATED:
                return await step.look_at_page()


@dataclass(frozen=True, slots=True)
class _Step:
    """One step of a sweep that goes on."""

    use: SweepArchive
    connector: ArchiveConnector
    sweep: Sweep
    tier: Tier
    sweeps: Mapping[str, Sweep]
    now: datetime

    @property
    def archive(self) -> str:
        return self.sweep.archive

    async def look_at_open(self) -> bool:
        uids = await self.use.store.read(
            lambda transaction: transaction.sweeps.open_studies(
                self.archive, after=self.sweep.mark, limit=_NAMED_AT_ONCE
            )
        )
        await self._look_at_named(uids)
        return await self._move_on(replace(self.sweep, mark=uids[-1] if uids else ""), is_done=not uids)

    async def look_at_span(self) -> bool:
        *rest, span = self.sweep.spans
        listing = await list_span(self.connector, span)
        seen = [study for study in listing.studies.values() if span.may_answer(study.moment)]
        is_new_since = is_covered(span, self.use.tiers, self.sweeps, now=self.now, zone=self.use.zone)
        if not await self._take(seen, is_new_since=is_new_since):
            # What is left of the span differs at the next step still.
            await self._move_on(self.sweep, is_done=False)
            return True
        if listing.is_whole:
            await self._forget_gone(span, listing.studies)
        try:
            pieces = smaller(self.archive, span, listing)
        except ListingCutError as error:
            await self._move_on(replace(self.sweep, spans=tuple(rest), problem=error.message), is_done=not rest)
            raise
        spans = (*rest, *pieces)
        return await self._move_on(replace(self.sweep, spans=spans), is_done=not spans)

    async def look_at_page(self) -> bool:
        """Look at a page of everything; the mark is how far that is, and what the page before was."""
        offset, _, before = self.sweep.mark.partition(" ")
        page = await self.connector.studies(None, offset=int(offset or 0), limit=PAGE)
        these = str(derive("page", *sorted(study.study_instance_uid for study in page.studies)))
        if page.studies and these != before:
            window = self._widest()
            undated = [
                study
                for study in page.studies
                if not study.moment.is_found_by_time and (window is None or window.may_answer(study.moment))
            ]
            while not await self._take(undated, is_new_since=self.sweep.completed_at is not None):
                pass
            mark = f"{int(offset or 0) + len(page.studies)} {these}"
            return await self._move_on(replace(self.sweep, mark=mark), is_done=False)
        await self._look_at_undated()
        is_cut = page.says_more or len(page.studies) == PAGE
        if not is_cut:
            return await self._move_on(self.sweep, is_done=True)
        error = ListingCutError(
            f"archive {self.archive} does not show all its studies when asked for all; name those without Study Date or"
            " Study Time with udc study submit",
            archive=self.archive,
        )
        await self._move_on(replace(self.sweep, problem=error.message), is_done=True)
        raise error

    async def _look_at_undated(self) -> None:
        """Look for studies without a time that are there no longer."""
        after = ""
        while uids := await self.use.store.read(partial(_without_time, archive=self.archive, after=after)):
            await self._look_at_named(uids)
            after = uids[-1]

    async def _look_at_named(self, uids: Sequence[str]) -> None:
        if not uids:
            return
        found = await self.connector.named(uids)
        await self._take(list(found.values()), is_new_since=True)
        await self._forget([uid for uid in uids if uid not in found])

    async def _move_on(self, sweep: Sweep, *, is_done: bool) -> bool:
        if is_done:
            sweep = replace(sweep, is_running=False, completed_at=self.now, spans=(), mark="")
        window = self._widest()

        def note(transaction: Transaction) -> None:
            transaction.sweeps.save(sweep)
            if is_done and window is not None and window == self._window():
                # Nobody looks at what was made before.
                transaction.sweeps.forget_before(self.archive, window.first)

        crash.point("router.before_sweep")
        await self.use.store.transact(note)
        return not is_done

    def _window(self) -> Span | None:
        """Return the days that this sweep looks at; None when it does not go by date."""
        return self.tier.window(self.now, self.use.zone) if self.tier.reach is Reach.DATED else None

    def _widest(self) -> Span | None:
        """Return all days that are looked at; None when no sweep goes by date."""
        windows = [tier.window(self.now, self.use.zone) for tier in self.use.tiers if tier.reach is Reach.DATED]
        return min(windows, key=lambda window: window.first, default=None)

    async def _take(self, seen: Sequence[ListedStudy], *, is_new_since: bool) -> bool:
        """Touch what is not as it was; say whether all of it was looked at."""
        told = [await self._with_instances(study) for study in seen]
        uids = [study.study_instance_uid for study in told]
        known = await self.use.store.read(lambda transaction: transaction.sweeps.fingerprints(self.archive, uids))
        changed = [study for study in told if known.get(study.study_instance_uid) != study.fingerprint]
        now_taken = changed[:_CHANGED_AT_ONCE]
        for start in range(0, len(now_taken), _IN_ONE_TRANSACTION):
            chunk = now_taken[start : start + _IN_ONE_TRANSACTION]
            held = {study.study_instance_uid: await self.connector.counts(study.study_instance_uid) for study in chunk}
            await self.use.store.transact(
                partial(self._note, chunk=chunk, held=held, known=known, is_new_since=is_new_since)
            )
        return len(now_taken) == len(changed)

    async def _with_instances(self, study: ListedStudy) -> ListedStudy:
        """Count the instances of a study where the archive does not tell how many there are."""
        if study.fingerprint.instances is not None:
            return study
        held = await self.connector.counts(study.study_instance_uid)
        counted = replace(study.fingerprint, instances=sum(held.values()), series=len(held))
        return replace(study, fingerprint=counted)

    def _note(
        self,
        transaction: Transaction,
        *,
        chunk: Sequence[ListedStudy],
        held: Mapping[str, Mapping[str, int]],
        known: Mapping[str, Fingerprint],
        is_new_since: bool,
    ) -> None:
        for study in chunk:
            uid = study.study_instance_uid
            indexed = transaction.intake.series_of(self.archive, uid)
            series = differing_series(transaction, self.archive, held=held[uid], indexed=indexed)
            before = known.get(uid)
            if not series and before is not None and before.instances == study.fingerprint.instances:
                # As many instances as before, and yet another study.
                series = sorted({*held[uid], *indexed})
            is_history = not is_new_since and not indexed
            arrived_at = self._made_at(study) if is_history else self.now
            touched = [Touched(uid, item, arrived_at) for item in series]
            transaction.intake.touch(self.archive, touched, now=self.now, pause_s=self.use.pause_s)
        transaction.sweeps.keep(self.archive, chunk)

    def _made_at(self, study: ListedStudy) -> datetime:
        """Return when a study came that was there before anybody looked: about when it was made."""
        first_look = self.sweep.began_at or self.now
        return min(study.moment.latest(self.use.zone) or first_look, self.now)

    async def _forget_gone(self, span: Span, listed: Mapping[str, ListedStudy]) -> None:
        seen = await self.use.store.read(lambda transaction: transaction.sweeps.seen_in(self.archive, span))
        await self._forget([uid for uid in seen if uid not in listed])

    async def _forget(self, uids: Sequence[str]) -> None:
        """Have studies read again that are not shown any more: the archive lacks them, or shows them elsewhere."""

        def forget(transaction: Transaction) -> None:
            for uid in uids:
                touched = [Touched(uid, item, self.now) for item in transaction.intake.series_of(self.archive, uid)]
                transaction.intake.touch(self.archive, touched, now=self.now, pause_s=self.use.pause_s)
            transaction.sweeps.forget(self.archive, uids)

        if uids:
            await self.use.store.transact(forget)


def differing_series(
    transaction: Transaction, archive: str, *, held: Mapping[str, int], indexed: Sequence[str]
) -> Sequence[str]:
    """Return the series of a study of which the archive holds more or fewer instances than the index knows."""
    known = transaction.intake.series_counts(archive, {*held, *indexed})
    return sorted(series for series in {*held, *indexed} if held.get(series, 0) != known.get(series, 0))


def _without_time(transaction: Transaction, *, archive: str, after: str) -> Sequence[str]:
    return transaction.sweeps.seen_without_time(archive, after=after, limit=_NAMED_AT_ONCE)
