"""Silence has to last for as long as the sender usually pauses."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study_router.domain.quiet import MIN_STUDIES, Pauses, Sender, learnt_quiet, pauses_of, usual
from study_router.domain.readiness import Quiet
from study_router.domain.stacks import Stack
from unit.study_router.phantoms import NOON, stacks_of_phantom

SETTING = Quiet(stack=timedelta(seconds=15), study=timedelta(minutes=10))
LONGEST = Quiet(stack=timedelta(minutes=2), study=timedelta(hours=1))
CT1 = Sender("hospital", "CT1")
CT2 = Sender("hospital", "CT2")
seconds = st.integers(min_value=0, max_value=7200).map(lambda value: timedelta(seconds=value))
maybe = st.none() | seconds
studies = st.lists(st.builds(Pauses, maybe, maybe), max_size=220)


def stack(*arrivals: int, station: str = "CT1") -> Stack:
    """Return a stack whose images came so many seconds after noon."""
    [example, *_] = stacks_of_phantom("dx")
    headers = tuple(replace(header, station=station) for header in example.headers)
    return replace(example, headers=headers, arrivals=tuple(NOON + timedelta(seconds=at) for at in arrivals))


def steady(stack_s: float, study_s: float, count: int) -> list[Pauses]:
    return [Pauses(timedelta(seconds=stack_s), timedelta(seconds=study_s))] * count


def test_the_longest_pause_of_a_study_is_what_is_learnt_from_it() -> None:
    found = pauses_of([stack(0, 2, 42, 44), stack(350, 351), stack(400)], longest=LONGEST)
    assert found == {CT1: Pauses(stack=timedelta(seconds=40), study=timedelta(seconds=306))}


def test_a_single_image_says_nothing_and_stacks_side_by_side_have_no_pause_between_them() -> None:
    assert pauses_of([stack(0)], longest=LONGEST) == {CT1: Pauses(None, None)}
    together = pauses_of([stack(0, 60), stack(10, 20), stack(65)], longest=LONGEST)
    assert together[CT1].study == timedelta(seconds=5)


def test_what_is_sent_again_much_later_is_no_pause() -> None:
    found = pauses_of([stack(0, 5, 86_400), stack(200_000)], longest=LONGEST)
    assert found == {CT1: Pauses(stack=timedelta(seconds=5), study=None)}


def test_every_station_has_its_own_pauses() -> None:
    found = pauses_of([stack(0, 30), stack(31, 32, station="CT2")], longest=LONGEST)
    assert found == {CT1: Pauses(timedelta(seconds=30), None), CT2: Pauses(timedelta(seconds=1), None)}


def test_a_sender_that_pauses_is_waited_for_and_the_reason_is_told() -> None:
    quiet = learnt_quiet({CT1: steady(40, 1000, 60)}, setting=SETTING, longest=LONGEST)
    assert (quiet.stack, quiet.study) == (timedelta(seconds=50), timedelta(seconds=1250))
    assert quiet.stack_why == "50 s as learnt from 60 studies of CT1 in archive hospital"
    assert quiet.study_why == "1250 s as learnt from 60 studies of CT1 in archive hospital"


def test_one_outlier_in_a_hundred_is_not_waited_for_and_two_are() -> None:
    assert usual([*[timedelta(seconds=1)] * 99, timedelta(seconds=60)]) == timedelta(seconds=1)
    assert usual([*[timedelta(seconds=1)] * 98, *[timedelta(seconds=60)] * 2]) == timedelta(seconds=60)


def test_the_slowest_sender_of_a_study_decides() -> None:
    known = {CT1: steady(20, 0, 60), CT2: steady(60, 0, 60)}
    quiet = learnt_quiet(known, setting=SETTING, longest=LONGEST)
    assert quiet.stack == timedelta(seconds=75)
    assert "CT2" in quiet.stack_why
    assert quiet.study_why == ""


@pytest.mark.parametrize("count", [0, 1, MIN_STUDIES - 1])
def test_with_few_studies_the_setting_rules(count: int) -> None:
    assert learnt_quiet({CT1: steady(100, 3000, count)}, setting=SETTING, longest=LONGEST) == SETTING


@given(st.lists(seconds, min_size=1, max_size=250))
def test_the_usual_pause_was_seen_and_at_most_one_in_a_hundred_is_longer(pauses: list[timedelta]) -> None:
    found = usual(pauses)
    assert found in pauses
    assert sum(pause > found for pause in pauses) * 100 <= len(pauses)
    assert sum(pause >= found for pause in pauses) * 100 > len(pauses)


@given(studies, studies)
def test_what_is_learnt_lies_between_setting_and_limit_and_says_why_where_it_differs(
    first: list[Pauses], second: list[Pauses]
) -> None:
    quiet = learnt_quiet({CT1: first, CT2: second}, setting=SETTING, longest=LONGEST)
    assert SETTING.stack <= quiet.stack <= LONGEST.stack
    assert SETTING.study <= quiet.study <= LONGEST.study
    assert bool(quiet.stack_why) == (quiet.stack != SETTING.stack)
    assert bool(quiet.study_why) == (quiet.study != SETTING.study)


@given(studies)
def test_another_slow_study_never_shortens_the_wait(known: list[Pauses]) -> None:
    slow = Pauses(timedelta(days=1), timedelta(days=1))
    before = learnt_quiet({CT1: known}, setting=SETTING, longest=LONGEST)
    after = learnt_quiet({CT1: [*known, slow]}, setting=SETTING, longest=LONGEST)
    assert after.stack >= before.stack
    assert after.study >= before.study


@given(st.lists(st.lists(st.integers(0, 10_000), min_size=1, max_size=6, unique=True), min_size=1, max_size=6))
def test_no_silence_inside_a_study_is_longer_than_the_pauses_that_are_told(arrivals: list[list[int]]) -> None:
    stacks = [stack(*sorted(moments)) for moments in arrivals]
    unlimited = Quiet(stack=timedelta(days=1), study=timedelta(days=1))
    [found] = pauses_of(stacks, longest=unlimited).values()
    moments: list[datetime] = sorted({moment for item in stacks for moment in item.arrivals})
    silences = [later - earlier for earlier, later in pairwise(moments)]
    told = max((pause for pause in (found.stack, found.study) if pause is not None), default=timedelta(0))
    assert all(silence <= told for silence in silences)
