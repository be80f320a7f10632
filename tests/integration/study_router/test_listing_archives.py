"""What archives answer to queries for studies: a real one, the scripted one and the played one alike, and odd ones."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import httpx
import pytest

from integration.study_router.images import write_image
from integration.study_router.routing import PlayedArchive, slice_header
from integration.study_router.scripted_archive import Entry, ScriptedArchive, serving
from study_router.adapters.dicomweb import DicomWeb
from study_router.domain.listings import Span
from study_router.ports import ArchiveConnector
from study_router.usecases.listing import ListingCutError, list_span, studies_held
from udckit.errors import UpstreamUnavailableError
from udckit.testing import Orthanc

pytestmark = pytest.mark.connected

DAY = date(2026, 3, 1)
WHOLE_DAY = Span(DAY, DAY)
HELD = {
    "1.2.1": Entry("20260228", "235959", {"1.2.1.1": 1}),
    "1.2.2": Entry("20260301", "000000", {"1.2.2.1": 2}),
    "1.2.3": Entry("20260301", "115959.500000", {"1.2.3.1": 1, "1.2.3.2": 2}),
    "1.2.4": Entry("20260301", "235959.900000", {"1.2.4.1": 1}),
    "1.2.5": Entry("20260302", "101500", {"1.2.5.1": 1}),
    "1.2.6": Entry("", "", {"1.2.6.1": 1}),
}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
def scripted() -> Iterator[ScriptedArchive]:
    with serving(ScriptedArchive()) as archive:
        yield archive


@pytest.fixture(params=["orthanc", "scripted", "played"])
async def connector(
    request: pytest.FixtureRequest, tmp_path: Path, client: httpx.AsyncClient
) -> AsyncIterator[ArchiveConnector]:
    """An archive that holds ``HELD``."""
    if request.param == "played":
        played = PlayedArchive()
        for uid, entry in HELD.items():
            for series, count in entry.series.items():
                headers = [slice_header(number, series=series) for number in range(1, count + 1)]
                played.put(uid, headers, day=entry.day)
            played.times[uid] = entry.time
        yield played
    elif request.param == "scripted":
        with serving(ScriptedArchive(held=dict(HELD))) as archive:
            yield DicomWeb(client, archive.url, archive="hospital")
    else:
        async with Orthanc(tmp_path / "orthanc") as orthanc:
            paths = [
                write_image(
                    tmp_path / f"{series}.{number}.dcm", study=uid, series=series, day=entry.day, time=entry.time
                )
                for uid, entry in HELD.items()
                for series, count in entry.series.items()
                for number in range(1, count + 1)
            ]
            await orthanc.store(paths)
            client.auth = httpx.BasicAuth(*orthanc.credentials)
            yield DicomWeb(client, orthanc.dicomweb_url, archive="hospital")
            orthanc.kill()


async def names(connector: ArchiveConnector, span: Span | None) -> list[str]:
    return sorted((await list_span(connector, span)).studies)


async def test_days_hours_and_everything_select_the_same_of_every_archive(connector: ArchiveConnector) -> None:
    assert await names(connector, WHOLE_DAY) == ["1.2.2", "1.2.3", "1.2.4"]
    assert await names(connector, Span(date(2026, 2, 27), date(2026, 3, 2))) == [f"1.2.{n}" for n in range(1, 6)]
    halves = WHOLE_DAY.halves()
    assert halves is not None
    morning, evening = [set(await names(connector, half)) for half in halves]
    assert (morning - {"1.2.3"}, evening) == ({"1.2.2"}, {"1.2.3", "1.2.4"})
    assert await names(connector, None) == sorted(HELD)
    assert await names(connector, Span(date(2025, 1, 1), date(2025, 1, 2))) == []


async def test_every_archive_gives_pages_and_an_end(connector: ArchiveConnector) -> None:
    pages = [await connector.studies(None, offset=offset, limit=4) for offset in (0, 4, 6)]
    assert [len(page.studies) for page in pages] == [4, 2, 0]
    assert {study.study_instance_uid for page in pages for study in page.studies} == set(HELD)


async def test_every_archive_tells_numbers_and_times(connector: ArchiveConnector) -> None:
    study = (await list_span(connector, WHOLE_DAY)).studies["1.2.3"]
    assert (study.fingerprint.instances, study.fingerprint.series, study.fingerprint.modalities) == (3, 2, ("CT",))
    assert (study.moment.day, study.moment.second) == (DAY, 43_199)
    assert await connector.counts("1.2.3") == {"1.2.3.1": 1, "1.2.3.2": 2}
    assert await connector.counts("1.2.9") == {}


async def test_every_archive_finds_the_named_studies_that_it_holds(connector: ArchiveConnector) -> None:
    found = await connector.named(["1.2.1", "1.2.6", "1.2.9"])
    assert {uid: study.instances for uid, study in found.items()} == {"1.2.1": 1, "1.2.6": 1}
    assert await connector.named(["1.2.9"]) == {}


def many(count: int) -> dict[str, Entry]:
    """Return studies over the day, eight to a minute in the morning."""
    return {
        f"1.2.{number}": Entry("20260301", f"{8 + number // 480:02d}{number // 8 % 60:02d}{number % 8:02d}", {"1": 1})
        for number in range(count)
    }


@pytest.mark.parametrize(
    "difficulty",
    [
        {"most": 100},
        {"most": 128, "warns": True},
        {"page": 7},
        {"page": 50, "ignores_offset": True},
        {"ignores_offset": True},
        {"refuses_over": 40},
        {"most": 37, "warns": True},
        {"page": 100, "warns": True},
    ],
    ids=str,
)
async def test_no_study_is_hidden_by_how_an_archive_limits_its_answers(
    scripted: ScriptedArchive, client: httpx.AsyncClient, difficulty: dict[str, int]
) -> None:
    scripted.held = many(523)
    for name, value in difficulty.items():
        setattr(scripted, name, value)
    held = await studies_held(DicomWeb(client, scripted.url, archive="hospital"), "hospital", WHOLE_DAY)
    assert held == dict.fromkeys(scripted.held, 1)


async def test_an_archive_that_does_not_select_by_time_cannot_be_split(
    scripted: ScriptedArchive, client: httpx.AsyncClient
) -> None:
    scripted.held, scripted.most, scripted.ignores_time = many(523), 100, True
    with pytest.raises(ListingCutError, match=r"hospital .* has to select by Study Date and Study Time"):
        await studies_held(DicomWeb(client, scripted.url, archive="hospital"), "hospital", WHOLE_DAY)


async def test_an_archive_without_lists_is_asked_for_each_study(
    scripted: ScriptedArchive, client: httpx.AsyncClient
) -> None:
    scripted.held, scripted.ignores_lists = dict(HELD), True
    found = await DicomWeb(client, scripted.url, archive="hospital").named(["1.2.1", "1.2.6", "1.2.9"])
    assert sorted(found) == ["1.2.1", "1.2.6"]


@pytest.mark.parametrize("status", [202, 404, 500, 503])
async def test_an_archive_that_has_no_answer_is_away_and_not_empty(
    scripted: ScriptedArchive, client: httpx.AsyncClient, status: int
) -> None:
    scripted.held, scripted.next_statuses = dict(HELD), [status]
    archive = DicomWeb(client, scripted.url, archive="hospital")
    with pytest.raises(UpstreamUnavailableError, match=str(status)):
        await list_span(archive, WHOLE_DAY)
    assert len((await list_span(archive, WHOLE_DAY)).studies) == 3


async def test_a_part_of_an_answer_is_a_cut_one(scripted: ScriptedArchive, client: httpx.AsyncClient) -> None:
    scripted.held = {uid: replace(entry, day="20260301", time="101500") for uid, entry in HELD.items()}
    scripted.refuses_over = 3
    with pytest.raises(ListingCutError, match="raise its limit"):
        await studies_held(DicomWeb(client, scripted.url, archive="hospital"), "hospital", WHOLE_DAY)
