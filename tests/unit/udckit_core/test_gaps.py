"""What is missing from what was seen."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udckit.consumer.gaps import missing


@pytest.mark.parametrize(
    ("contiguous", "seen", "after", "gaps"),
    [
        (0, [], 0, []),
        (0, [1, 2, 3], 3, []),
        (0, [2, 3], 0, [(1, 1)]),
        (3, [4, 7, 8, 12], 4, [(5, 6), (9, 11)]),
        (9, [10], 10, []),
    ],
)
def test_the_unbroken_beginning_ends_before_the_first_gap(
    contiguous: int, seen: Sequence[int], after: int, gaps: list[tuple[int, int]]
) -> None:
    assert missing(contiguous, seen) == (after, gaps)


@given(st.integers(0, 50), st.sets(st.integers(1, 100)))
def test_seen_and_missing_together_are_everything(contiguous: int, numbers: set[int]) -> None:
    seen = sorted(number + contiguous for number in numbers)
    after, gaps = missing(contiguous, seen)
    absent = {number for first, last in gaps for number in range(first, last + 1)}

    assert absent.isdisjoint(seen)
    assert absent | set(seen) == set(range(contiguous + 1, (seen[-1] if seen else contiguous) + 1))
    assert after == min(absent, default=(seen[-1] if seen else contiguous) + 1) - 1
