"""What ``udc reconcile`` concludes from what the services say."""

from datetime import UTC, datetime

import pytest

from cli.comparing import Look, Range, not_journaled, without_record
from cli.reconcile import Result, judge, since_of
from udc.reconciliation.v1 import finding_pb2 as pb
from udc.surveillance.v1 import surveillance_pb2
from udckit.errors import InvalidRequestError

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
ROUTER = "/services/study-router"


def finding(about: str, *, repair: str = "") -> pb.Finding:
    return pb.Finding(kind=pb.FINDING_KIND_INDEX_BEHIND, about=about, repair=repair)


def journal(last: int, *gaps: tuple[int, int]) -> surveillance_pb2.GetJournalStatusResponse:
    return surveillance_pb2.GetJournalStatusResponse(
        producers=[surveillance_pb2.Producer(source=ROUTER, last_sequence=last)],
        open_gaps=[surveillance_pb2.Gap(source=ROUTER, first=first, last=end) for first, end in gaps],
    )


@pytest.mark.parametrize(
    ("published", "last", "gaps", "missing"),
    [
        (10, 10, [], []),
        # The reporter was quicker than we.
        (10, 12, [], []),
        (10, 9, [], [(10, 10)]),
        (10, 0, [], [(1, 10)]),
        (10, 8, [(3, 4)], [(3, 4), (9, 10)]),
        # Published after we asked: on its way.
        (10, 14, [(9, 12)], [(9, 10)]),
        (10, 14, [(11, 12)], []),
        (0, 0, [], []),
    ],
)
def test_what_was_published_is_journaled(
    published: int, last: int, gaps: list[tuple[int, int]], missing: list[tuple[int, int]]
) -> None:
    found = not_journaled({ROUTER: published}, journal(last, *gaps))

    assert found == [Range(ROUTER, first, end) for first, end in missing]


def test_a_producer_that_the_journal_has_never_heard_of_is_missing_as_a_whole() -> None:
    assert not_journaled({"/services/other": 2}, journal(5)) == [Range("/services/other", 1, 2)]


def test_gaps_of_a_producer_that_cannot_be_asked_are_left_out() -> None:
    assert not_journaled({}, journal(5, (2, 3))) == []


def test_a_result_is_missed_per_archive() -> None:
    archived = [("j1", "hospital"), ("j1", "region"), ("j2", "hospital")]

    assert without_record(archived, {("j1", "hospital"), ("j3", "hospital")}) == [("j1", "region"), ("j2", "hospital")]


def test_repaired_is_only_what_another_look_no_longer_finds() -> None:
    healed, stays = finding("studies/1", repair="read again"), finding("studies/2", repair="read again")
    new = finding("studies/3")

    judged = judge(Look([healed, stays]), Look([stays, new]))

    assert judged == [Result(healed, True), Result(stays, False), Result(new, False)]


@pytest.mark.parametrize(
    ("unsettled", "is_repaired"),
    [("studies/1", False), ("studies/1/revisions/2", False), ("studies/11", True), ("studies/1/revisions/22", True)],
)
def test_what_is_still_being_settled_is_not_repaired_yet(unsettled: str, is_repaired: bool) -> None:
    found = finding("studies/1/revisions/2", repair="looked at again")

    assert judge(Look([found]), Look(unsettled=[unsettled])) == [Result(found, is_repaired)]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2d", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("12h", datetime(2026, 3, 3, 0, tzinfo=UTC)),
        ("2026-03-01T00:00:00+03:00", datetime(2026, 2, 28, 21, tzinfo=UTC)),
    ],
)
def test_since_is_an_age_or_a_moment(text: str, moment: datetime) -> None:
    assert since_of(text, now=NOW) == moment


@pytest.mark.parametrize("text", ["", "2", "2w", "-2d", "yesterday"])
def test_what_is_neither_is_named(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="neither an age"):
        since_of(text, now=NOW)
