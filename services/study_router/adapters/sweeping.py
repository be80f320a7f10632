"""A feed for archives that only answer QIDO-RS: everything is listed again and again, and what differs was touched.

QIDO has no "arrived since". The cursor holds a fingerprint (number of instances) of every study seen in the last
sweep, so a page is a whole sweep.
"""

import json
from typing import Final

from study_router.domain.studies import Touched
from study_router.ports import ArchiveConnector, Page
from udckit.clock import Clock

_PAGE: Final = 500


class SweepingFeed:
    """``ports.Feed`` by comparing what the archive lists with what it listed before."""

    def __init__(self, connector: ArchiveConnector, *, clock: Clock) -> None:
        self._connector = connector
        self._clock = clock

    async def read(self, cursor: str) -> Page:
        """Return what changed after ``cursor``; empty asks for everything."""
        known: dict[str, int] = json.loads(cursor) if cursor else {}
        listed: dict[str, int] = {}
        offset = 0
        while True:
            page = await self._connector.studies(offset=offset, limit=_PAGE)
            listed.update({study.study_instance_uid: study.instances for study in page})
            # A server may give fewer than asked for: only an empty page is the end.
            if not page:
                break
            offset += len(page)
        now = self._clock.now()
        touched: list[Touched] = []
        for uid in sorted(listed):
            if known.get(uid) != listed[uid]:
                series = await self._connector.counts(uid)
                touched.extend(Touched(uid, name, now) for name in sorted(series))
        return Page(tuple(touched), json.dumps(listed, sort_keys=True), is_last=True)
