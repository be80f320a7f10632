"""How far a run is, for people who wait."""

import itertools
from dataclasses import dataclass
from enum import IntEnum, unique


@unique
class Stage(IntEnum):
    """What a run is doing, in the order in which it does it."""

    RETRIEVING = 1
    INFERRING = 2
    INTERPRETING = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Where a run is: ``retrieved`` of ``wanted`` images have come."""

    stage: Stage
    retrieved: int
    wanted: int


class Progress:
    """Where a run is now; told from several threads, and never goes back.

    Args:
        wanted: How many images come.
    """

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._stage = Stage.RETRIEVING
        # Counted by ``next``, which no other thread can interrupt.
        self._counter = itertools.count(1)
        self._retrieved = 0

    def image_came(self) -> None:
        """Note that one more image has come."""
        self._retrieved = max(self._retrieved, next(self._counter))

    def enter(self, stage: Stage) -> None:
        """Note that a stage begins."""
        self._stage = stage

    @property
    def reached(self) -> Reached:
        """Where the run is."""
        return Reached(stage=self._stage, retrieved=self._retrieved, wanted=self._wanted)
