"""Content-addressed objects: what is too large for an event. The name of an object is the digest of its bytes."""

import asyncio
import hashlib
import io
import os
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

import nats.errors
from nats.js.api import ObjectInfo
from nats.js.errors import (
    APIError,
    DigestMismatchError,
    NoStreamResponseError,
    ObjectNotFoundError,
    ServiceUnavailableError,
)
from nats.js.object_store import ObjectStore

from udckit.bus import Bus
from udckit.errors import InternalError, InvalidRequestError, NotFoundError, OverloadedError, UpstreamUnavailableError
from udckit.publisher import STREAM_FULL

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_DEADLINE_S: Final = 10.0
_SLOWEST_BYTES_PER_S: Final = 1024**2
_RENEW_AFTER: Final = timedelta(days=7)
"""Age from which putting an object writes it again: far from the age at which the bucket forgets it."""


class Objects(Protocol):
    """A place for objects."""

    async def put(self, content: bytes) -> str:
        """Store ``content`` durably and return its digest, ``sha256:<hex>``.

        Storing it again changes nothing but the time for which it is kept, where that is limited.

        Raises:
            OverloadedError: there is no room.
            UpstreamUnavailableError: the store is away.
        """

    async def get(self, digest: str) -> bytes:
        """Return the object, whose bytes have been checked against ``digest``.

        Raises:
            InternalError: the stored bytes are damaged.
            InvalidRequestError: ``digest`` is no digest.
            NotFoundError: there is no such object.
            UpstreamUnavailableError: the store is away.
        """

    async def has(self, digest: str) -> bool:
        """Say whether the object is there, without reading it.

        Raises:
            InvalidRequestError: ``digest`` is no digest.
            UpstreamUnavailableError: the store is away.
        """

    async def delete(self, digest: str) -> None:
        """Remove the object if it is there.

        Raises:
            InvalidRequestError: ``digest`` is no digest.
            UpstreamUnavailableError: the store is away.
        """


def digest_of(content: bytes) -> str:
    """Return the name under which ``content`` is stored."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class FileObjects:
    """Objects as files below ``root``, on one machine's file system."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, content: bytes) -> str:
        """Store ``content`` durably and return its digest."""
        return await asyncio.to_thread(self._put, content)

    async def get(self, digest: str) -> bytes:
        """Return the checked object."""
        path = self._path(digest)
        try:
            content = await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError as error:
            raise _missing(digest) from error
        return _checked(content, digest)

    async def has(self, digest: str) -> bool:
        """Say whether the object is there."""
        return await asyncio.to_thread(self._path(digest).exists)

    async def delete(self, digest: str) -> None:
        """Remove the object if it is there."""
        await asyncio.to_thread(self._path(digest).unlink, missing_ok=True)

    def _put(self, content: bytes) -> str:
        digest = digest_of(content)
        path = self._path(digest)
        if path.exists() and digest_of(path.read_bytes()) == digest:
            return digest
        unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink()
            raise OverloadedError(f"an object of {len(content)} bytes cannot be written: {error.strerror}") from error
        _sync_directory(path.parent)
        _sync_directory(path.parent.parent)
        return digest

    def _path(self, digest: str) -> Path:
        hexadecimal = _hexadecimal(digest)
        # 65,536 folders keep each small at tens of millions of objects.
        return self._root / hexadecimal[:2] / hexadecimal[2:4] / hexadecimal


class _NewObjects(ObjectStore):
    """Writes every object as if there were none of its name.

    The client removes the old chunks of a name from the stream, which no service may, and under a reader's hands: they
    end by their age instead.
    """

    async def get_info(self, name: str, show_deleted: bool | None = False) -> ObjectInfo:  # noqa: ARG002
        """Find nothing."""
        raise ObjectNotFoundError


