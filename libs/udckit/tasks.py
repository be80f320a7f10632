"""Tasks that end for certain when they are asked to."""

import asyncio
from typing import Any, Final

_AGAIN_S: Final = 5.0


def is_asked_to_end() -> bool:
    """Say whether somebody has cancelled the current task.

    Without that a ``CancelledError`` is a future's that some library gave up, and a failure like any other.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


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
