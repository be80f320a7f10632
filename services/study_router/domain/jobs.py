"""The life of a job, as a table: every state answers every event.

Reports of other services come late, twice and in any order, and none of that is an error. The attempt number fences: a
report of an attempt that is over is stale, one of an attempt that we have not begun is not yet due.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final

from udcmodel.vocabulary import Outcome


@unique
class State(StrEnum):
    """Where a job is."""

    PENDING = "PENDING"
    DISPATCHED = "DISPATCHED"
    RUNNING = "RUNNING"
    INFERRED = "INFERRED"
    ACCEPTED = "ACCEPTED"
    ARCHIVING = "ARCHIVING"
    ARCHIVED = "ARCHIVED"
    KEPT = "KEPT"
    REFUSED = "REFUSED"
    INSUFFICIENT = "INSUFFICIENT"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    CANCELED = "CANCELED"
    SUPERSEDED = "SUPERSEDED"
    WITHDRAWN = "WITHDRAWN"


OUTCOME_OF: Final[Mapping[State, Outcome]] = MappingProxyType(
    {State(outcome.value): outcome for outcome in Outcome if outcome is not Outcome.NOT_ELIGIBLE}
)
"""The states in which a job has ended, and what came of it. A study that is not eligible has no job."""

WORKING: Final = frozenset({State.DISPATCHED, State.RUNNING})
"""A worker has the job, or is about to: it takes a slot of its pool."""


@unique
class Event(StrEnum):
    """What can happen to a job."""

    DISPATCH = "DISPATCH"
    """The router hands it to a pool; begins an attempt."""
    STARTED = "STARTED"
    """A worker has taken it."""
    INFERRED = "INFERRED"
    """A worker has a result."""
    ACCEPT = "ACCEPT"
    """The router takes that result as the only one."""
    KEEP = "KEEP"
    """Shadow mode: the accepted result goes nowhere."""
    BEGIN_ARCHIVING = "BEGIN_ARCHIVING"
    """The archiver asks to begin; after it archiving finishes."""
    ARCHIVED = "ARCHIVED"
    """Every destination holds the result."""
    RESULT_FAILED = "RESULT_FAILED"
    """A destination cannot take the result."""
    ATTEMPT_LOST = "ATTEMPT_LOST"
    """The attempt failed or ran out of time, and another is allowed."""
    RETURNED = "RETURNED"
    """The worker gives it back: it lacks something that other jobs may not need. No attempt is used up."""
    FAILED = "FAILED"
    """It cannot succeed, or has used its attempts."""
    INSUFFICIENT = "INSUFFICIENT"
    """The input is unsuitable."""
    EXPIRE = "EXPIRE"
    """A deadline passed for good."""
    REFUSE = "REFUSE"
    """The device may not run here any more."""
    CANCEL = "CANCEL"
    """A person, or the quarantine of the study, stops it."""
    SUPERSEDE = "SUPERSEDE"
    """Another job took its place."""
    WITHDRAWN = "WITHDRAWN"
    """The result was taken back from its destinations."""


ATTEMPT_EVENTS: Final = frozenset(
    {Event.STARTED, Event.INFERRED, Event.ATTEMPT_LOST, Event.RETURNED, Event.FAILED, Event.INSUFFICIENT}
)
"""Events that belong to one attempt and are fenced by its number."""


@unique
class Verdict(StrEnum):
    """What an event does to a job."""

    APPLY = "APPLY"
    """It changes the state."""
    ALREADY = "ALREADY"
    """It was true before."""
    STALE = "STALE"
    """It has been overtaken; recorded, without effect."""
    NOT_YET = "NOT_YET"
    """Something before it is still missing; try again later."""
    REFUSE = "REFUSE"
    """The state forbids this command."""


@dataclass(frozen=True, slots=True)
class Step:
    """The answer of one state to one event; ``state`` is the next one and differs only with ``APPLY``."""

    verdict: Verdict
    state: State


_S = State
_E = Event


def _row(state: State, answers: Mapping[Event, State | Verdict]) -> dict[tuple[State, Event], Step]:
    return {
        (state, event): Step(Verdict.APPLY, answer) if isinstance(answer, State) else Step(answer, state)
        for event, answer in answers.items()
    }


_ALREADY, _STALE, _NOT_YET, _REFUSE = Verdict.ALREADY, Verdict.STALE, Verdict.NOT_YET, Verdict.REFUSE

_REPORTS_TOO_LATE: Final[Mapping[Event, State | Verdict]] = {
    _E.STARTED: _STALE,
    _E.INFERRED: _STALE,
    _E.ATTEMPT_LOST: _STALE,
    _E.RETURNED: _STALE,
    _E.FAILED: _STALE,
    _E.INSUFFICIENT: _STALE,
    _E.ACCEPT: _STALE,
    _E.KEEP: _STALE,
    _E.EXPIRE: _STALE,
    _E.REFUSE: _STALE,
    _E.DISPATCH: _STALE,
}
"""What an ended job answers to what its workers and the router's own timers still say."""