class NatsObjects:
    """Objects in a JetStream object bucket: for results and other small artefacts, not for volumes.

    A bucket with an age forgets an object some weeks after it was written. Putting an old one again writes it again.

    Args:
        store: The bucket.
        renew_after: Age from which putting an object writes it again; None where the bucket forgets nothing.
    """

    def __init__(self, store: ObjectStore, *, renew_after: timedelta | None = _RENEW_AFTER) -> None:
        self._store = store
        self._bucket = store._name
        self._new = _NewObjects(name=store._name, stream=store._stream, js=store._js)
        self._renew_after = renew_after

    async def put(self, content: bytes) -> str:
        """Store ``content`` durably and return its digest."""
        digest = digest_of(content)
        async with _store_errors(len(content), self._bucket):
            if not await self._is_new(digest):
                await self._new.put(digest, content)
        return digest

    async def get(self, digest: str) -> bytes:
        """Return the checked object."""
        _hexadecimal(digest)
        try:
            async with _store_errors(0, self._bucket):
                size = (await self._store.get_info(digest)).size or 0
            into = io.BytesIO()
            async with _store_errors(size, self._bucket):
                # Without ``writeinto`` the client joins the chunks in quadratic time.
                await self._store.get(digest, writeinto=into)
        except ObjectNotFoundError as error:
            raise _missing(digest) from error
        except DigestMismatchError as error:
            raise _damaged(digest) from error
        return _checked(into.getvalue(), digest)

    async def has(self, digest: str) -> bool:
        """Say whether the object is there."""
        _hexadecimal(digest)
        try:
            async with _store_errors(0, self._bucket):
                await self._store.get_info(digest)
        except ObjectNotFoundError:
            return False
        return True

    async def delete(self, digest: str) -> None:
        """Remove the object if it is there."""
        _hexadecimal(digest)
        try:
            async with _store_errors(0, self._bucket):
                await self._store.delete(digest)
        except ObjectNotFoundError:
            return

    async def _is_new(self, digest: str) -> bool:
        try:
            info = await self._store.get_info(digest)
        except ObjectNotFoundError:
            return False
        if self._renew_after is None:
            return True
        return info.mtime is not None and datetime.now(UTC) - datetime.fromisoformat(info.mtime) < self._renew_after


@asynccontextmanager
async def _store_errors(size: int, bucket: str) -> AsyncIterator[None]:
    """Limit the time and speak the language of our errors; a get hangs for ever when chunks are gone."""
    limit_s = _DEADLINE_S + size / _SLOWEST_BYTES_PER_S
    try:
        async with asyncio.timeout(limit_s):
            yield
    except (ObjectNotFoundError, DigestMismatchError):
        raise
    except (TimeoutError, NoStreamResponseError, nats.errors.Error) as error:
        if isinstance(error, APIError):
            if error.err_code == STREAM_FULL:
                raise OverloadedError(f"the object bucket {bucket} is full; have it provisioned larger") from error
            if not isinstance(error, ServiceUnavailableError):
                raise InternalError(
                    f"the object bucket {bucket} refused: {error.description}", code=error.err_code or 0
                ) from error
        raise UpstreamUnavailableError(f"the object bucket {bucket} did not answer within {limit_s:.0f} s") from error


def _hexadecimal(digest: str) -> str:
    if _DIGEST.fullmatch(digest) is None:
        raise InvalidRequestError(f"{digest!r} is not of the form sha256:<64 hexadecimal digits>")
    return digest.removeprefix("sha256:")


def _checked(content: bytes, digest: str) -> bytes:
    if digest_of(content) != digest:
        raise _damaged(digest)
    return content


def _damaged(digest: str) -> InternalError:
    return InternalError(f"the stored bytes of {digest} are damaged", digest=digest)


def _missing(digest: str) -> NotFoundError:
    return NotFoundError(f"there is no object {digest}", digest=digest)


def _sync_directory(directory: Path) -> None:
    """Make the name of a new file durable; its bytes are not enough."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@asynccontextmanager
async def opened_objects(url: str, bus: Bus | None = None) -> AsyncIterator[Objects]:
    """Open the objects at ``url``.

    Args:
        url: ``file:///path/to/folder`` or ``nats:<bucket>``.
        bus: The connection, for ``nats:``.

    Raises:
        InvalidRequestError: no such kind of store.
        UpstreamUnavailableError: NATS is away, or has no such bucket.
    """
    parts = urlsplit(url)
    match parts.scheme:
        case "file":
            yield FileObjects(Path(unquote(parts.path)))
        case "nats" if bus is not None:
            async with _store_errors(0, parts.path):
                store = await bus.js.object_store(parts.path)
                forgets = bool((await store.status()).ttl)
            yield NatsObjects(store, renew_after=_RENEW_AFTER if forgets else None)
        case _:
            raise InvalidRequestError(f"no object store {url}: use file:///path/to/folder or nats:<bucket>")
