"""The life of a delivery is a table: every event has an answer in every state, in any order."""

from itertools import permutations, product

import pytest

from result_archiver.domain.delivery import ENDED, RULES, Answer, Event, State

WRITTEN_AGAIN: dict[State, dict[Event, State | Answer]] = {
    State.BUILT: {
        Event.GRANTED: State.STORING,
        Event.REFUSED: State.STOPPED,
        Event.VERIFIED: Answer.NOT_YET,
        Event.FAILED: State.FAILED,
    },
    State.STORING: {
        Event.GRANTED: Answer.ALREADY,
        Event.REFUSED: Answer.STALE,
        Event.VERIFIED: State.ARCHIVED,
        Event.FAILED: State.FAILED,
    },
    State.ARCHIVED: {
        Event.GRANTED: Answer.ALREADY,
        Event.REFUSED: Answer.STALE,
        Event.VERIFIED: Answer.ALREADY,
        Event.FAILED: Answer.STALE,
    },
    State.STOPPED: {
        Event.GRANTED: Answer.STALE,
        Event.REFUSED: Answer.ALREADY,
        Event.VERIFIED: Answer.STALE,
        Event.FAILED: Answer.STALE,
    },
    State.FAILED: {
        Event.GRANTED: Answer.STALE,
        Event.REFUSED: Answer.STALE,
        Event.VERIFIED: Answer.STALE,
        Event.FAILED: Answer.ALREADY,
    },
}


def after(state: State, event: Event) -> State:
    answer = RULES[state, event]
    return answer if isinstance(answer, State) else state


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_every_pair_is_decided_as_it_was_meant(state: State, event: Event) -> None:
    assert RULES[state, event] == WRITTEN_AGAIN[state][event]


def test_what_has_ended_never_moves_again() -> None:
    assert all(after(state, event) is state for state, event in product(ENDED, Event))


def test_every_state_can_be_reached() -> None:
    reached = {State.BUILT}
    for _ in State:
        reached |= {after(state, event) for state, event in product(reached, Event)}
    assert reached == set(State)


@pytest.mark.parametrize("order", list(permutations([Event.REFUSED, Event.REFUSED, Event.GRANTED, Event.VERIFIED])))
def test_nothing_is_archived_that_was_not_granted_first(order: tuple[Event, ...]) -> None:
    state, granted = State.BUILT, False
    for event in order:
        granted = granted or (event is Event.GRANTED and state is State.BUILT)
        state = after(state, event)
    assert granted or state is not State.ARCHIVED
