"""How much time the call being served still has, for everything that is done on its behalf."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

MARGIN_S: Final = 0.05
"""Kept back from a caller's time, so that our own answer still reaches it."""

_ends_at: ContextVar[float | None] = ContextVar("udc_deadline", default=None)


def remaining() -> float | None:
    """Return the seconds left for the current work, never negative; None outside of a call."""
    ends_at = _ends_at.get()
    return None if ends_at is None else max(0.0, ends_at - time.monotonic())


def within(seconds: float) -> float:
    """Return how long a step that wants ``seconds`` may take without outliving the call it serves."""
    left = remaining()
    return seconds if left is None else min(seconds, max(0.0, left - MARGIN_S))


@contextmanager
def allowing(seconds: float | None) -> Iterator[None]:
    """Give what runs inside ``seconds`` from now; None sets no limit."""
    token = _ends_at.set(None if seconds is None else time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)
