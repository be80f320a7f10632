"""A piece of work on a database, queued by a coroutine and done in a thread."""

import asyncio
import contextvars
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")
Work = Callable[[Connection], T]
"""Statements of one transaction. May run more than once, so it has no effect outside of its connection."""

PATIENCE_S: Final = 5.0
"""How long a caller waits for a database that is away before it is told so."""


class Job:
    """One caller's work and what came of it.

    The trace context and log context of the caller hold while the work runs in its thread.
    """

    __slots__ = ("_context", "_gives_up_at", "error", "future", "result", "work")

    def __init__(self, work: Work[Any], future: "asyncio.Future[Any]") -> None:
        self.work = work
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None
        self._context = contextvars.copy_context()
        self._gives_up_at = time.monotonic() + PATIENCE_S

    def run(self, connection: Connection) -> None:
        """Do the work; what it returns is handed over only after the commit."""
        self.error = None
        self.result = self._context.run(self.work, connection)

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.future.cancelled()

    @property
    def is_out_of_patience(self) -> bool:
        """Whether the caller has waited long enough for a database that is away."""
        return time.monotonic() >= self._gives_up_at

    def deliver(self) -> None:
        """Hand the outcome to the caller; runs in the caller's event loop."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            try:
                self.future.set_exception(self.error)
            except (
                TypeError
            ) as refused:  # StopIteration, which no future takes: its caller must be answered all the same
                refused.__cause__ = self.error
                self.future.set_exception(refused)
