"""The change feed of Orthanc: a sequence of numbered changes.

Seen of 1.10.1: an instance deleted takes its changes with it, so a hole proves nothing; a sequence that ends before the
number we know, or another change under that number, is another database.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, TypeVar

import httpx
import structlog
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from study_router.adapters.asking import ask, malformed, unavailable
from study_router.domain.studies import Touched
from study_router.domain.uids import is_uid
from study_router.ports import Page
from udckit.clock import Clock

_PAGE: Final = 1000
_TIMEOUT_S: Final = 30.0

T = TypeVar("T")
_Number = Annotated[int, Field(ge=0, lt=2**63)]

log: Final = structlog.get_logger()


class _Change(BaseModel):
    number: _Number = Field(alias="Seq")
    kind: str = Field(alias="ChangeType")
    resource: str = Field(alias="ID")
    date: str = Field(alias="Date")

    @property
    def fingerprint(self) -> str:
        return f"{self.kind}|{self.resource}|{self.date}"


class _Changes(BaseModel):
    changes: list[_Change] = Field(alias="Changes")
    last: _Number = Field(alias="Last")
    is_done: bool = Field(alias="Done")


class _Study(BaseModel):
    resource: str = Field(alias="ID")
    tags: dict[str, str] = Field(alias="MainDicomTags")


class _Series(BaseModel):
    study: str = Field(alias="ParentStudy")
    instances: list[str] = Field(alias="Instances")
    tags: dict[str, str] = Field(alias="MainDicomTags")


_CHANGES: Final = TypeAdapter(_Changes)
_STUDIES: Final = TypeAdapter(list[_Study])
_SERIES: Final = TypeAdapter(list[_Series])


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
        answer = await self._ask(_CHANGES, "GET", f"/changes?since={since}&limit={_PAGE}")
        if known.sequence and not self._continues(known, answer):
            # Where another database ends now; whoever reconciles after this sees everything up to there.
            newest = (await self._ask(_CHANGES, "GET", "/changes?last")).changes
            start = Cursor(newest[-1].number, newest[-1].fingerprint) if newest else Cursor()
            return Page((), str(start), is_last=False, is_broken=True)
        new = [change for change in answer.changes if change.number > known.sequence]
        touched = await self._touched([change for change in new if change.kind == "NewInstance"])
        if new:
            known = Cursor(new[-1].number, new[-1].fingerprint)
        elif not answer.is_done:
            raise malformed(self._archive, "it tells of more changes and shows none")
        return Page(touched, str(known), is_last=answer.is_done)

    @staticmethod
    def _continues(known: Cursor, answer: _Changes) -> bool:
        if answer.last < known.sequence:
            return False
        first = next((change for change in answer.changes if change.number == known.sequence), None)
        return first is None or first.fingerprint == known.fingerprint

    async def _touched(self, changes: Sequence[_Change]) -> tuple[Touched, ...]:
        if not changes:
            return ()
        wanted = {"Resources": [change.resource for change in changes]}
        series = await self._ask(_SERIES, "POST", "/tools/bulk-content", {**wanted, "Level": "Series"})
        studies = {
            study.resource: study.tags.get("StudyInstanceUID", "")
            for study in await self._ask(_STUDIES, "POST", "/tools/bulk-content", {**wanted, "Level": "Study"})
        }
        arrived = {change.resource: self._arrived_at(change.date) for change in changes}
        touched: list[Touched] = []
        for item in series:
            times = [arrived[instance] for instance in item.instances if instance in arrived]
            if times and item.study in studies:
                uids = studies[item.study], item.tags.get("SeriesInstanceUID", "")
                if all(is_uid(uid) for uid in uids):
                    touched.append(Touched(*uids, max(times)))
                else:
                    # Nothing can be asked for by it; what else came must not suffer.
                    log.warning("archive.uid_unusable", archive=self._archive)
        return tuple(touched)

    def _arrived_at(self, text: str) -> datetime:
        now = self._clock.now()
        try:
            told = datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            return now
        return told if now - told > self._tolerance else now

    async def _ask(self, form: TypeAdapter[T], method: str, path: str, content: Mapping[str, Any] | None = None) -> T:
        answer = await ask(
            self._client,
            method,
            f"{self._root}{path}",
            archive=self._archive,
            timeout_s=_TIMEOUT_S,
            json=content,
        )
        if not answer.is_success:
            raise unavailable(self._archive, f"status {answer.status}")
        try:
            return form.validate_json(answer.content)
        except ValidationError as error:
            [first, *_] = error.errors(include_url=False, include_context=False, include_input=False)
            where = ".".join(str(part) for part in first["loc"])
            raise malformed(self._archive, f"{where or 'the whole'}: {first['type']}") from None
