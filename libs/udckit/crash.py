"""Named places where a fault test lets the process die.

Set ``UDC_CRASH_AT=archiver.after_commit`` to die at the first pass, ``UDC_CRASH_AT=relay.before_publish:3`` to die at
the third. The process kills itself with SIGKILL, so nothing is flushed, closed or acknowledged, as in a power cut.
Unset, a point costs one dictionary look-up.
"""

import os
import signal
from collections import Counter

_passes: Counter[str] = Counter()


def point(name: str) -> None:
    """Die here if ``UDC_CRASH_AT`` names this point and this is the pass it asks for."""
    wanted = os.environ.get("UDC_CRASH_AT")
    if wanted is None:
        return
    target, _, nth = wanted.partition(":")
    if target != name:
        return
    _passes[name] += 1
    if _passes[name] == int(nth or "1"):
        os.kill(os.getpid(), signal.SIGKILL)
