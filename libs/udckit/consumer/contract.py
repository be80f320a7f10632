"""What a service says about the events it consumes: handlers, policy, and what an error leads to."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Final, Protocol, runtime_checkable

from sqlalchemy import Connection

from udckit.consumer.gaps import AskAgain
from udckit.envelope import Event
from udckit.errors import Kind

Effect = Callable[[Connection], None]
"""Statements that make the handling of an event true; may run more than once, and does nothing else."""


@runtime_checkable
class Telling(Protocol):
    """An effect that tells something when it is durable, such as a metric; nothing may depend on it."""

    def committed(self) -> None:
        """Tell it; called once, after the commit."""


Handler = Callable[[Event], Awaitable[Effect | None]]
"""Does the slow work on an event. May run more than once for one event, at most one effect is kept."""

OnDeadLetter = Callable[[Event, str, str], Effect]
"""Given event, reason and detail: the statements that tell the event's owner that it was given up."""


class Settlement(Enum):
    """What happens to an event whose handling failed."""

    DEAD_LETTER = auto()
    """No repetition can help."""
    RETRY_SOON = auto()
    """Somebody else was faster; at once again, a few times, and then like RETRY_LATER."""
    RETRY_LATER = auto()
    """Counts as an attempt; again after a pause, and then a dead letter."""
    WAIT = auto()
    """A dependency is away: no attempt is counted, and nothing is fetched until a probe succeeds."""


SETTLEMENT_OF: Final[Mapping[Kind, Settlement]] = MappingProxyType(
    {
        Kind.INVALID: Settlement.DEAD_LETTER,
        Kind.NOT_FOUND: Settlement.DEAD_LETTER,
        Kind.PRECONDITION: Settlement.DEAD_LETTER,
        Kind.DENIED: Settlement.DEAD_LETTER,
        Kind.CONFLICT: Settlement.RETRY_SOON,
        Kind.TIMED_OUT: Settlement.RETRY_LATER,
        Kind.UNAUTHENTICATED: Settlement.RETRY_LATER,
        Kind.INTERNAL: Settlement.RETRY_LATER,
        Kind.UNAVAILABLE: Settlement.WAIT,
        Kind.OVERLOADED: Settlement.WAIT,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a consumer works.

    Attributes:
        concurrency: How many events are worked on at once.
        batch: How many messages are fetched at once at most.
        limit_s: How long a handler may take; afterwards it is cancelled and has failed.
        heartbeat_s: How often the broker is told that work goes on; less than half the durable's ``ack_wait``.
        backoff_s: Pauses before the second, third … attempt; when they are used up the event is a dead letter.
        conflict_retries: How often a conflict is repeated at once.
        probe_s: Shortest and longest time between probes of a dependency that is away.
        fetch_s: How long one fetch waits for messages; a broker that restarts meanwhile is noticed after it.
        drain_s: How long work that is under way may take to finish at the end.
        replay_look_s: How often requested replays are looked for.
        notice_gaps: Asks a source for missing events; only for a consumer that sees everything.
    """

    concurrency: int = 64
    batch: int = 64
    limit_s: float = 300.0
    heartbeat_s: float = 10.0
    backoff_s: Sequence[float] = (1.0, 5.0, 30.0, 120.0)
    conflict_retries: int = 5
    probe_s: tuple[float, float] = (1.0, 30.0)
    fetch_s: float = 2.0
    drain_s: float = 10.0
    replay_look_s: float = 2.0
    notice_gaps: AskAgain | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What a consumer takes, and what it does with it.

    Attributes:
        stream: The stream.
        durable: The durable consumer on it, which exists already; also the name under which the inbox remembers.
        handlers: By full protobuf name of the event's type; events of other types are acknowledged and forgotten.
        policy: How it works.
        on_dead_letter: Reports an event that is given up to its owner, in the same transaction.
    """

    stream: str
    durable: str
    handlers: Mapping[str, Handler]
    policy: Policy = Policy()
    on_dead_letter: OnDeadLetter | None = None
