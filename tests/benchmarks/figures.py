"""What is measured and how it is judged: ratios of things timed in turn in one run, never absolute promises."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


class MeasurementFailedError(Exception):
    """A row could not be measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How a run is made.

    Attributes:
        folder: Phantoms are kept here from run to run; nothing else is.
        rounds: How often everything is measured, in turn.
        is_quick: Smaller amounts: shows that the row works, not what it is worth.
    """

    folder: Path
    rounds: int
    is_quick: bool


@dataclass(frozen=True, slots=True)
class Goal:
    """Where a median shall lie."""

    value: float
    at_least: bool

    def is_met_by(self, median: float) -> bool:
        """Say whether ``median`` is good enough."""
        return median >= self.value if self.at_least else median <= self.value

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.value:g}"


def at_least(value: float) -> Goal:
    """Return the goal of a median that is not below ``value``."""
    return Goal(value, at_least=True)


def at_most(value: float) -> Goal:
    """Return the goal of a median that is not above ``value``."""
    return Goal(value, at_least=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Something measured once a round.

    Attributes:
        what: In words.
        unit: ``×`` for a ratio.
        values: One for each round, in order.
        goal: For the median; None where the figure only explains others.
    """

    what: str
    unit: str
    values: Sequence[float]
    goal: Goal | None = None

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    @property
    def verdict(self) -> str:
        """``met``, ``missed``, or nothing where there is no goal."""
        if self.goal is None:
            return ""
        return "met" if self.goal.is_met_by(self.median) else "missed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The figures of one row.

    Attributes:
        title: What was done.
        settings: What the figures depend on: amounts, and what is synced to the disk when.
        figures: Ratios first.
    """

    title: str
    settings: Sequence[str]
    figures: Sequence[Figure]


@dataclass(slots=True)
class Timings:
    """Seconds of several ways of doing the same thing, measured in turn."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, way: str, seconds: float) -> None:
        """Note one measurement."""
        self.seconds.setdefault(way, []).append(seconds)

    def rates(self, way: str, amount: float) -> list[float]:
        """Return ``amount`` a second, for each round."""
        return [amount / seconds for seconds in self.seconds[way]]

    def speed_against(self, way: str, reference: str) -> list[float]:
        """Return for each round how many times as fast as ``reference`` a way is; above 1 it is faster."""
        return [other / own for own, other in zip(self.seconds[way], self.seconds[reference], strict=True)]

    def time_against(self, way: str, reference: str) -> list[float]:
        """Return for each round how many times as long as ``reference`` a way takes."""
        return [own / other for own, other in zip(self.seconds[way], self.seconds[reference], strict=True)]
