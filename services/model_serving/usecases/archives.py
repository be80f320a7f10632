"""Which archives cannot be read from now: their jobs wait elsewhere, and those of other archives go on."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from model_serving.ports import ArchiveAwayError, ArchiveProbe, Registry
from udckit.errors import ServiceError
from udcmodel.grant import ArchiveRecord


@dataclass(slots=True)
class _Away:
    why: str
    pause_s: float
    probe_at: float


class Archives:
    """A breaker for each archive: while one is away it is asked nothing but a small question from time to time.

    Args:
        registry: Where archives are.
        probe: Asks the small question.
        shortest_s: Time from the failure to the first probe; doubles with each probe that fails.
        longest_s: Most time between two probes.
    """

    def __init__(
        self, registry: Registry, probe: ArchiveProbe, *, shortest_s: float = 1.0, longest_s: float = 30.0
    ) -> None:
        self._registry = registry
        self._probe = probe
        self._shortest_s = shortest_s
        self._longest_s = longest_s
        self._away: dict[str, _Away] = {}
        self._lost = asyncio.Event()

    @property
    def away(self) -> Mapping[str, str]:
        """Why each archive that is away is so."""
        return {name: away.why for name, away in self._away.items()}

    def reached(self, name: str) -> ArchiveRecord:
        """Return the record of an archive that is not known to be away.

        Raises:
            ArchiveAwayError: it is, or the registry does not have it yet.
        """
        if name in self._away:
            raise ArchiveAwayError(self._away[name].why, archive=name)
        record = self._registry.archive(name)
        if record is None:
            # The registry is written after the study: a moment later it is there, or a deadline ends the wait.
            raise ArchiveAwayError(f"archive {name} is not in the registry", archive=name)
        return record

    def lost(self, error: ArchiveAwayError) -> None:
        """Note that a job could not read from an archive."""
        if error.archive not in self._away:
            due = time.monotonic() + self._shortest_s
            self._away[error.archive] = _Away(error.message, self._shortest_s, due)
            self._lost.set()

    async def watch(self) -> None:
        """Probe what is away until cancelled."""
        while True:
            await self._lost.wait()
            await asyncio.sleep(self._shortest_s)
            now = time.monotonic()
            await asyncio.gather(*(self._try(name) for name, away in self._away.items() if away.probe_at <= now))
            if not self._away:
                self._lost.clear()

    async def _try(self, name: str) -> None:
        away = self._away[name]
        try:
            record = self._registry.archive(name)
            if record is not None:
                await self._probe.probe(record)
                del self._away[name]
                return
        except ServiceError as error:
            away.why = error.message
        away.pause_s = min(2 * away.pause_s, self._longest_s)
        away.probe_at = time.monotonic() + away.pause_s
