"""A key-value bucket as a replicated table: one writer, many readers that know when their copy is stale.

A reader whose copy may be stale says so instead of answering: whoever asks whether a device may run gets no answer, and
starts nothing.
"""

import asyncio
import contextvars
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import nats.errors
from nats.js.errors import APIError, KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from udckit.bus import Bus
from udckit.errors import ConflictError, InternalError, InvalidRequestError, UpstreamUnavailableError
from udckit.tasks import ended
from udckit.watching import watch_for_ever

HEARTBEAT_S: Final = 0.5
STALE_S: Final = 2.0

_HEARTBEAT: Final = "heartbeat"
_HEAD: Final = struct.Struct(">Q?")
_RACES: Final = 10


class StaleReplicaError(UpstreamUnavailableError):
    """The copy may be out of date: its writer, or the way to it, has been silent for too long."""

    reason = "STALE_REPLICA"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRow:
    """One row as its owner has it.

    Attributes:
        key: Letters, digits and ``-_/=.``.
        revision: Rises with every change of the row; a lower one never replaces a higher one.
        body: The row, or None if it was deleted.
    """

    key: str
    revision: int
    body: bytes | None


class ReplicaWriter:
    """Writes rows to the bucket; made by ``replica_writer``."""

    def __init__(self, bucket: KeyValue) -> None:
        self._bucket = bucket

    async def put(self, row: ReplicaRow) -> bool:
        """Make ``row`` known unless a newer revision is known already.

        Returns:
            Whether it was written.

        Raises:
            ConflictError: others wrote the same key again and again.
            InvalidRequestError: the key is reserved.
            UpstreamUnavailableError: NATS is away.
        """
        if row.key == _HEARTBEAT:
            raise InvalidRequestError(f"the key {_HEARTBEAT} is reserved")
        for _ in range(_RACES):
            try:
                return await self._put_once(row)
            except KeyWrongLastSequenceError:
                continue
            except (TimeoutError, nats.errors.Error) as error:
                raise _unavailable(error) from error
        raise ConflictError(f"others kept writing {row.key}", key=row.key)

    async def beat(self) -> None:
        """Tell the readers that everything that was committed until now has been put.

        Raises:
            UpstreamUnavailableError: NATS is away.
        """
        try:
            await self._bucket.put(_HEARTBEAT, b"")
        except (TimeoutError, nats.errors.Error) as error:
            raise _unavailable(error) from error

    async def keep_written(
        self,
        pending: Callable[[], Awaitable[Sequence[ReplicaRow]]],
        written: Callable[[Sequence[ReplicaRow]], Awaitable[None]],
        *,
        woken: asyncio.Event,
        every_s: float = HEARTBEAT_S,
    ) -> None:
        """Put what is pending, then beat, for ever; a beat never overtakes a change.

        Args:
            pending: Returns committed rows that have not been put.
            written: Notes that these rows have been put.
            woken: Set it when a change is committed, so that it is put at once.
            every_s: Time between beats.

        Raises:
            UpstreamUnavailableError: NATS is away; run it again.
        """
        while True:
            woken.clear()
            rows = await pending()
            for row in rows:
                await self.put(row)
            if rows:
                await written(rows)
            await self.beat()
            try:
                async with asyncio.timeout(every_s):
                    await woken.wait()
            except TimeoutError:
                continue

    async def _put_once(self, row: ReplicaRow) -> bool:
        try:
            known = await self._bucket.get(row.key)
        except KeyNotFoundError:
            last = 0
        else:
            last = known.revision or 0
            if _decoded(row.key, known.value or b"").revision >= row.revision:
                return False
        await self._bucket.update(row.key, _encoded(row), last=last)
        return True


