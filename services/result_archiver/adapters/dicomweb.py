"""DICOMweb of one archive: WADO-RS for headers and files, STOW-RS for storing (PS3.18 10.4, 10.5)."""

import json
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from result_archiver.domain.failure import ArchiveBrokeError, CannotArchiveError, FailureReason
from result_archiver.domain.objects import DicomJson, EncodedObject
from udckit import telemetry
from udckit.errors import OverloadedError, TimedOutError, UpstreamUnavailableError

_JSON: Final = "application/dicom+json"
_FILES: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'

_REFERENCED: Final = "00081199"
_FAILED: Final = "00081198"
_FAILURE_REASON: Final = "00081197"
_REFERENCED_INSTANCE: Final = "00081155"

_DUPLICATE: Final = 0x0111
"""Failure Reason "Duplicate SOP Instance": it is there already; reading it back tells whether it is ours."""
_OUT_OF_RESOURCES: Final = range(0xA700, 0xA800)

_GONE: Final = frozenset({404, 410})
_NOT_NOW: Final = frozenset({429, 503})
_LOCKED_OUT: Final = frozenset({401, 403})

MAX_METADATA_BYTES: Final = 256 * 1024 * 1024
MAX_FILE_BYTES: Final = 1024 * 1024 * 1024


class DicomWebArchive:
    """One archive.

    Args:
        client: Shared; holds neither address nor credentials.
        name: Id of the archive, for error messages.
        root: URL of the DICOMweb services.
        credentials: User and password, or None.
    """

    def __init__(self, client: httpx.AsyncClient, *, name: str, root: str, credentials: tuple[str, str] | None) -> None:
        self._client = client
        self._name = name
        self._root = root.rstrip("/")
        self._auth = httpx.BasicAuth(*credentials) if credentials else None

    async def headers(self, study: str, series: str) -> Sequence[DicomJson]:
        """Return the headers of all instances of a series, bulk data left out; none when it is not there."""
        return await self._metadata(f"/studies/{study}/series/{series}/metadata")

    async def header(self, study: str, series: str, instance: str) -> DicomJson | None:
        """Return the header of one instance, or None."""
        found = await self._metadata(f"/studies/{study}/series/{series}/instances/{instance}/metadata")
        return found[0] if found else None

    async def file(self, study: str, series: str, instance: str) -> bytes | None:
        """Return an instance in the transfer syntax in which the archive holds it, or None."""
        path = f"/studies/{study}/series/{series}/instances/{instance}"
        response = await self._get(path, accept=_FILES, limit=MAX_FILE_BYTES)
        if response is None:
            return None
        content_type, body = response
        return _only_part(body, content_type, self._name)

    async def store(self, study: str, content: EncodedObject) -> None:
        """Store an object; returns only when the archive says that it has it.

        Raises:
            CannotArchiveError: the archive refused it, or answered without saying that it stored it.
            UpstreamUnavailableError, OverloadedError, ArchiveBrokeError: try again.
        """
        with telemetry.span("dicomweb.store"):
            await self._store(study, content)

    async def _store(self, study: str, content: EncodedObject) -> None:
        boundary = _boundary_for(content.content)
        body = b"".join(
            (
                f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode(),
                content.content,
                f"\r\n--{boundary}--\r\n".encode(),
            )
        )
        async with self._asking(
            "POST",
            f"/studies/{study}",
            {
                "Accept": _JSON,
                "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            },
            body,
        ) as response:
            answer = await self._read(response, MAX_METADATA_BYTES)
        status = response.status_code
        self._raise_if_not_now(status)
        if status >= 500:
            raise ArchiveBrokeError(f"archive {self._name} answered {status} to a store", status=status)
        self._judge(status, _json(answer), content)

    def _judge(self, status: int, answer: Mapping[str, Any], content: EncodedObject) -> None:
        """Take only the archive's own word that it stored the object: a status of 200 says nothing."""
        failures = {
            _first(item, _REFERENCED_INSTANCE): _first(item, _FAILURE_REASON)
            for item in answer.get(_FAILED, {}).get("Value", [])
        }
        if content.sop_instance_uid in failures or (failures and status == 409):
            reason = failures.get(content.sop_instance_uid)
            code = int(reason) if reason is not None else 0
            if code == _DUPLICATE:
                return
            if code in _OUT_OF_RESOURCES:
                raise OverloadedError(f"archive {self._name} has no room", status=status)
            raise CannotArchiveError(
                FailureReason.STORE_REFUSED,
                f"archive {self._name} refused a {content.kind}: status {status}, reason {code:04X}",
            )
        stored = {_first(item, _REFERENCED_INSTANCE) for item in answer.get(_REFERENCED, {}).get("Value", [])}
        if status in (200, 202) and content.sop_instance_uid in stored:
            return
        if status >= 300:
            raise CannotArchiveError(
                FailureReason.STORE_REFUSED, f"archive {self._name} refused a {content.kind}: status {status}"
            )
        raise CannotArchiveError(
            FailureReason.STORE_NOT_CONFIRMED,
            f"archive {self._name} answered {status} and did not say that it stored the {content.kind}",
        )

    async def _metadata(self, path: str) -> Sequence[DicomJson]:
        response = await self._get(path, accept=_JSON, limit=MAX_METADATA_BYTES)
        if response is None:
            return ()
        found = _parsed(response[1])
        if not isinstance(found, list) or not all(isinstance(header, dict) for header in found):
            raise ArchiveBrokeError(f"archive {self._name} answered with headers that are no DICOM JSON")
        return found

    async def _get(self, path: str, *, accept: str, limit: int) -> tuple[str, bytes] | None:
        async with self._asking("GET", path, {"Accept": accept}, None) as response:
            status = response.status_code
            if status in _GONE:
                return None
            self._raise_if_not_now(status)
            if status != 200:
                raise ArchiveBrokeError(f"archive {self._name} answered {status}", status=status)
            return response.headers.get("Content-Type", ""), await self._read(response, limit)

    def _raise_if_not_now(self, status: int) -> None:
        if status in _NOT_NOW:
            raise OverloadedError(f"archive {self._name} is busy", status=status)
        if status in (502, 504):
            raise UpstreamUnavailableError(f"archive {self._name} is away", status=status)
        if status in _LOCKED_OUT:
            # Wrong credentials are the operator's to mend; work waits for that, it is not lost.
            raise UpstreamUnavailableError(f"archive {self._name} does not let us in", status=status)

    async def _read(self, response: httpx.Response, limit: int) -> bytes:
        parts, size = [], 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > limit:
                raise ArchiveBrokeError(f"archive {self._name} answered with more than {limit} bytes")
            parts.append(part)
        return b"".join(parts)

    @asynccontextmanager
    async def _asking(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[httpx.Response]:
        request = self._client.build_request(method, f"{self._root}{path}", headers=dict(headers), content=body)
        try:
            response = await self._send(request)
            try:
                yield response
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise UpstreamUnavailableError(f"archive {self._name} cannot be reached") from error
        except httpx.TimeoutException as error:
            raise TimedOutError(f"archive {self._name} did not answer in time") from error
        except httpx.TransportError as error:
            raise UpstreamUnavailableError(f"archive {self._name} broke the connection") from error

    async def _send(self, request: httpx.Request) -> httpx.Response:
        """Send a request; a question once more when the connection, which may have been idle, turns out to be dead."""
        try:
            return await self._client.send(request, auth=self._auth, stream=True)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            # The archive may have stored what was sent; whoever stores finds that out before doing it again.
            if request.method != "GET":
                raise
            return await self._client.send(request, auth=self._auth, stream=True)


def _boundary_for(content: bytes) -> str:
    """Choose a boundary that does not occur in the content: pixels can look like anything."""
    while True:
        boundary = f"udc-{secrets.token_hex(24)}"
        if boundary.encode() not in content:
            return boundary


def _only_part(body: bytes, content_type: str, archive: str) -> bytes:
    """Return the one part of a multipart answer (RFC 2046 5.1)."""
    _, found, rest = content_type.partition("boundary=")
    boundary = rest.split(";")[0].strip().strip('"')
    delimiter = b"--" + boundary.encode()
    start = body.find(delimiter)
    head_end = body.find(b"\r\n\r\n", start)
    end = body.find(b"\r\n" + delimiter, head_end)
    if not found or not boundary or start < 0 or head_end < 0 or end < 0:
        raise ArchiveBrokeError(f"archive {archive} answered with something that is no multipart message")
    return body[head_end + 4 : end]


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _json(body: bytes) -> Mapping[str, Any]:
    answer = _parsed(body)
    return answer if isinstance(answer, dict) else {}


def _first(item: Mapping[str, Any], tag: str) -> Any:
    values = item.get(tag, {}).get("Value") or [None]
    return values[0]
