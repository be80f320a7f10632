"""Background tasks that end for certain when they are asked to, and only then."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog

log: Final = structlog.get_logger()

_AGAIN_S: Final = 5.0
_REPAIR_S: Final = 1.0


def is_asked_to_end() -> bool:
    """Say whether somebody has cancelled the current task.

    Without that a ``CancelledError`` is a future's that some library gave up, and a failure like any other.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@asynccontextmanager
async def kept_running(run: Callable[[], Awaitable[None]], name: str) -> AsyncIterator[None]:
    """Run ``run`` in the background until the block ends; whatever ends it sooner is shown, and it begins again."""

    async def again_and_again() -> None:
        while True:
            try:
                await run()
            except asyncio.CancelledError:
                if is_asked_to_end():
                    raise
                log.exception("task.crashed", task=name)
            except Exception:
                log.exception("task.crashed", task=name)
            await asyncio.sleep(_REPAIR_S)

    task = asyncio.create_task(again_and_again(), name=name)
    try:
        yield
    finally:
        await ended(task)


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
