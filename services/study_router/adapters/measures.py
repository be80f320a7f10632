"""What those who run a region watch: how much is open, how old it is, and what becomes of studies."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from opentelemetry.metrics import CallbackOptions, Observation
from sqlalchemy import Connection, func, select

from study_router.adapters.tables import JOBS, STUDIES
from study_router.domain.announcements import Announcement, OutcomeDecided, StudyQuarantined
from study_router.domain.jobs import State, has_ended
from study_router.domain.studies import StudyState
from udckit import telemetry
from udckit.clock import Clock
from udckit.database import Database
from udckit.errors import UpstreamUnavailableError
from udckit.roles import Lease

_UNFINISHED: Final = tuple(state for state in State if not has_ended(state))
_OPEN: Final = (StudyState.OPEN, StudyState.QUARANTINED)

_meter: Final = telemetry.meter()
_outcomes: Final = _meter.create_counter("udc.router.outcomes", unit="{outcome}")
_quarantines: Final = _meter.create_counter("udc.router.quarantines", unit="{study}")


def count(announcements: Iterable[Announcement]) -> None:
    """Count what has become durable; call it after the commit, once."""
    for announcement in announcements:
        match announcement:
            case OutcomeDecided():
                _outcomes.add(
                    1,
                    {
                        "udc.device": announcement.device,
                        "udc.outcome": announcement.outcome.value,
                        "udc.reason": announcement.ending.reason,
                    },
                )
            case StudyQuarantined():
                _quarantines.add(1)


@dataclass(frozen=True, slots=True)
class Open:
    """What has not ended.

    Attributes:
        studies: Number by state.
        jobs: Number by state.
        oldest: When the oldest of those jobs was made.
    """

    studies: Mapping[StudyState, int]
    jobs: Mapping[State, int]
    oldest: datetime | None


def read_open(connection: Connection) -> Open:
    """Count what has not ended."""
    studies = connection.execute(
        select(STUDIES.c.state, func.count())
        .where(STUDIES.c.state.in_([state.value for state in _OPEN]))
        .group_by(STUDIES.c.state)
    )
    jobs = connection.execute(
        select(JOBS.c.state, func.count(), func.min(JOBS.c.created_at))
        .where(JOBS.c.state.in_([state.value for state in _UNFINISHED]))
        .group_by(JOBS.c.state)
    ).all()
    return Open(
        studies={StudyState(state): number for state, number in studies},
        jobs={State(state): number for state, number, _ in jobs},
        oldest=min((oldest for _, _, oldest in jobs), default=None),
    )


class Measuring:
    """Tells what is open, in the one replica that holds the role: sums over replicas are right.

    Args:
        database: What is counted.
        clock: Time.
        every_s: Pause between looks.
    """

    def __init__(self, database: Database, clock: Clock, *, every_s: float) -> None:
        self._database = database
        self._clock = clock
        self._every_s = every_s
        self._found: Open | None = None
        _meter.create_observable_gauge("udc.router.studies", callbacks=[self.studies], unit="{study}")
        _meter.create_observable_gauge("udc.router.jobs", callbacks=[self.jobs], unit="{job}")
        _meter.create_observable_gauge("udc.router.oldest_job", callbacks=[self.oldest_job], unit="s")

    async def run(self, lease: Lease) -> None:  # noqa: ARG002 - it writes nothing that a lease would have to guard
        """Look for as long as the lease is ours; never returns."""
        try:
            while True:
                try:
                    self._found = await self._database.read(read_open)
                except UpstreamUnavailableError:
                    self._found = None  # an old number would look like a new one
                await asyncio.sleep(self._every_s)
        finally:
            self._found = None

    def studies(self, _: CallbackOptions) -> Iterable[Observation]:
        """Return the number of studies in each state that is not the end; nothing without the role."""
        if self._found is not None:
            for state in _OPEN:
                yield Observation(self._found.studies.get(state, 0), {"udc.state": state.value})

    def jobs(self, _: CallbackOptions) -> Iterable[Observation]:
        """Return the number of jobs in each such state."""
        if self._found is not None:
            for state in _UNFINISHED:
                yield Observation(self._found.jobs.get(state, 0), {"udc.state": state.value})

    def oldest_job(self, _: CallbackOptions) -> Iterable[Observation]:
        """Return how long ago the oldest of those jobs was made, in seconds; 0 when there is none."""
        if self._found is not None:
            oldest = self._found.oldest
            yield Observation(0.0 if oldest is None else max(0.0, (self._clock.now() - oldest).total_seconds()))
