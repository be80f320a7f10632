"""Follows the feeds of archives: what was touched, and how far a feed was read."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from study_router.domain.registry import Archive
from study_router.domain.studies import (
    Touched,
)
from study_router.ports import Connectors, Store, Transaction
from study_router.usecases.listing import studies_held
from udckit import crash
from udckit.clock import Clock

_STUDIES_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowFeed:
    """Reads an archive's feed page by page; what was touched and how far it was read become durable together.

    Attributes:
        store: Transactions.
        connectors: Access to archives.
        clock: Time.
        pause_s: How long nothing must come to a series before its metadata are read.
        sweep_every_s: How often everything is compared, to find what left no change behind, such as deletions.
    """

    store: Store
    connectors: Connectors
    clock: Clock
    pause_s: float
    sweep_every_s: float

    async def __call__(self, archive: Archive) -> bool:
        """Read one page; say whether more is waiting.

        Raises:
            UpstreamUnavailableError: the archive is away; nothing is lost, call again.
        """
        name = archive.archive
        cursor = await self.store.read(lambda transaction: transaction.intake.cursor(name))
        feed = await self.connectors.feed(archive)
        page = await feed.read(cursor)
        now = self.clock.now()
        if page.is_broken:
            await self.reconcile(archive)
        crash.point("router.before_cursor")
        if page.touched or page.cursor != cursor:
            await self.store.transact(partial(self._note, name=name, touched=page.touched, cursor=page.cursor, now=now))
        if page.is_last and await self._is_sweep_due(name, now):
            await self.reconcile(archive)
        return not page.is_last

    def _note(
        self, transaction: Transaction, *, name: str, touched: Collection[Touched], cursor: str, now: datetime
    ) -> None:
        transaction.intake.touch(name, touched, now=now, pause_s=self.pause_s)
        transaction.intake.move_cursor(name, cursor)

    async def _is_sweep_due(self, name: str, now: datetime) -> bool:
        swept_at = await self.store.read(lambda transaction: transaction.intake.swept_at(name))
        if swept_at is None:
            await self.store.transact(lambda transaction: transaction.intake.note_sweep(name, now))
            return False
        return now - swept_at >= timedelta(seconds=self.sweep_every_s)

    async def reconcile(self, archive: Archive) -> int:
        """Compare everything that the archive holds with what is known; return how many studies differ.

        Raises:
            ListingCutError: the archive does not show all its studies.
            UpstreamUnavailableError: the archive is away.
        """
        name = archive.archive
        connector = await self.connectors.connector(archive)
        held = await studies_held(connector, name, None)
        different = await self._different(name, held)
        now = self.clock.now()
        for uid in different:
            series = set(await connector.counts(uid)) if uid in held else set()
            known = await self.store.read(partial(_series_of, archive=name, study_instance_uid=uid))
            touched = [Touched(uid, series_uid, now) for series_uid in sorted(series | set(known))]
            await self.store.transact(partial(self._touch, name=name, touched=touched, now=now))
        await self.store.transact(lambda transaction: transaction.intake.note_sweep(name, now))
        return len(different)

    def _touch(self, transaction: Transaction, *, name: str, touched: Collection[Touched], now: datetime) -> None:
        transaction.intake.touch(name, touched, now=now, pause_s=0.0)

    async def _different(self, name: str, held: Mapping[str, int]) -> Sequence[str]:
        different: list[str] = []
        uids = sorted(held)
        for start in range(0, len(uids), _STUDIES_AT_ONCE):
            chunk = uids[start : start + _STUDIES_AT_ONCE]
            counts = await self.store.read(partial(_counts, archive=name, uids=chunk))
            different.extend(uid for uid in chunk if counts.get(uid, 0) != held[uid])
        after = ""
        while known := await self.store.read(partial(_study_uids, archive=name, after=after)):
            gone = [uid for uid in known if uid not in held]
            counts = await self.store.read(partial(_counts, archive=name, uids=gone))
            different.extend(uid for uid in gone if counts.get(uid, 0))
            after = known[-1]
        return different


def _series_of(transaction: Transaction, *, archive: str, study_instance_uid: str) -> Sequence[str]:
    return transaction.intake.series_of(archive, study_instance_uid)


def _counts(transaction: Transaction, *, archive: str, uids: Sequence[str]) -> Mapping[str, int]:
    return transaction.intake.counts(archive, uids)


def _study_uids(transaction: Transaction, *, archive: str, after: str) -> Sequence[str]:
    return transaction.intake.study_uids(archive, after=after, limit=_STUDIES_AT_ONCE)
