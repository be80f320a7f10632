"""What an archive answers may be anything: it costs that archive a pause, and neither us nor the others anything."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from study_router.adapters.asking import MalformedAnswerError, ask
from study_router.adapters.dicomweb import DicomWeb
from study_router.adapters.headers import seen_instance
from study_router.adapters.orthanc import OrthancFeed
from study_router.domain.listings import Moment
from udckit.errors import InvalidRequestError, UpstreamUnavailableError

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CHANGE = {"Seq": 1, "ChangeType": "NewInstance", "ID": "i", "Date": "20260301T120000"}
PAGE = {"Changes": [CHANGE], "Last": 1, "Done": True}
STUDIES = [{"ID": "study", "MainDicomTags": {"StudyInstanceUID": "1.2"}}]
SERIES = [{"ParentStudy": "study", "MainDicomTags": {"SeriesInstanceUID": "1.2.3"}, "Instances": ["i"]}]
DEEP = b"[" * 100_000


class Noon:
    def now(self) -> datetime:
        return NOW


def client(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


def feed(*, changes: Any = PAGE, studies: Any = STUDIES, series: Any = SERIES) -> OrthancFeed:
    """Return the feed of an Orthanc that answers with these contents, of which bytes are sent as they are."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/changes":
            content = changes
        else:
            content = studies if json.loads(request.content)["Level"] == "Study" else series
        return httpx.Response(200, content=content if isinstance(content, bytes) else json.dumps(content).encode())

    return OrthancFeed(client(answer), "http://archive", archive="hospital", clock=Noon(), tolerance_s=120.0)


def dicomweb(content: bytes) -> DicomWeb:
    return DicomWeb(client(lambda _: httpx.Response(200, content=content)), "http://archive", archive="hospital")


async def test_the_feed_as_it_should_be_is_read() -> None:
    page = await feed().read("")
    assert [(item.study_instance_uid, item.series_instance_uid) for item in page.touched] == [("1.2", "1.2.3")]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        [],
        None,
        "text",
        b"<html>",
        b"",
        b"\xff\xfe",
        DEEP,
        {**PAGE, "Changes": {}},
        {**PAGE, "Changes": [1]},
        {**PAGE, "Changes": [{**CHANGE, "Seq": "many"}]},
        {**PAGE, "Changes": [{**CHANGE, "Seq": 2**64}]},
        {**PAGE, "Changes": [{**CHANGE, "Seq": -1}]},
        {**PAGE, "Changes": [{"Seq": 1}]},
        {**PAGE, "Changes": [{**CHANGE, "ID": ["i"]}]},
        {**PAGE, "Last": None},
        {**PAGE, "Changes": [], "Done": False},
    ],
    ids=lambda changes: repr(changes)[:40],
)
async def test_changes_of_another_shape_say_which_archive_answers_so(changes: Any) -> None:
    with pytest.raises(UpstreamUnavailableError, match="hospital"):
        await feed(changes=changes).read("")


@pytest.mark.parametrize("content", [{}, None, [1], [{"ID": "study"}], [{"MainDicomTags": 1}], b"{", DEEP], ids=repr)
async def test_resources_of_another_shape_say_which_archive_answers_so(content: Any) -> None:
    for kind in ("studies", "series"):
        with pytest.raises(UpstreamUnavailableError, match="hospital"):
            await feed(**{kind: content}).read("")


@pytest.mark.parametrize("uid", ["", "..", "1.2/../..", "1.2\x003", "1" * 65, "1.2?x=", "Иванов"])
async def test_a_uid_that_is_none_is_left_out_and_the_rest_is_read(uid: str) -> None:
    series = [*SERIES, {**SERIES[0], "MainDicomTags": {"SeriesInstanceUID": uid}}]
    page = await feed(series=series).read("")
    assert [item.series_instance_uid for item in page.touched] == ["1.2.3"]
    listed = [{"0020000D": {"Value": [value]}} for value in (uid, "1.2")]
    found = await dicomweb(json.dumps(listed).encode()).studies(None, offset=0, limit=10)
    assert [study.study_instance_uid for study in found.studies] == ["1.2"]
    counted = [{"0020000E": {"Value": [value]}, "00201209": {"Value": [3]}} for value in (uid, "1.2.3")]
    assert await dicomweb(json.dumps(counted).encode()).counts("1.2") == {"1.2.3": 3}


@pytest.mark.parametrize("uid", ["", "..", "1.2/../../x", "1.2#"])
async def test_a_uid_that_is_none_never_becomes_part_of_an_address(uid: str) -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, content=b"[]")

    archive = DicomWeb(client(answer), "http://archive", archive="hospital")
    with pytest.raises(InvalidRequestError, match="hospital"):
        await archive.counts(uid)
    with pytest.raises(InvalidRequestError, match="hospital"):
        await archive.series("1.2", uid)
    assert not asked
    await archive.counts("1.2")
    assert [url.path for url in asked] == ["/studies/1.2/series"]


@pytest.mark.parametrize("content", [b"{}", b"1", b"", b"\xff", DEEP], ids=lambda content: repr(content)[:20])
async def test_metadata_of_another_shape_say_which_archive_answers_so(content: bytes) -> None:
    with pytest.raises(MalformedAnswerError, match="hospital"):
        await dicomweb(content).series("1.2", "1.2.3")


async def test_an_answer_without_end_is_given_up() -> None:
    async def asked(content: bytes) -> bytes:
        answering = client(lambda _: httpx.Response(200, content=content))
        answer = await ask(answering, "GET", "http://archive", archive="hospital", timeout_s=1.0, limit=1000)
        return answer.content

    assert await asked(b" " * 1000) == b" " * 1000
    with pytest.raises(MalformedAnswerError, match="longer than 1000 bytes"):
        await asked(b" " * 1001)


def dataset(**values: Any) -> dict[str, Any]:
    uids = {"0020000D": "1.2", "0020000E": "1.2.3", "00080018": "1.2.3.4"}
    return {tag: {"Value": [value]} for tag, value in {**uids, **values}.items()}


@pytest.mark.parametrize("number", [10**400, 2**64, -(2**40), 1e300, "9" * 400, "1e999", None, [], {}])
def test_a_number_that_no_database_holds_is_absent(number: Any) -> None:
    seen = seen_instance(dataset(**{"00200013": number, "00200011": 7}))
    assert seen is not None
    assert (seen.header.instance_number, seen.header.series_number) == (None, 7)


def test_text_loses_what_is_no_character() -> None:
    seen = seen_instance(dataset(**{"00100020": "P\x001\0", "0008103E": "head\ud800"}))
    assert seen is not None
    assert (seen.patient.patient_id, seen.header.series_description) == ("P 1", "head?")


def test_a_date_at_the_end_of_the_calendar_is_none() -> None:
    assert [Moment.parse(day, "").day for day in ("00010101", "99991231")] == [None, None]
    assert Moment.parse("20260301", "").day is not None
