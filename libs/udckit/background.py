"""Work in the background that goes on until it is asked to end, whatever goes wrong in it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from udckit.tasks import ended, is_asked_to_end

log: Final = structlog.get_logger()

_REPAIR_S: Final = 1.0


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
