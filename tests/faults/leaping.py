"""A service whose time leaps when a test says so: ``python -m faults.leaping``, never part of the product.

The service is what is delivered; only what it is told of time is changed, before it starts. ``SystemClock`` and the
monotonic clock run as always and are ahead by what stands in a file that all services of a region share. Everything
that reads them is ahead with them: the timers of the event loop (pauses, back-offs, breakers' probes, heartbeats,
polls, time limits of calls under way), leases, deadlines of attempts and jobs, quiet times, staleness of the registry.

Not ahead are: the servers themselves (PostgreSQL, by whose time leases of roles end; the broker, by whose time messages
are delivered again; Orthanc, whose changes seem to come from the past), gRPC's own deadlines, and the times of rows
that are only kept or deleted by age (outbox, inbox).
"""

import asyncio
import mmap
import os
import runpy
import selectors
import struct
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from region.service import ServiceProcess
from udckit import clock

_AHEAD: Final = struct.Struct("<d")
_NOTICE_S: Final = 0.02
"""An event loop that waits for something looks at the time this often, so that it notices a leap."""
_SERVICE: Final = "LEAPING_SERVICE"
_FILE: Final = "LEAPING_FILE"


class Leaps:
    """How far ahead the time of a region's services is.

    Args:
        path: The file that they share; made when missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            path.write_bytes(_AHEAD.pack(0.0))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _AHEAD.size)

    @property
    def ahead_s(self) -> float:
        """Seconds between the machine's time and that of the services."""
        (ahead_s,) = _AHEAD.unpack_from(self._shared)
        return float(ahead_s)

    def leap(self, seconds: float) -> None:
        """Let time go on by ``seconds`` at once; there is one who does this."""
        _AHEAD.pack_into(self._shared, 0, self.ahead_s + seconds)

    async def pass_by(self, seconds: float, *, each_s: float, every_s: float) -> None:
        """Let time go on by ``seconds`` in leaps.

        Args:
            seconds: In all.
            each_s: One leap; what is to outlive a leap must be allowed to take longer.
            every_s: Real time between two leaps, in which the services do what has become due.
        """
        until = self.ahead_s + seconds
        while self.ahead_s < until:
            self.leap(each_s)
            await asyncio.sleep(every_s)

    def govern(self, process: ServiceProcess) -> None:
        """Let a service have this time from its next start on."""
        changes: Mapping[str, str] = {
            _SERVICE: process.module,
            _FILE: str(self.path),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        process.environment_changes.update(changes)
        process.module = "faults.leaping"


class _NoticingSelector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(_NOTICE_S if timeout is None else min(timeout, _NOTICE_S))


class _Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.SelectorEventLoop(_NoticingSelector())


def _follow(leaps: Leaps) -> None:
    monotonic = time.monotonic

    def now(_: clock.SystemClock) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=leaps.ahead_s)

    def elapsed() -> float:
        return monotonic() + leaps.ahead_s

    changed: Any = clock.SystemClock
    changed.now = now
    time.monotonic = elapsed
    asyncio.set_event_loop_policy(_Policy())


if __name__ == "__main__":
    _follow(Leaps(Path(os.environ[_FILE])))
    runpy.run_module(os.environ[_SERVICE], run_name="__main__", alter_sys=True)
