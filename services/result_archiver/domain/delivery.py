"""The life of one result on its way to one archive."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final


@unique
class State(StrEnum):
    """Where a delivery stands; a delivery exists from the moment its objects are committed or given up."""

    BUILT = "BUILT"
    """Objects and UIDs are committed; nothing was sent."""
    STORING = "STORING"
    """The router has agreed: objects may be in the archive."""
    ARCHIVED = "ARCHIVED"
    """Every object was read back."""
    STOPPED = "STOPPED"
    """The device may not, or nobody wants it any more; nothing was sent."""
    FAILED = "FAILED"
    """It cannot be archived."""


@unique
class Event(StrEnum):
    """What happens to a delivery."""

    GRANTED = "GRANTED"
    REFUSED = "REFUSED"
    VERIFIED = "VERIFIED"
    FAILED = "FAILED"


@unique
class Answer(StrEnum):
    """What becomes of an event in a state where it changes nothing."""

    ALREADY = "ALREADY"
    """It was true before."""
    STALE = "STALE"
    """It comes too late: the delivery has ended otherwise, or is past the line."""
    NOT_YET = "NOT_YET"
    """Something that must come first has not happened."""


RULES: Final[Mapping[tuple[State, Event], State | Answer]] = MappingProxyType(
    {
        (State.BUILT, Event.GRANTED): State.STORING,
        (State.BUILT, Event.REFUSED): State.STOPPED,
        (State.BUILT, Event.VERIFIED): Answer.NOT_YET,
        (State.BUILT, Event.FAILED): State.FAILED,
        (State.STORING, Event.GRANTED): Answer.ALREADY,
        (State.STORING, Event.REFUSED): Answer.STALE,
        (State.STORING, Event.VERIFIED): State.ARCHIVED,
        (State.STORING, Event.FAILED): State.FAILED,
        (State.ARCHIVED, Event.GRANTED): Answer.ALREADY,
        (State.ARCHIVED, Event.REFUSED): Answer.STALE,
        (State.ARCHIVED, Event.VERIFIED): Answer.ALREADY,
        (State.ARCHIVED, Event.FAILED): Answer.STALE,
        (State.STOPPED, Event.GRANTED): Answer.STALE,
        (State.STOPPED, Event.REFUSED): Answer.ALREADY,
        (State.STOPPED, Event.VERIFIED): Answer.STALE,
        (State.STOPPED, Event.FAILED): Answer.STALE,
        (State.FAILED, Event.GRANTED): Answer.STALE,
        (State.FAILED, Event.REFUSED): Answer.STALE,
        (State.FAILED, Event.VERIFIED): Answer.STALE,
        (State.FAILED, Event.FAILED): Answer.ALREADY,
    }
)
"""What every event means in every state."""

ENDED: Final = frozenset({State.ARCHIVED, State.STOPPED, State.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryKey:
    """One result on its way to one archive."""

    job: str
    result_digest: str
    archive: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A delivery as it is stored. ``reason`` and ``detail`` say why it stopped or failed."""

    key: DeliveryKey
    state: State
    reason: str = ""
    detail: str = ""
