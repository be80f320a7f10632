"""One question to an archive over HTTP: bounded, repeated once where a kept connection had died, errors by name."""

from dataclasses import dataclass
from typing import Any, Final

import httpx

from study_router.domain.uids import is_uid
from udckit.errors import InvalidRequestError, UpstreamUnavailableError

MAX_ANSWER_BYTES: Final = 256 * 1024 * 1024
"""Metadata of a series of thousands of images are tens of megabytes."""


class MalformedAnswerError(UpstreamUnavailableError):
    """An archive answers, and not with what was asked for."""

    reason = "MALFORMED_ANSWER"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an archive said; the content is decoded from its transfer, not from its format."""

    status: int
    headers: httpx.Headers
    content: bytes

    @property
    def is_success(self) -> bool:
        """Say whether the status is one of success."""
        return httpx.codes.is_success(self.status)


async def ask(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    archive: str,
    timeout_s: float,
    limit: int = MAX_ANSWER_BYTES,
    **content: Any,
) -> Answer:
    """Ask an archive something that changes nothing there.

    Args:
        client: With credentials.
        method: Of HTTP; the question may be asked twice, whatever it is.
        url: What is asked for.
        archive: Its id, for errors.
        timeout_s: How long to wait for bytes.
        limit: No answer is read that is longer, in bytes.
        content: ``params``, ``headers`` and ``json`` of the request.

    Raises:
        MalformedAnswerError: the answer is too long.
        UpstreamUnavailableError: the archive does not answer.
    """
    try:
        request = client.build_request(method, url, timeout=timeout_s, **content)
        try:
            return await _answer(client, request, archive=archive, limit=limit)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            # An archive may close an idle connection at the very moment at which it is used again.
            return await _answer(client, request, archive=archive, limit=limit)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise unavailable(archive, type(error).__name__) from error


async def _answer(client: httpx.AsyncClient, request: httpx.Request, *, archive: str, limit: int) -> Answer:
    response = await client.send(request, stream=True)
    try:
        content = bytearray()
        async for part in response.aiter_bytes():
            content += part
            if len(content) > limit:
                raise malformed(archive, f"it is longer than {limit} bytes")
        return Answer(response.status_code, response.headers, bytes(content))
    finally:
        await response.aclose()


def uid_in_path(archive: str, uid: str) -> str:
    """Return ``uid``, which may become part of an address.

    Raises:
        InvalidRequestError: it is no UID.
    """
    if not is_uid(uid):
        raise InvalidRequestError(f"archive {archive} cannot be asked for something whose UID is none", archive=archive)
    return uid


def unavailable(archive: str, why: str) -> UpstreamUnavailableError:
    """Return the error that says that ``archive`` cannot be read now. Never names what was asked for."""
    return UpstreamUnavailableError(f"archive {archive} does not answer: {why}", archive=archive)


def malformed(archive: str, why: str) -> MalformedAnswerError:
    """Return the error that says that an answer of ``archive`` cannot be used. Never quotes it."""
    return MalformedAnswerError(f"archive {archive} gives an answer that cannot be used: {why}", archive=archive)
