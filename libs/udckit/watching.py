"""A watch on a key-value bucket that is made anew whenever it may have gone blind.

The client's own watch was seen to be blind for 19 seconds after a restart of the server.
"""

import asyncio
from contextlib import suppress
from typing import Final, Protocol

import nats.errors
import structlog
from nats.js.kv import KV_DEL, KV_PURGE, KeyValue

from udckit.bus import Bus

log: Final = structlog.get_logger()

_PAUSE_S: Final = 0.2
_FORGOTTEN_S: Final = 10.0
"""When the server forgets a watch that ended. The client's five minutes let watches that are made anew every two
seconds, because their writer is away, add up to more than the 1000 consumers that a server allows by default."""


class Receiver(Protocol):
    """What a watch tells."""

    def begin(self) -> None:
        """A new watch begins; it tells everything there is, and then what changes."""

    def entry(self, key: str, value: bytes | None) -> None:
        """``key`` has ``value``, or is gone."""

    def loaded(self) -> None:
        """Everything there was has been told; what follows happens now."""


async def watch_for_ever(bus: Bus, bucket: str, receiver: Receiver, *, silence_s: float) -> None:
    """Tell ``receiver`` what is in ``bucket`` until cancelled.

    Args:
        bus: The connection.
        bucket: Its name.
        receiver: Is told, in the event loop.
        silence_s: After this long without an entry the watch is made anew.
    """
    current: KeyValue.KeyWatcher | None = None

    async def end() -> None:
        nonlocal current
        ended, current = current, None
        if ended is not None:
            await ended.stop()  # type: ignore[no-untyped-call] # nats-py

    stop_listening = bus.on_reconnect(end)
    try:
        while True:
            try:
                if bus.nc.is_connected:
                    current = await (await bus.js.key_value(bucket)).watchall(inactive_threshold=_FORGOTTEN_S)
                    await _tell(current, receiver, silence_s)
                    await end()
            except (TimeoutError, nats.errors.Error) as error:
                log.info("watch.failed", bucket=bucket, error_type=type(error).__qualname__)
            except Exception:
                log.exception("watch.crashed", bucket=bucket)
            await asyncio.sleep(_PAUSE_S)
    finally:
        stop_listening()
        with suppress(nats.errors.Error):  # the connection may be gone
            await end()


async def _tell(watcher: KeyValue.KeyWatcher, receiver: Receiver, silence_s: float) -> None:
    """Tell what one watch tells, until it is stopped or silent for too long."""
    receiver.begin()
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(silence_s):
                try:
                    told = await anext(watcher)
                except StopAsyncIteration:
                    return
            if told is None:
                receiver.loaded()
            else:
                receiver.entry(told.key, None if told.operation in (KV_DEL, KV_PURGE) else told.value or b"")
