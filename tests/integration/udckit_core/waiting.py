"""Waiting for what happens elsewhere."""

import asyncio
from collections.abc import Awaitable, Callable

import nats.errors

from udckit.bus import Bus


async def until(holds: Callable[[], Awaitable[bool]] | Callable[[], bool], *, within_s: float = 20.0) -> None:
    """Return as soon as ``holds()``; fail when that takes too long."""
    async with asyncio.timeout(within_s):
        while True:
            answer = holds()
            if await answer if isinstance(answer, Awaitable) else answer:
                return
            await asyncio.sleep(0.02)


async def stored_messages(bus: Bus, stream: str) -> list[tuple[str, dict[str, str]]]:
    """Return subject and headers of every message of ``stream``, in order."""
    state = (await bus.js.stream_info(stream)).state
    found = []
    for sequence in range(state.first_seq, state.last_seq + 1):
        message = await bus.js.get_msg(stream, sequence)
        found.append((str(message.subject), dict(message.headers or {})))
    return found


async def pending(bus: Bus, stream: str, durable: str) -> tuple[int, int]:
    """Return how many messages wait for ``durable``, and how many it has not settled."""
    try:
        info = await bus.js.consumer_info(stream, durable)
    except nats.errors.Error:
        return -1, -1
    return int(info.num_pending or 0), int(info.num_ack_pending or 0)
