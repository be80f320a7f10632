"""Stopping work that nobody needs any more."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

_REMEMBERED: Final = 10_000


class CanceledError(Exception):
    """Nobody needs the result of this run any more."""


class InFlight:
    """The runs of this worker, so that the word of a cancellation reaches them.

    That word may come before the job or not at all. Neither matters for what is true: the router accepts no result of a
    job that it has cancelled. Here it only saves work.
    """

    def __init__(self) -> None:
        self._running: dict[str, tuple[int, asyncio.Task[Any]]] = {}
        self._told: set[asyncio.Task[Any]] = set()
        self._canceled: OrderedDict[str, int] = OrderedDict()

    def cancel(self, job: str, attempt: int) -> bool:
        """Stop the run of ``job`` if it is of ``attempt`` or an earlier one, now or when it comes.

        Returns:
            Whether one was stopped now.
        """
        self._canceled[job] = max(attempt, self._canceled.pop(job, 0))
        while len(self._canceled) > _REMEMBERED:
            self._canceled.popitem(last=False)
        running = self._running.get(job)
        if running is None or running[0] > attempt or running[1] in self._told:
            return False
        self._told.add(running[1])
        running[1].cancel()
        return True

    @contextmanager
    def cancelable(self, job: str, attempt: int) -> Iterator[None]:
        """Let ``cancel`` stop what the current task does inside.

        Raises:
            CanceledError: it was stopped.
        """
        if self._canceled.get(job, 0) >= attempt:
            raise CanceledError
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a run is a task")
        self._running[job] = (attempt, task)
        try:
            yield
        except asyncio.CancelledError:
            # Our own word ends here; somebody else's goes on.
            if task in self._told and task.uncancel() == 0:
                raise CanceledError from None
            raise
        finally:
            self._told.discard(task)
            del self._running[job]
