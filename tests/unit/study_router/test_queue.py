"""Who goes next."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from study_router.domain.queue import Waiting, pick
from udcmodel.vocabulary import Priority

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def waiting(name: str, attachment: str = "a", priority: Priority = Priority.ROUTINE, minutes: float = 1) -> Waiting:
    return Waiting(name, attachment, priority, NOON - timedelta(minutes=minutes))


def picked(jobs: list[Waiting], *, free: int, most: int = 99, working: Mapping[str, int] | None = None) -> list[str]:
    return pick(jobs, free=free, most=most, working=working or {}, now=NOON, batch_ageing=HOUR)


def test_urgent_goes_before_routine_before_batch() -> None:
    jobs = [
        waiting("batch", priority=Priority.BATCH, minutes=50),
        waiting("routine", minutes=40),
        waiting("urgent", priority=Priority.URGENT, minutes=1),
    ]
    assert picked(jobs, free=3) == ["urgent", "routine", "batch"]


def test_batch_work_that_waited_long_enough_counts_as_routine() -> None:
    jobs = [waiting("routine", minutes=59), waiting("old batch", priority=Priority.BATCH, minutes=61)]
    assert picked(jobs, free=1) == ["routine"]
    assert picked(jobs, free=2, working={"a": 0}) == ["routine", "old batch"]
    by_share = [waiting("routine", "busy", minutes=59), waiting("old batch", "idle", Priority.BATCH, 61)]
    assert picked(by_share, free=1, working={"busy": 3}) == ["old batch"]


def test_one_attachment_with_a_long_line_does_not_hold_up_another() -> None:
    jobs = [waiting(f"flood-{number}", "flood", minutes=100 - number) for number in range(50)]
    jobs.append(waiting("single", "other", minutes=1))
    assert "single" in picked(jobs, free=2)


def test_the_attachment_with_less_work_in_hand_goes_first() -> None:
    jobs = [waiting("hung", "hung vendor", minutes=30), waiting("quick", "other", minutes=1)]
    assert picked(jobs, free=1, working={"hung vendor": 4}) == ["quick"]


def test_of_one_attachment_the_oldest_goes_first() -> None:
    assert picked([waiting("young", minutes=1), waiting("old", minutes=9)], free=1) == ["old"]


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(list(Priority)), st.floats(min_value=0, max_value=300)),
        max_size=30,
    ),
    st.integers(min_value=0, max_value=40),
)
def test_never_more_than_free_never_twice_and_nothing_is_left_while_there_is_room(
    lines: list[tuple[str, Priority, float]], free: int
) -> None:
    jobs = [waiting(str(number), *line) for number, line in enumerate(lines)]
    chosen = picked(jobs, free=free)
    assert len(chosen) == len(set(chosen)) == min(free, len(jobs))


def test_one_attachment_never_takes_the_whole_pool() -> None:
    jobs = [waiting(f"first {number}", "first", minutes=30 - number) for number in range(3)]
    assert picked(jobs, free=3, most=2) == ["first 0", "first 1"]
    assert picked(jobs, free=1, most=2, working={"first": 2}) == []
    assert picked([*jobs, waiting("other", "second")], free=3, most=2) == ["first 0", "other", "first 1"]
