"""What an archive answers to a store, taken at its word and no further.

The archive here is a stand-in, because a real one cannot be made to answer like this on demand. It checks what it gets.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from integration.forgetful_archive import forgetful
from result_archiver.adapters.dicomweb import DicomWebArchive
from result_archiver.domain.failure import ArchiveBrokeError, CannotArchiveError, FailureReason
from result_archiver.domain.objects import EncodedObject, ObjectKind
from udckit.errors import OverloadedError, TimedOutError, UpstreamUnavailableError

pytestmark = pytest.mark.connected

UID = "2.25.1"
OBJECT = EncodedObject(
    kind=ObjectKind.SR,
    sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
    sop_instance_uid=UID,
    series_instance_uid="2.25.2",
    content=b"\0" * 128 + b"DICM--boundary\r\n--",
)


@dataclass
class StandIn:
    """Answers every request with one answer and remembers the requests."""

    status: int = 200
    answer: bytes = b""
    content_type: str = "application/dicom+json"
    silent: bool = False
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    serving: set[asyncio.Task[None]] = field(default_factory=set)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving.add(asyncio.create_task(self.serve(reader, writer)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append((line, headers, body))
        if self.silent:
            await reader.read()
        else:
            writer.write(
                f"HTTP/1.1 {self.status} X\r\nContent-Type: {self.content_type}\r\n"
                f"Content-Length: {len(self.answer)}\r\nConnection: close\r\n\r\n".encode()
                + self.answer
            )
            await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def archive(stand_in: StandIn) -> AsyncIterator[DicomWebArchive]:
    server = await asyncio.start_server(stand_in.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with httpx.AsyncClient(timeout=httpx.Timeout(0.5)) as client:
        yield DicomWebArchive(client, name="hospital", root=f"http://127.0.0.1:{port}/", credentials=("u", "p"))
    server.close()
    await server.wait_closed()
    await asyncio.gather(*stand_in.serving)


def said(*, stored: tuple[str, ...] = (), failed: dict[str, int] | None = None) -> bytes:
    items = [{"00081155": {"vr": "UI", "Value": [uid]}} for uid in stored]
    failures = [
        {"00081155": {"vr": "UI", "Value": [uid]}, "00081197": {"vr": "US", "Value": [reason]}}
        for uid, reason in (failed or {}).items()
    ]
    return json.dumps({"00081199": {"vr": "SQ", "Value": items}, "00081198": {"vr": "SQ", "Value": failures}}).encode()


async def test_a_named_object_is_stored() -> None:
    stand_in = StandIn(answer=said(stored=(UID,)))
    async with archive(stand_in) as hospital:
        await hospital.store("2.25.9", OBJECT)
    ((line, headers, body),) = stand_in.requests
    assert line == "POST /studies/2.25.9 HTTP/1.1"
    assert headers["authorization"].startswith("Basic ")
    (boundary,) = re.findall(r"boundary=(\S+)$", headers["content-type"])
    assert boundary.encode() not in OBJECT.content
    assert body.split(b"--" + boundary.encode())[1].endswith(b"\r\n\r\n" + OBJECT.content + b"\r\n")


async def test_every_request_has_its_own_boundary() -> None:
    stand_in = StandIn(answer=said(stored=(UID,)))
    async with archive(stand_in) as hospital:
        await hospital.store("2.25.9", OBJECT)
        await hospital.store("2.25.9", OBJECT)
    assert len({headers["content-type"] for _, headers, _ in stand_in.requests}) == 2


REFUSALS = {
    "200 that names nothing": (200, said(), FailureReason.STORE_NOT_CONFIRMED),
    "200 that names another": (200, said(stored=("2.25.7",)), FailureReason.STORE_NOT_CONFIRMED),
    "200 without a body": (200, b"", FailureReason.STORE_NOT_CONFIRMED),
    "200 with a page": (200, b"<html>", FailureReason.STORE_NOT_CONFIRMED),
    "202 that names nothing": (202, said(), FailureReason.STORE_NOT_CONFIRMED),
    "200 with a failure": (200, said(stored=(UID,), failed={UID: 0x0110}), FailureReason.STORE_REFUSED),
    "202 with a failure": (202, said(failed={UID: 0x0122}), FailureReason.STORE_REFUSED),
    "409 with a reason": (409, said(failed={UID: 0xC000}), FailureReason.STORE_REFUSED),
    "409 without a reason": (409, b"", FailureReason.STORE_REFUSED),
    "400": (400, b"", FailureReason.STORE_REFUSED),
    "413": (413, b"", FailureReason.STORE_REFUSED),
}


@pytest.mark.parametrize("name", sorted(REFUSALS))
async def test_anything_less_than_a_confirmation_is_a_failure(name: str) -> None:
    status, answer, why = REFUSALS[name]
    async with archive(StandIn(status=status, answer=answer)) as hospital:
        with pytest.raises(CannotArchiveError) as refused:
            await hospital.store("2.25.9", OBJECT)
    assert refused.value.why is why


async def test_a_202_that_names_the_object_is_a_confirmation() -> None:
    async with archive(StandIn(status=202, answer=said(stored=(UID,)))) as hospital:
        await hospital.store("2.25.9", OBJECT)


async def test_an_object_that_is_there_already_is_left_to_the_read_back() -> None:
    async with archive(StandIn(status=409, answer=said(failed={UID: 0x0111}))) as hospital:
        await hospital.store("2.25.9", OBJECT)


PASSING: dict[str, tuple[StandIn, type[Exception]]] = {
    "busy": (StandIn(status=503), OverloadedError),
    "out of room": (StandIn(status=409, answer=said(failed={UID: 0xA700})), OverloadedError),
    "gateway": (StandIn(status=502), UpstreamUnavailableError),
    "locked out": (StandIn(status=401), UpstreamUnavailableError),
    "broken": (StandIn(status=500), ArchiveBrokeError),
    "silent": (StandIn(silent=True), TimedOutError),
}


@pytest.mark.parametrize("name", sorted(PASSING))
async def test_trouble_that_may_pass_is_told_from_a_refusal(name: str) -> None:
    stand_in, error = PASSING[name]
    async with archive(stand_in) as hospital:
        with pytest.raises(error):
            await hospital.store("2.25.9", OBJECT)


async def test_nobody_there_is_unavailable() -> None:
    async with httpx.AsyncClient() as client:
        hospital = DicomWebArchive(client, name="hospital", root="http://127.0.0.1:9", credentials=None)
        with pytest.raises(UpstreamUnavailableError):
            await hospital.store("2.25.9", OBJECT)


async def test_a_file_is_taken_out_of_its_envelope_unchanged() -> None:
    content = b"\r\n--b\r\n\r\n" + bytes(range(256))
    envelope = b"--b-7\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n--b-7--\r\n"
    stand_in = StandIn(answer=envelope, content_type='multipart/related; type="application/dicom"; boundary="b-7"')
    async with archive(stand_in) as hospital:
        assert await hospital.file("1", "2", "3") == content
    assert "transfer-syntax=*" in stand_in.requests[0][1]["accept"]


ABSENT: dict[str, Callable[[DicomWebArchive], object]] = {
    "file": lambda hospital: hospital.file("1", "2", "3"),
    "header": lambda hospital: hospital.header("1", "2", "3"),
}


@pytest.mark.parametrize("what", sorted(ABSENT))
async def test_what_the_archive_does_not_have_is_none(what: str) -> None:
    async with archive(StandIn(status=404)) as hospital:
        assert await ABSENT[what](hospital) is None  # type: ignore[misc]  # a coroutine


@pytest.mark.parametrize("answer", [b"{}", b"[1]", b"<html>", b""])
async def test_headers_that_are_no_dicom_json_are_not_taken_for_headers(answer: bytes) -> None:
    async with archive(StandIn(answer=answer)) as hospital:
        with pytest.raises(ArchiveBrokeError):
            await hospital.headers("1", "2")


@pytest.mark.parametrize("body", [b"", b"--b-7\r\n\r\nno end", b"nothing"])
async def test_a_broken_envelope_is_not_taken_for_a_file(body: bytes) -> None:
    stand_in = StandIn(answer=body, content_type="multipart/related; boundary=b-7")
    async with archive(stand_in) as hospital:
        with pytest.raises(ArchiveBrokeError):
            await hospital.file("1", "2", "3")


async def test_a_kept_connection_that_died_is_no_outage_to_a_question() -> None:
    async with forgetful() as kept, httpx.AsyncClient(trust_env=False) as client:
        hospital = DicomWebArchive(client, name="hospital", root=kept.url, credentials=None)
        for _ in range(3):
            assert await hospital.headers("1", "2") == []
    assert kept.asked == ["GET"] * 5


async def test_a_store_is_never_sent_twice_by_itself() -> None:
    async with forgetful() as kept, httpx.AsyncClient(trust_env=False) as client:
        hospital = DicomWebArchive(client, name="hospital", root=kept.url, credentials=None)
        await hospital.headers("1", "2")
        with pytest.raises(UpstreamUnavailableError):
            await hospital.store("1.2", OBJECT)
    assert kept.asked == ["GET", "POST"]
