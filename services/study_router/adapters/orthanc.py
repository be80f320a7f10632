"""The change feed of Orthanc: a sequence of numbered changes.

Seen of 1.10.1: an instance deleted takes its changes with it, so a hole proves nothing; a sequence that ends before the
number we know, or another change under that number, is another database.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx

from study_router.adapters.dicomweb import unavailable
from study_router.domain.studies import Touched
from study_router.ports import Page
from udckit.clock import Clock

_PAGE: Final = 1000
_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the feed was read: the last change, and what it was."""

    sequence: int = 0
    fingerprint: str = ""

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read what ``str`` wrote; empty is the beginning."""
        if not text:
            return cls()
        value = json.loads(text)
        return cls(value["sequence"], value["fingerprint"])

    def __str__(self) -> str:
        return json.dumps({"sequence": self.sequence, "fingerprint": self.fingerprint})


class OrthancFeed:
    """``ports.Feed`` by ``/changes``.

    Args:
        client: With credentials.
        root: Root of Orthanc's own API.
        archive: Its id, for errors.
        clock: Time.
        tolerance_s: A change that is older by the archive's clock came while nobody looked, and keeps its time; of
            newer ones our own clock says when they came.
    """

    def __init__(self, client: httpx.AsyncClient, root: str, *, archive: str, clock: Clock, tolerance_s: float) -> None:
        self._client = client
        self._root = root.rstrip("/")
        self._archive = archive
        self._clock = clock
        self._tolerance = timedelta(seconds=tolerance_s)

    async def read(self, cursor: str) -> Page:
        """Return what changed after ``cursor``; empty asks for the beginning."""
        known = Cursor.parse(cursor)
        # One number of overlap: the change we know must still be the one we know.
        since = max(0, known.sequence - 1)
        answer = await self._ask("GET", f"/changes?since={since}&limit={_PAGE}")
        changes: Sequence[Mapping[str, Any]] = answer["Changes"]
        if known.sequence and not self._continues(known, changes, last=int(answer["Last"])):
            # Where another database ends now; whoever reconciles after this sees everything up to there.
            newest = (await self._ask("GET", "/changes?last"))["Changes"]
            start = Cursor(int(newest[-1]["Seq"]), _fingerprint(newest[-1])) if newest else Cursor()
            return Page((), str(start), is_last=False, is_broken=True)
        new = [change for change in changes if int(change["Seq"]) > known.sequence]
        touched = await self._touched([change for change in new if change["ChangeType"] == "NewInstance"])
        if new:
            known = Cursor(int(new[-1]["Seq"]), _fingerprint(new[-1]))
        return Page(touched, str(known), is_last=bool(answer["Done"]))

    @staticmethod
    def _continues(known: Cursor, changes: Sequence[Mapping[str, Any]], *, last: int) -> bool:
        if last < known.sequence:
            return False
        first = next((change for change in changes if int(change["Seq"]) == known.sequence), None)
        return first is None or _fingerprint(first) == known.fingerprint

    async def _touched(self, changes: Sequence[Mapping[str, Any]]) -> tuple[Touched, ...]:
        if not changes:
            return ()
        instances = [change["ID"] for change in changes]
        series = await self._bulk(instances, "Series")
        studies = {
            study["ID"]: study["MainDicomTags"]["StudyInstanceUID"] for study in await self._bulk(instances, "Study")
        }
        arrived = {change["ID"]: self._arrived_at(str(change["Date"])) for change in changes}
        touched: list[Touched] = []
        for item in series:
            times = [arrived[instance] for instance in item["Instances"] if instance in arrived]
            study = studies.get(item["ParentStudy"])
            if times and study is not None:
                touched.append(Touched(study, item["MainDicomTags"]["SeriesInstanceUID"], max(times)))
        return tuple(touched)

    def _arrived_at(self, text: str) -> datetime:
        now = self._clock.now()
        try:
            told = datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            return now
        return told if now - told > self._tolerance else now

    async def _bulk(self, instances: Sequence[str], level: str) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = await self._ask(
            "POST", "/tools/bulk-content", {"Resources": list(instances), "Level": level}
        )
        return found

    async def _ask(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> Any:
        try:
            response = await self._client.request(method, f"{self._root}{path}", json=content, timeout=_TIMEOUT_S)
        except httpx.HTTPError as error:
            raise unavailable(self._archive, type(error).__name__) from error
        if not response.is_success:
            raise unavailable(self._archive, f"status {response.status_code}")
        try:
            return response.json()
        except ValueError as error:
            raise unavailable(self._archive, "the answer is no JSON") from error


def _fingerprint(change: Mapping[str, Any]) -> str:
    return f"{change['ChangeType']}|{change['ID']}|{change['Date']}"