class Replica:
    """The reader's copy; made by ``replicating``."""

    def __init__(self, *, stale_s: float) -> None:
        self._stale_s = stale_s
        self._rows: dict[str, ReplicaRow] = {}
        self._loading: dict[str, ReplicaRow] = {}
        self._is_loading = True
        self._beat_at: float | None = None
        self._listeners: list[Callable[[ReplicaRow], None]] = []

    @property
    def is_stale(self) -> bool:
        """Whether the writer has been silent for too long, or was never heard."""
        return self._beat_at is None or time.monotonic() - self._beat_at > self._stale_s

    def get(self, key: str) -> bytes | None:
        """Return the row of ``key``, or None if there is none.

        Raises:
            StaleReplicaError: nobody can say at the moment.
        """
        self._require_fresh()
        row = self._rows.get(key)
        return None if row is None else row.body

    def items(self, prefix: str = "") -> Mapping[str, bytes]:
        """Return the rows whose key begins with ``prefix``.

        Raises:
            StaleReplicaError: nobody can say at the moment.
        """
        self._require_fresh()
        return {key: row.body for key, row in self._rows.items() if row.body is not None and key.startswith(prefix)}

    def listen(self, callback: Callable[[ReplicaRow], None]) -> Callable[[], None]:
        """Call ``callback`` with every row that changes, stale or not; return a function that ends this."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    def begin(self) -> None:
        """Load everything anew; until it is complete, what was known stays."""
        self._loading = {}
        self._is_loading = True

    def entry(self, key: str, value: bytes | None) -> None:
        """Take a row, or a sign of life."""
        if key == _HEARTBEAT:
            if not self._is_loading:  # while loading it tells only that there was life once
                self._beat_at = time.monotonic()
            return
        if value is None:
            return  # rows are deleted by a newer revision, never by removing their key
        row = _decoded(key, value)
        if self._is_loading:
            self._loading[key] = row
        else:
            self._take(row)

    def loaded(self) -> None:
        """Replace what was known by what was loaded."""
        self._is_loading = False
        for key in self._rows.keys() - self._loading.keys():
            del self._rows[key]  # the bucket was made anew
        for row in self._loading.values():
            self._take(row)
        self._loading = {}

    def _take(self, row: ReplicaRow) -> None:
        known = self._rows.get(row.key)
        if known is not None and known.revision >= row.revision:
            return
        self._rows[row.key] = row
        for listener in tuple(self._listeners):
            listener(row)

    def _require_fresh(self) -> None:
        if self.is_stale:
            raise StaleReplicaError(f"the copy has not been confirmed for {self._stale_s:g} s")


@asynccontextmanager
async def replica_writer(bus: Bus, bucket: str) -> AsyncIterator[ReplicaWriter]:
    """Write to ``bucket`` while the block runs.

    Raises:
        UpstreamUnavailableError: NATS is away, or has no such bucket.
    """
    try:
        opened = await bus.js.key_value(bucket)
    except (TimeoutError, nats.errors.Error) as error:
        raise _unavailable(error) from error
    yield ReplicaWriter(opened)


@asynccontextmanager
async def replicating(bus: Bus, bucket: str, *, stale_s: float = STALE_S) -> AsyncIterator[Replica]:
    """Keep a copy of ``bucket`` while the block runs; it is stale until the first sign of life of its writer.

    Args:
        bus: The connection.
        bucket: Its name.
        stale_s: After this long without a sign of life the copy gives no answers.
    """
    replica = Replica(stale_s=stale_s)
    watching = asyncio.create_task(
        watch_for_ever(bus, bucket, replica, silence_s=stale_s),
        name=f"replica:{bucket}",
        context=contextvars.Context(),
    )
    try:
        yield replica
    finally:
        await ended(watching)


def _encoded(row: ReplicaRow) -> bytes:
    return _HEAD.pack(row.revision, row.body is not None) + (row.body or b"")


def _decoded(key: str, value: bytes) -> ReplicaRow:
    revision, exists = _HEAD.unpack_from(value)
    return ReplicaRow(key=key, revision=revision, body=value[_HEAD.size :] if exists else None)


def _unavailable(error: Exception) -> UpstreamUnavailableError | InternalError:
    if isinstance(error, APIError) and error.code is not None and error.code < 500 and error.code != 404:
        return InternalError(f"the bucket refused: {error.description}", code=error.err_code or 0)
    return UpstreamUnavailableError("the bucket cannot be reached")
