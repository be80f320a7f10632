"""Who is there: keys that vanish by themselves when their owner stops refreshing them."""

import asyncio
import contextvars
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import nats.errors
import structlog

from udckit.bus import Bus
from udckit.tasks import ended
from udckit.watching import watch_for_ever

log: Final = structlog.get_logger()

TTL_S: Final = 3
"""Whole seconds: the server knows no shorter unit."""

_SILENCE_S: Final = 10.0


class Presence:
    """What this process tells about itself; made by ``presenting``."""

    def __init__(self, bus: Bus, bucket: str, *, ttl_s: int) -> None:
        self._bus = bus
        self._bucket = bucket
        self._ttl_s = ttl_s
        self._told: dict[str, bytes] = {}

    async def publish(self, key: str, value: bytes) -> None:
        """Tell ``value`` under ``key`` now, and again until it changes, is withdrawn or this process ends.

        While NATS is away nothing is told, and others take us for gone.
        """
        self._told[key] = value
        await self._tell(key, value)

    async def withdraw(self, key: str) -> None:
        """Stop telling ``key``, and have others know at once."""
        if self._told.pop(key, None) is not None:
            await self._send(key, b"", {"KV-Operation": "PURGE", "Nats-Rollup": "sub", "Nats-TTL": str(self._ttl_s)})

    async def keep_alive(self) -> None:
        """Refresh everything for ever."""
        while True:
            await asyncio.sleep(self._ttl_s / 3)
            for key, value in tuple(self._told.items()):
                await self._tell(key, value)

    async def withdraw_all(self) -> None:
        """Leave."""
        for key in tuple(self._told):
            await self.withdraw(key)

    async def _tell(self, key: str, value: bytes) -> None:
        await self._send(key, value, {"Nats-TTL": str(self._ttl_s)})

    async def _send(self, key: str, value: bytes, headers: dict[str, str]) -> None:
        if not self._bus.nc.is_connected:
            return  # the client would send it later, when it may no longer be true
        try:
            await self._bus.js.publish(
                f"$KV.{self._bucket}.{key}", value, headers=dict(headers), timeout=self._ttl_s / 3
            )
        except (TimeoutError, nats.errors.Error) as error:
            log.info("presence.not_told", key=key, error_type=type(error).__qualname__)


class Roster:
    """Who is there now, as far as is known; made by ``watching_roster``."""

    def __init__(self, *, ttl_s: int) -> None:
        self._lasts_s = ttl_s + 1.0
        self._present: dict[str, tuple[bytes, float]] = {}
        self._listeners: list[Callable[[], None]] = []

    def items(self) -> Mapping[str, bytes]:
        """Return what those who are there tell, by key."""
        now = time.monotonic()
        return {key: value for key, (value, told_at) in self._present.items() if now - told_at <= self._lasts_s}

    def listen(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` when somebody comes, changes or goes; return a function that ends this."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    def begin(self) -> None:
        """Listen anew; those who are gone lapse by themselves."""

    def entry(self, key: str, value: bytes | None) -> None:
        """Take a sign of life, or its end."""
        before = self._present.get(key)
        if value is None:
            self._present.pop(key, None)
        else:
            self._present[key] = (value, time.monotonic())
        if (None if before is None else before[0]) != value:
            for listener in tuple(self._listeners):
                listener()

    def loaded(self) -> None:
        """Go on: the first signs are like any other."""


@asynccontextmanager
async def presenting(bus: Bus, bucket: str, *, ttl_s: int = TTL_S) -> AsyncIterator[Presence]:
    """Tell about this process in ``bucket`` while the block runs, and leave at its end.

    Args:
        bus: The connection.
        bucket: A key-value bucket that allows a time to live per message.
        ttl_s: How long others take us for present after the last sign of life.
    """
    presence = Presence(bus, bucket, ttl_s=ttl_s)
    refreshing = asyncio.create_task(presence.keep_alive(), name=f"presence:{bucket}", context=contextvars.Context())
    try:
        yield presence
    finally:
        await ended(refreshing)
        await presence.withdraw_all()


@asynccontextmanager
async def watching_roster(bus: Bus, bucket: str, *, ttl_s: int = TTL_S) -> AsyncIterator[Roster]:
    """Know who is there while the block runs.

    Args:
        bus: The connection.
        bucket: The same as of those who tell.
        ttl_s: As theirs.
    """
    roster = Roster(ttl_s=ttl_s)
    watching = asyncio.create_task(
        watch_for_ever(bus, bucket, roster, silence_s=_SILENCE_S),
        name=f"roster:{bucket}",
        context=contextvars.Context(),
    )
    try:
        yield roster
    finally:
        await ended(watching)
