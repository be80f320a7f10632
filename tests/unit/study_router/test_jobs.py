"""The life of a job: every state answers every event, and no order of reports leads anywhere else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product

import pytest

from study_router.domain.jobs import OUTCOME_OF, RULES, Event, Position, State, Step, Verdict, decide, has_ended
from udcmodel.vocabulary import Outcome

# Written out a second time, by hand. Columns are events; a name of a state means that the event leads there,
# "=" that it was true before, "~" that it is stale, "?" not yet, "!" refused.
COLUMNS = [
    *("DISPATCH", "STARTED", "INFERRED", "ACCEPT", "KEEP", "BEGIN_ARCHIVING", "ARCHIVED", "RESULT_FAILED"),
    *("ATTEMPT_LOST", "RETURNED", "FAILED", "INSUFFICIENT", "EXPIRE", "REFUSE", "CANCEL", "SUPERSEDE", "WITHDRAWN"),
]
TABLE = """
PENDING      DISPATCHED ~ ~ ? ? ? ? ? ~ ~ ~ ~ EXPIRED REFUSED CANCELED SUPERSEDED ?
DISPATCHED   = RUNNING INFERRED ? ? ? ? ? PENDING PENDING FAILED INSUFFICIENT EXPIRED REFUSED CANCELED SUPERSEDED ?
RUNNING      = = INFERRED ? ? ? ? ? PENDING PENDING FAILED INSUFFICIENT EXPIRED REFUSED CANCELED SUPERSEDED ?
INFERRED     = = = ACCEPTED ? ? ? ? ~ ~ ~ ~ EXPIRED REFUSED CANCELED SUPERSEDED ?
ACCEPTED     = = = = KEPT ARCHIVING ? FAILED ~ ~ ~ ~ EXPIRED REFUSED CANCELED SUPERSEDED ?
ARCHIVING    = = = = ~ = ARCHIVED FAILED ~ ~ ~ ~ EXPIRED ~ ! ? ?
ARCHIVED     = = = = ~ = = ~ ~ ~ ~ ~ ~ ~ ! SUPERSEDED WITHDRAWN
KEPT         = = = = = ! ~ ~ ~ ~ ~ ~ ~ ~ ! SUPERSEDED ~
REFUSED      ~ ~ ~ ~ ~ ! ~ ~ ~ ~ ~ ~ ~ = ! SUPERSEDED ~
INSUFFICIENT ~ ~ ~ ~ ~ ! ~ ~ ~ ~ ~ = ~ ~ ! SUPERSEDED ~
FAILED       ~ ~ ~ ~ ~ ! ARCHIVED = ~ ~ = ~ ~ ~ ! SUPERSEDED ~
EXPIRED      ~ ~ ~ ~ ~ ! ARCHIVED ~ ~ ~ ~ ~ = ~ ! SUPERSEDED ~
CANCELED     ~ ~ ~ ~ ~ ! ~ ~ ~ ~ ~ ~ ~ ~ = SUPERSEDED ~
SUPERSEDED   ~ ~ ~ ~ ~ ! ~ ~ ~ ~ ~ ~ ~ ~ ! = WITHDRAWN
WITHDRAWN    ~ ~ ~ ~ ~ ! ~ ~ ~ ~ ~ ~ ~ ~ ! ~ =
"""
SIGNS = {"=": Verdict.ALREADY, "~": Verdict.STALE, "?": Verdict.NOT_YET, "!": Verdict.REFUSE}


def by_hand() -> Iterator[tuple[State, Event, Step]]:
    for line in TABLE.strip().splitlines():
        name, *cells = line.split()
        for column, cell in zip(COLUMNS, cells, strict=True):
            state = State(name)
            step = Step(SIGNS[cell], state) if cell in SIGNS else Step(Verdict.APPLY, State(cell))
            yield state, Event(column), step


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_every_pair_is_decided(state: State, event: Event) -> None:
    assert (state, event) in RULES


@pytest.mark.parametrize(("state", "event", "step"), list(by_hand()))
def test_the_table_says_what_was_written_by_hand(state: State, event: Event, step: Step) -> None:
    assert RULES[state, event] == step


def test_every_state_can_be_reached_and_only_ended_ones_are_final() -> None:
    reached = {State.PENDING}
    while True:
        following = {RULES[state, event].state for state, event in product(reached, Event)}
        if following <= reached:
            break
        reached |= following
    assert reached == set(State)
    for state in State:
        leads_on = any(RULES[state, event].verdict is Verdict.APPLY for event in Event)
        assert leads_on or has_ended(state)


def test_every_outcome_but_not_eligible_is_the_end_of_some_job() -> None:
    assert set(OUTCOME_OF.values()) == set(Outcome) - {Outcome.NOT_ELIGIBLE}


@pytest.mark.parametrize(
    "event", [Event.STARTED, Event.INFERRED, Event.ATTEMPT_LOST, Event.RETURNED, Event.FAILED, Event.INSUFFICIENT]
)
@pytest.mark.parametrize("state", list(State))
def test_a_report_of_an_earlier_attempt_is_stale_in_every_state(state: State, event: Event) -> None:
    assert decide(Position(state, 3), event, attempt=2) == Step(Verdict.STALE, state)


def test_a_report_of_an_attempt_not_begun_is_not_yet_due() -> None:
    assert decide(Position(State.PENDING, 0), Event.INFERRED, attempt=1).verdict is Verdict.NOT_YET


def test_a_late_result_of_the_attempt_that_was_lost_is_stale() -> None:
    lost = decide(Position(State.RUNNING, 1), Event.ATTEMPT_LOST, attempt=1)
    assert lost == Step(Verdict.APPLY, State.PENDING)
    assert decide(Position(State.PENDING, 1), Event.INFERRED, attempt=1).verdict is Verdict.STALE


@dataclass(frozen=True)
class Played:
    """A job that reports and commands are played to, as consumers and use cases do."""

    position: Position
    accepted: str = ""

    def take(self, event: Event, attempt: int | None, result: str) -> tuple["Played", Verdict]:
        if event is Event.BEGIN_ARCHIVING and self.accepted and result != self.accepted:
            return self, Verdict.REFUSE
        step = decide(self.position, event, attempt=attempt)
        if step.verdict is not Verdict.APPLY:
            return self, step.verdict
        moved = replace(
            self, position=Position(step.state, self.position.attempt + (1 if event is Event.DISPATCH else 0))
        )
        if event is Event.INFERRED:
            # Inferring and accepting are one transaction of the router.
            return replace(moved, accepted=result).take(Event.ACCEPT, None, result)
        return moved, Verdict.APPLY


NEW = Played(Position(State.PENDING, 0))

Told = tuple[Event, int | None, str]

DISPATCHED: Told = (Event.DISPATCH, None, "")
STARTED: Told = (Event.STARTED, 1, "")
INFERRED: Told = (Event.INFERRED, 1, "result")
BEGUN: Told = (Event.BEGIN_ARCHIVING, None, "result")
ARCHIVED: Told = (Event.ARCHIVED, None, "")
SUPERSEDED: Told = (Event.SUPERSEDE, None, "")


def played(told: Sequence[Told], *, job: Played = NEW) -> Played:
    """Tell ``job`` everything in this order; what is not yet due is told again later, as the consumer does."""
    waiting = list(told)
    while waiting:
        later: list[Told] = []
        for event, attempt, result in waiting:
            job, verdict = job.take(event, attempt, result)
            if verdict is Verdict.NOT_YET:
                later.append((event, attempt, result))
        if len(later) == len(waiting):
            raise AssertionError(f"{later} never became due in {job}")
        waiting = later
    return job


@pytest.mark.parametrize(
    ("told", "end"),
    [
        ((DISPATCHED, STARTED, INFERRED, BEGUN, ARCHIVED), State.ARCHIVED),
        ((DISPATCHED, STARTED, INFERRED, BEGUN), State.ARCHIVING),
        ((DISPATCHED, STARTED, INFERRED), State.ACCEPTED),
        ((DISPATCHED, STARTED, (Event.FAILED, 1, "")), State.FAILED),
        ((DISPATCHED, STARTED, (Event.INSUFFICIENT, 1, "")), State.INSUFFICIENT),
        ((DISPATCHED, STARTED, INFERRED, BEGUN, (Event.RESULT_FAILED, None, "")), State.FAILED),
        ((DISPATCHED, INFERRED, BEGUN, ARCHIVED, (Event.WITHDRAWN, None, "")), State.WITHDRAWN),
        ((DISPATCHED, INFERRED, (Event.KEEP, None, "")), State.KEPT),
    ],
)
def test_all_orders_with_everything_told_twice_end_in_one_state(told: tuple[Told, ...], end: State) -> None:
    for order in permutations(told):
        for doubled in (order, (*order, *order), tuple(item for item in order for _ in range(2))):
            assert played(doubled).position.state is end, order


LOST: Told = (Event.ATTEMPT_LOST, 1, "")
DISPATCHED_AGAIN: Told = (Event.DISPATCH, None, "")
STARTED_AGAIN: Told = (Event.STARTED, 2, "")
INFERRED_AGAIN: Told = (Event.INFERRED, 2, "again")
BEGUN_AGAIN: Told = (Event.BEGIN_ARCHIVING, None, "again")
SECOND_ATTEMPT = played((DISPATCHED, STARTED, LOST, DISPATCHED_AGAIN))
"""A job whose first attempt was lost and whose second is under way."""


@pytest.mark.parametrize(
    ("second", "end", "accepted"),
    [
        ((STARTED_AGAIN, INFERRED_AGAIN), State.ACCEPTED, "again"),
        ((STARTED_AGAIN, (Event.FAILED, 2, "")), State.FAILED, ""),
        ((STARTED_AGAIN, (Event.INSUFFICIENT, 2, "")), State.INSUFFICIENT, ""),
        ((INFERRED_AGAIN, BEGUN_AGAIN, ARCHIVED), State.ARCHIVED, "again"),
        ((INFERRED_AGAIN, BEGUN_AGAIN, (Event.RESULT_FAILED, None, "")), State.FAILED, "again"),
    ],
)
@pytest.mark.parametrize("first", [(STARTED, INFERRED), ((Event.FAILED, 1, ""), LOST), (INFERRED, LOST)], ids=str)
def test_whatever_a_lost_attempt_still_says_between_reports_of_the_next_changes_nothing(
    first: tuple[Told, ...], second: tuple[Told, ...], end: State, accepted: str
) -> None:
    for order in permutations((*first, *second)):
        for doubled in (order, (*order, *order), tuple(item for item in order for _ in range(2))):
            job = played(doubled, job=SECOND_ATTEMPT)
            assert (job.position, job.accepted) == (Position(end, 2), accepted), order


@pytest.mark.parametrize("command", [Event.CANCEL, Event.REFUSE, Event.EXPIRE])
@pytest.mark.parametrize(
    "told",
    [
        (STARTED, INFERRED),
        (STARTED, (Event.FAILED, 1, "")),
        (STARTED, (Event.INSUFFICIENT, 1, "")),
        (STARTED, LOST),
    ],
    ids=str,
)
def test_a_job_that_was_stopped_first_stays_stopped_in_all_orders_of_reports(
    told: tuple[Told, ...], command: Event
) -> None:
    stop: Told = (command, None, "")
    stopped, _ = played((DISPATCHED,)).take(*stop)
    for order in permutations((*told, *told, stop)):
        assert played(order, job=stopped).position == stopped.position, order


@pytest.mark.parametrize("command", [Event.CANCEL, Event.REFUSE])
@pytest.mark.parametrize(
    ("told", "too_late"),
    [
        ((STARTED, INFERRED), set()),
        ((STARTED, INFERRED, BEGUN), {State.ARCHIVING}),
        ((STARTED, INFERRED, BEGUN, ARCHIVED), {State.ARCHIVED}),
        ((STARTED, (Event.FAILED, 1, "")), {State.FAILED}),
    ],
    ids=str,
)
def test_a_stop_among_reports_ends_the_job_once_and_that_is_what_stays(
    told: tuple[Told, ...], too_late: set[State], command: Event
) -> None:
    """Which comes first decides, and nothing that comes again after it decides otherwise."""
    stopped = State.CANCELED if command is Event.CANCEL else State.REFUSED
    for order in permutations((*told, (command, None, ""))):
        job = played(order, job=played((DISPATCHED,)))
        assert job.position.state in {stopped, *too_late}, order
        for again in permutations(order):
            assert played(again, job=job) == job, (order, again)


def test_an_archived_result_and_a_failed_delivery_in_any_order_are_archived() -> None:
    failed: Told = (Event.RESULT_FAILED, None, "")
    before = (DISPATCHED, INFERRED, BEGUN)
    for order in permutations((ARCHIVED, failed, ARCHIVED, failed)):
        assert played((*before, *order)).position.state is State.ARCHIVED


@pytest.mark.parametrize("command", [Event.CANCEL, Event.REFUSE])
def test_what_stops_a_job_works_exactly_until_the_line(command: Event) -> None:
    path = (DISPATCHED, STARTED, INFERRED, BEGUN, ARCHIVED)
    for place in range(len(path) + 1):
        told = (*path[:place], (command, None, ""), *path[place:])
        job = NEW
        for event, attempt, result in told:
            job, _ = job.take(event, attempt, result)
        is_before_the_line = place <= path.index(BEGUN)
        stopped = State.CANCELED if command is Event.CANCEL else State.REFUSED
        assert job.position.state is (stopped if is_before_the_line else State.ARCHIVED), place


def test_superseding_waits_for_archiving_and_then_wins_wherever_it_comes() -> None:
    path = (DISPATCHED, STARTED, INFERRED, BEGUN, ARCHIVED)
    for place in range(len(path) + 1):
        told = [*path[:place], SUPERSEDED, *path[place:]]
        job = NEW
        for _ in range(2):
            for event, attempt, result in told:
                job, _ = job.take(event, attempt, result)
        assert job.position.state is State.SUPERSEDED, place


def test_a_device_that_answers_differently_on_a_redelivery_has_one_accepted_result() -> None:
    other: Told = (Event.INFERRED, 1, "other")
    for order in permutations((DISPATCHED, STARTED, INFERRED, other, INFERRED)):
        job = played(order)
        first = next(item for item in order if item[0] is Event.INFERRED)
        assert job.position.state is State.ACCEPTED
        assert job.accepted in {"result", "other"}
        if order.index(DISPATCHED) < order.index(first):
            assert job.accepted == first[2]


def test_another_result_than_the_accepted_one_never_crosses_the_line() -> None:
    job = played((DISPATCHED, INFERRED))
    _, verdict = job.take(Event.BEGIN_ARCHIVING, None, "other")
    assert verdict is Verdict.REFUSE
