"""A breaker: while a dependency is away nothing is asked of it but one probe from time to time."""

import asyncio
import time
from typing import Final

import structlog

log: Final = structlog.get_logger()


class Breaker:
    """Open while a dependency is away.

    Args:
        name: What it protects, for the log.
        shortest_s: Time from opening to the first probe; doubles with each probe that fails.
        longest_s: Most time between two probes.

    Attributes:
        reason: Why it is open, or None while it is closed.
        pause_s: Time between the last failure and the next probe.
    """

    def __init__(self, name: str, *, shortest_s: float, longest_s: float) -> None:
        self.reason: str | None = None
        self.pause_s = shortest_s
        self._name = name
        self._shortest_s = shortest_s
        self._longest_s = longest_s
        self._probe_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the dependency is known to be away."""
        return self.reason is not None

    def trip(self, reason: str, *, by_probe: bool) -> None:
        """Open, or stay open for longer when it was the probe that failed.

        Work that was under way when the breaker opened fails as well, and says nothing new.
        """
        if self.reason is None:
            self.pause_s = self._shortest_s
            log.warning("breaker.opened", breaker=self._name, reason=reason)
        elif by_probe:
            self.pause_s = min(self.pause_s * 2, self._longest_s)
        else:
            return
        self.reason = reason
        self._probe_at = time.monotonic() + self.pause_s

    def close(self) -> None:
        """Note that the dependency has answered."""
        if self.reason is not None:
            log.info("breaker.closed", breaker=self._name)
        self.reason = None

    async def probe_due(self) -> None:
        """Wait until the next probe may be made."""
        await asyncio.sleep(self._probe_at - time.monotonic())
