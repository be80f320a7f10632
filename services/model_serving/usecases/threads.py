"""Work in threads whose memory goes to somebody else afterwards."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def joined(running: asyncio.Future[T], *, on_cancel: Callable[[], None] = lambda: None) -> T:
    """Wait for ``running`` until it has really ended, even when the waiting is cancelled.

    asyncio cannot stop a thread; a cancelled wait would go on while the thread still writes.

    Args:
        running: A future that nobody else cancels.
        on_cancel: Called when the wait is cancelled, to make the end come soon.
    """
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if running.cancelled():
            raise
        on_cancel()
        while not running.done():
            try:
                await asyncio.wait([running])
            except asyncio.CancelledError:
                continue  # asked again; the reason for waiting is the same
        if not running.cancelled():
            running.exception()  # seen: what was stopped may well end with an error
        raise


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``work`` in a thread and return its result, never sooner than the thread has ended."""
    return await joined(asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs)))
