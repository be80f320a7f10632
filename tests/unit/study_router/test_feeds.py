"""What the feeds make of what archives answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from study_router.adapters.orthanc import OrthancFeed
from udckit.errors import UpstreamUnavailableError

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Noon:
    def now(self) -> datetime:
        return NOW


@dataclass
class ScriptedOrthanc:
    """Answers as Orthanc 1.10.1 was seen to."""

    changes: list[dict[str, Any]] = field(default_factory=list)
    series: dict[str, tuple[str, str]] = field(default_factory=dict)
    last: int | None = None

    def arrive(self, instance: str, *, study: str, series: str, at: datetime = NOW) -> None:
        number = self.changes[-1]["Seq"] + 1 if self.changes else 1
        date = at.strftime("%Y%m%dT%H%M%S")
        self.changes.append({"Seq": number, "ChangeType": "NewInstance", "ID": instance, "Date": date})
        self.series[instance] = (study, series)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/changes":
            return httpx.Response(200, json=self._changes(request))
        wanted = json.loads(request.content)
        of_series: dict[tuple[str, str], list[str]] = {}
        for instance in self.series:
            of_series.setdefault(self.series[instance], []).append(instance)
        if wanted["Level"] == "Study":
            studies = sorted({study for study, _ in of_series})
            return httpx.Response(
                200, json=[{"ID": uid, "MainDicomTags": {"StudyInstanceUID": uid}} for uid in studies]
            )
        content = [
            {"ParentStudy": study, "MainDicomTags": {"SeriesInstanceUID": series}, "Instances": instances}
            for (study, series), instances in of_series.items()
        ]
        return httpx.Response(200, json=content)

    def _changes(self, request: httpx.Request) -> Mapping[str, Any]:
        last = self.last if self.last is not None else (self.changes[-1]["Seq"] if self.changes else 0)
        if "last" in request.url.params:
            return {"Changes": self.changes[-1:], "Last": last, "Done": True}
        since, limit = int(request.url.params["since"]), int(request.url.params["limit"])
        following = [change for change in self.changes if change["Seq"] > since]
        page = following[:limit]
        return {"Changes": page, "Last": page[-1]["Seq"] if page else last, "Done": len(page) == len(following)}

    def feed(self) -> OrthancFeed:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        return OrthancFeed(client, "http://archive", archive="hospital", clock=Noon(), tolerance_s=120.0)


async def test_a_page_names_each_touched_series_once() -> None:
    orthanc = ScriptedOrthanc()
    for number in range(5):
        orthanc.arrive(f"i{number}", study="1.2", series="1.2.3")
    page = await orthanc.feed().read("")
    assert [(item.study_instance_uid, item.series_instance_uid) for item in page.touched] == [("1.2", "1.2.3")]
    assert page.is_last
    assert (await orthanc.feed().read(page.cursor)).touched == ()


async def test_only_what_is_new_is_touched_afterwards() -> None:
    orthanc = ScriptedOrthanc()
    orthanc.arrive("a", study="1.2", series="1.2.3")
    cursor = (await orthanc.feed().read("")).cursor
    orthanc.arrive("b", study="1.2", series="1.2.4")
    page = await orthanc.feed().read(cursor)
    assert [item.series_instance_uid for item in page.touched] == ["1.2.4"]


async def test_what_came_while_nobody_looked_keeps_its_time_and_what_comes_now_has_ours() -> None:
    orthanc = ScriptedOrthanc()
    yesterday = NOW - timedelta(days=1)
    orthanc.arrive("a", study="1.2", series="1.2.3", at=yesterday)
    orthanc.arrive("b", study="1.2", series="1.2.4", at=NOW - timedelta(seconds=60))
    orthanc.arrive("c", study="1.2", series="1.2.5", at=NOW + timedelta(hours=5))
    page = await orthanc.feed().read("")
    times = {item.series_instance_uid: item.arrived_at for item in page.touched}
    assert times == {"1.2.3": yesterday, "1.2.4": NOW, "1.2.5": NOW}


async def test_a_sequence_that_went_back_is_another_database() -> None:
    orthanc = ScriptedOrthanc()
    for number in range(5):
        orthanc.arrive(f"i{number}", study="1.2", series="1.2.3")
    cursor = (await orthanc.feed().read("")).cursor
    fresh = ScriptedOrthanc()
    fresh.arrive("x", study="1.9", series="1.9.1")
    page = await fresh.feed().read(cursor)
    assert page.is_broken
    again = await fresh.feed().read(page.cursor)
    assert (again.is_broken, again.touched) == (False, ())


async def test_the_same_number_for_another_change_is_another_database() -> None:
    orthanc = ScriptedOrthanc()
    orthanc.arrive("a", study="1.2", series="1.2.3")
    cursor = (await orthanc.feed().read("")).cursor
    other = ScriptedOrthanc()
    other.arrive("z", study="1.9", series="1.9.1")
    other.arrive("y", study="1.9", series="1.9.1")
    assert (await other.feed().read(cursor)).is_broken


async def test_a_change_that_vanished_with_a_deleted_instance_proves_nothing() -> None:
    orthanc = ScriptedOrthanc()
    for number in range(3):
        orthanc.arrive(f"i{number}", study="1.2", series="1.2.3")
    cursor = (await orthanc.feed().read("")).cursor
    orthanc.arrive("later", study="1.2", series="1.2.4")
    orthanc.changes = [change for change in orthanc.changes if change["ID"] != "i2"]
    page = await orthanc.feed().read(cursor)
    assert not page.is_broken
    assert [item.series_instance_uid for item in page.touched] == ["1.2.4"]


@pytest.mark.parametrize("status", [401, 500, 503])
async def test_an_archive_that_answers_with_an_error_is_away(status: int) -> None:
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(status)))
    feed = OrthancFeed(client, "http://archive", archive="hospital", clock=Noon(), tolerance_s=1.0)
    with pytest.raises(UpstreamUnavailableError):
        await feed.read("")
