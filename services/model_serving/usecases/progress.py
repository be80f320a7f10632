"""Telling how far a run is, now and then."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from model_serving.domain.progress import Progress, Reached
from udckit.errors import ServiceError
from udckit.tasks import ended


@asynccontextmanager
async def reporting(
    progress: Progress, tell: Callable[[Reached], Awaitable[None]], *, every_s: float
) -> AsyncIterator[None]:
    """Tell where a run is while the block runs: at most every ``every_s`` seconds, and only what has changed."""

    async def report() -> None:
        told: Reached | None = None
        while True:
            await asyncio.sleep(every_s)
            reached = progress.reached
            if reached == told:
                continue
            try:
                await tell(reached)
            except ServiceError:
                continue  # nothing hangs on it, and what cannot be told now is told the next time
            told = reached

    reporter = asyncio.create_task(report(), name="report-progress")
    try:
        yield
    finally:
        await ended(reporter)