_WITHOUT_RESULT: Final[Mapping[Event, State | Verdict]] = {
    **_REPORTS_TOO_LATE,
    _E.BEGIN_ARCHIVING: _REFUSE,
    _E.RESULT_FAILED: _STALE,
    _E.ARCHIVED: _STALE,
    _E.CANCEL: _REFUSE,
    _E.SUPERSEDE: _S.SUPERSEDED,
    _E.WITHDRAWN: _STALE,
}
"""What a job answers that ended without a result anywhere."""

_BEFORE_ACCEPTANCE: Final[Mapping[Event, State | Verdict]] = {
    _E.EXPIRE: _S.EXPIRED,
    _E.REFUSE: _S.REFUSED,
    _E.CANCEL: _S.CANCELED,
    _E.SUPERSEDE: _S.SUPERSEDED,
    _E.ACCEPT: _NOT_YET,
    _E.KEEP: _NOT_YET,
    _E.BEGIN_ARCHIVING: _NOT_YET,
    _E.ARCHIVED: _NOT_YET,
    _E.RESULT_FAILED: _NOT_YET,
    _E.WITHDRAWN: _NOT_YET,
}

RULES: Final[Mapping[tuple[State, Event], Step]] = MappingProxyType(
    {
        **_row(
            _S.PENDING,
            {
                **_BEFORE_ACCEPTANCE,
                _E.DISPATCH: _S.DISPATCHED,
                # The fence lets through only what belongs to the attempt in hand, and here there is none.
                _E.STARTED: _STALE,
                _E.INFERRED: _STALE,
                _E.ATTEMPT_LOST: _STALE,
                _E.RETURNED: _STALE,
                _E.FAILED: _STALE,
                _E.INSUFFICIENT: _STALE,
            },
        ),
        **_row(
            _S.DISPATCHED,
            {
                **_BEFORE_ACCEPTANCE,
                _E.DISPATCH: _ALREADY,
                _E.STARTED: _S.RUNNING,
                # A later fact implies the earlier one.
                _E.INFERRED: _S.INFERRED,
                _E.ATTEMPT_LOST: _S.PENDING,
                _E.RETURNED: _S.PENDING,
                _E.FAILED: _S.FAILED,
                _E.INSUFFICIENT: _S.INSUFFICIENT,
            },
        ),
        **_row(
            _S.RUNNING,
            {
                **_BEFORE_ACCEPTANCE,
                _E.DISPATCH: _ALREADY,
                _E.STARTED: _ALREADY,
                _E.INFERRED: _S.INFERRED,
                _E.ATTEMPT_LOST: _S.PENDING,
                _E.RETURNED: _S.PENDING,
                _E.FAILED: _S.FAILED,
                _E.INSUFFICIENT: _S.INSUFFICIENT,
            },
        ),
        **_row(
            _S.INFERRED,
            {
                **_BEFORE_ACCEPTANCE,
                _E.DISPATCH: _ALREADY,
                _E.STARTED: _ALREADY,
                _E.INFERRED: _ALREADY,
                # The result is there: what the worker says after it cannot take it away.
                _E.ATTEMPT_LOST: _STALE,
                _E.RETURNED: _STALE,
                _E.FAILED: _STALE,
                _E.INSUFFICIENT: _STALE,
                _E.ACCEPT: _S.ACCEPTED,
            },
        ),
        **_row(
            _S.ACCEPTED,
            {
                _E.DISPATCH: _ALREADY,
                _E.STARTED: _ALREADY,
                _E.INFERRED: _ALREADY,
                _E.ATTEMPT_LOST: _STALE,
                _E.RETURNED: _STALE,
                _E.FAILED: _STALE,
                _E.INSUFFICIENT: _STALE,
                _E.ACCEPT: _ALREADY,
                _E.KEEP: _S.KEPT,
                _E.BEGIN_ARCHIVING: _S.ARCHIVING,
                _E.ARCHIVED: _NOT_YET,
                # The archiver may find before its first STOW that it cannot build or place the result.
                _E.RESULT_FAILED: _S.FAILED,
                _E.EXPIRE: _S.EXPIRED,
                _E.REFUSE: _S.REFUSED,
                _E.CANCEL: _S.CANCELED,
                _E.SUPERSEDE: _S.SUPERSEDED,
                _E.WITHDRAWN: _NOT_YET,
            },
        ),
        **_row(
            _S.ARCHIVING,
            {
                _E.DISPATCH: _ALREADY,
                _E.STARTED: _ALREADY,
                _E.INFERRED: _ALREADY,
                _E.ATTEMPT_LOST: _STALE,
                _E.RETURNED: _STALE,
                _E.FAILED: _STALE,
                _E.INSUFFICIENT: _STALE,
                _E.ACCEPT: _ALREADY,
                _E.KEEP: _STALE,
                _E.BEGIN_ARCHIVING: _ALREADY,
                _E.ARCHIVED: _S.ARCHIVED,
                _E.RESULT_FAILED: _S.FAILED,
                _E.EXPIRE: _S.EXPIRED,
                # The line is crossed: these come too late, and a withdrawal may follow.
                _E.REFUSE: _STALE,
                _E.CANCEL: _REFUSE,
                _E.SUPERSEDE: _NOT_YET,
                _E.WITHDRAWN: _NOT_YET,
            },
        ),
        **_row(
            _S.ARCHIVED,
            {
                **_REPORTS_TOO_LATE,
                _E.DISPATCH: _ALREADY,
                _E.STARTED: _ALREADY,
                _E.INFERRED: _ALREADY,
                _E.ACCEPT: _ALREADY,
                _E.BEGIN_ARCHIVING: _ALREADY,
                _E.ARCHIVED: _ALREADY,
                _E.RESULT_FAILED: _STALE,
                _E.CANCEL: _REFUSE,
                _E.SUPERSEDE: _S.SUPERSEDED,
                _E.WITHDRAWN: _S.WITHDRAWN,
            },
        ),
        **_row(
            _S.KEPT,
            {
                **_REPORTS_TOO_LATE,
                _E.DISPATCH: _ALREADY,
                _E.STARTED: _ALREADY,
                _E.INFERRED: _ALREADY,
                _E.ACCEPT: _ALREADY,
                _E.KEEP: _ALREADY,
                _E.BEGIN_ARCHIVING: _REFUSE,
                _E.ARCHIVED: _STALE,
                _E.RESULT_FAILED: _STALE,
                _E.CANCEL: _REFUSE,
                _E.SUPERSEDE: _S.SUPERSEDED,
                _E.WITHDRAWN: _STALE,
            },
        ),
        **_row(_S.REFUSED, {**_WITHOUT_RESULT, _E.REFUSE: _ALREADY}),
        **_row(_S.INSUFFICIENT, {**_WITHOUT_RESULT, _E.INSUFFICIENT: _ALREADY}),
        **_row(
            _S.FAILED,
            # A set of objects that was completed after all is in the archive, and the state says so.
            {**_WITHOUT_RESULT, _E.FAILED: _ALREADY, _E.RESULT_FAILED: _ALREADY, _E.ARCHIVED: _S.ARCHIVED},
        ),
        **_row(_S.EXPIRED, {**_WITHOUT_RESULT, _E.EXPIRE: _ALREADY, _E.ARCHIVED: _S.ARCHIVED}),
        **_row(_S.CANCELED, {**_WITHOUT_RESULT, _E.CANCEL: _ALREADY}),
        **_row(_S.SUPERSEDED, {**_WITHOUT_RESULT, _E.SUPERSEDE: _ALREADY, _E.WITHDRAWN: _S.WITHDRAWN}),
        **_row(_S.WITHDRAWN, {**_WITHOUT_RESULT, _E.SUPERSEDE: _STALE, _E.WITHDRAWN: _ALREADY}),
    }
)
"""Every (state, event) pair, decided."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a job is, and in which attempt (0 before the first)."""

    state: State
    attempt: int


def decide(position: Position, event: Event, *, attempt: int | None = None) -> Step:
    """Return what ``event`` does to a job.

    Args:
        position: State and attempt of the job now.
        event: What happened.
        attempt: Attempt that the event tells of; None for events that belong to none.
    """
    if event in ATTEMPT_EVENTS and attempt is not None:
        if attempt > position.attempt:
            return Step(Verdict.NOT_YET, position.state)
        if attempt < position.attempt:
            return Step(Verdict.STALE, position.state)
    return RULES[position.state, event]


def has_ended(state: State) -> bool:
    """Say whether nothing more is expected of a job in ``state``."""
    return state in OUTCOME_OF
