"""Ending background tasks for certain."""

import asyncio
from typing import Any, Final

_AGAIN_S: Final = 5.0


async def ended(*tasks: "asyncio.Task[Any]", again_s: float = _AGAIN_S) -> None:
    """Cancel ``tasks`` and return when all have ended; what they raise is not raised here.

    One request is not enough: ``asyncio.wait_for``, on which the NATS client is built, loses a cancellation that comes
    in the moment in which it has its result (Python 3.11).
    """
    waiting = {task for task in tasks if not task.done()}
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=again_s)
