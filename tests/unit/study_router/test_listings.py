"""Whether an archive showed everything it was asked for, and what is asked for when it did not."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from study_router.domain.listings import Fingerprint, ListedStudy, Listing, Moment, Span, StudyPage
from study_router.domain.sweeps import DEFAULT_TIERS, Tier

LIMIT = 100
DAY = date(2026, 3, 1)
SPAN = Span(DAY, DAY)
KAMCHATKA = ZoneInfo("Asia/Kamchatka")
MOSCOW = ZoneInfo("Europe/Moscow")
TIERS = {tier.name: tier for tier in DEFAULT_TIERS}


def studies(first: int, last: int, *, time: str = "101500") -> tuple[ListedStudy, ...]:
    moment = Moment.parse("20260301", time)
    return tuple(ListedStudy(f"1.2.{number}", moment, Fingerprint(1)) for number in range(first, last))


def listed(*pages: StudyPage, span: Span | None = SPAN) -> Listing:
    listing = Listing(limit=LIMIT, span=span)
    for number, page in enumerate(pages, start=1):
        is_more = listing.add(page)
        assert is_more == (number < len(pages)), number
    return listing


NOTHING = StudyPage(())


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([NOTHING], id="no study"),
        pytest.param([StudyPage(studies(0, 7)), NOTHING], id="less than was asked for"),
        pytest.param([StudyPage(studies(0, 40)), StudyPage(studies(40, 73)), NOTHING], id="small pages"),
        pytest.param([StudyPage(studies(0, 100), says_more=True), StudyPage(studies(100, 123)), NOTHING], id="warning"),
        pytest.param([StudyPage(studies(0, 7)), StudyPage(studies(0, 7))], id="one page again and again"),
        pytest.param([StudyPage(studies(0, 60)), StudyPage(studies(50, 73)), NOTHING], id="pages that moved"),
    ],
)
def test_an_answer_is_whole_when_a_page_brings_nothing_new(pages: Sequence[StudyPage]) -> None:
    listing = listed(*pages)
    assert listing.is_whole
    assert len(listing.studies) == len({study.study_instance_uid for page in pages for study in page.studies})


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([StudyPage(studies(0, 100)), StudyPage(studies(0, 100))], id="a full page again and again"),
        pytest.param([StudyPage(studies(0, 7), says_more=True), NOTHING], id="a warning and then nothing"),
        pytest.param([StudyPage((), says_more=True)], id="too much to give"),
        pytest.param([StudyPage(studies(0, 100)), NOTHING], id="a round number"),
        pytest.param([StudyPage(studies(0, 50)), NOTHING], id="a smaller round number"),
        pytest.param([StudyPage(studies(0, 64)), NOTHING], id="a round number of another kind"),
    ],
)
def test_an_answer_that_may_hide_something_is_not_whole(pages: Sequence[StudyPage]) -> None:
    assert not listed(*pages).is_whole


def test_more_than_fits_is_asked_for_in_pieces() -> None:
    listing = Listing(limit=1000, span=SPAN)
    pages = 0
    while listing.add(StudyPage(studies(pages * 1000, pages * 1000 + 1000))):
        pages += 1
    assert (pages, listing.is_whole) == (5, False)


def test_a_list_of_everything_is_believed_when_its_length_is_round() -> None:
    assert listed(StudyPage(studies(0, 100)), NOTHING, span=None).is_whole


def test_an_archive_that_answers_with_other_days_or_times_does_not_select() -> None:
    other_day = ListedStudy("1.3", Moment.parse("20260228", "101500"), Fingerprint(1))
    assert listed(StudyPage((*studies(0, 1), other_day))).ignores_selection
    morning = Span(DAY, DAY, to_s=10 * 3600)
    assert listed(StudyPage(studies(0, 1, time="101500")), span=morning).ignores_selection
    assert not listed(StudyPage(studies(0, 1, time="")), NOTHING, span=morning).ignores_selection


def test_halves_leave_no_second_out_down_to_the_smallest() -> None:
    waiting, smallest = [Span(DAY, DAY + timedelta(days=2))], []
    while waiting:
        span = waiting.pop()
        halves = span.halves()
        if halves is None:
            smallest.append(span)
        else:
            assert all(half.first >= span.first and half.last <= span.last for half in halves)
            waiting.extend(halves)
    seconds = {(span.first, second) for span in smallest for second in range(span.from_s, span.to_s + 1)}
    assert len(seconds) == 3 * 86_400
    assert all(span.first == span.last and span.to_s - span.from_s <= 1 for span in smallest)


@pytest.mark.parametrize(
    ("sent", "second"),
    [
        ("101500", 36_900),
        ("101500.123456", 36_900),
        ("1015", 36_900),
        ("10", 36_000),
        ("10:15:00", 36_900),
        ("235960", 86_399),
        ("", None),
        ("2460", None),
        ("ten", None),
    ],
)
def test_a_study_time_is_read_in_every_form_of_it(sent: str, second: int | None) -> None:
    assert Moment.parse("20260301", sent).second == second


@pytest.mark.parametrize(
    ("sent", "day"),
    [("20260301", DAY), ("2026.03.01", DAY), ("", None), ("20261301", None), ("2026", None), ("٢٠٢٦٠٣٠١", None)],
)
def test_a_study_date_is_read_in_both_forms_of_it(sent: str, day: date | None) -> None:
    assert Moment.parse(sent, "").day == day


def test_today_is_that_of_the_region_and_begins_and_ends_late() -> None:
    noon_in_kamchatka = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)
    assert TIERS["today"].window(noon_in_kamchatka, KAMCHATKA) == Span(DAY, DAY)
    assert TIERS["today"].window(noon_in_kamchatka, MOSCOW) == Span(date(2026, 2, 28), DAY)
    just_after_midnight = datetime(2026, 2, 28, 21, 30, tzinfo=UTC)
    assert TIERS["today"].window(just_after_midnight, MOSCOW) == Span(date(2026, 2, 28), DAY)
    assert TIERS["week"].window(noon_in_kamchatka, KAMCHATKA) == Span(date(2026, 2, 22), DAY)


def test_the_table_says_what_is_swept_and_how_often() -> None:
    table = {tier.name: (tier.days, tier.every) for tier in DEFAULT_TIERS}
    assert table == {
        "open": (0, timedelta(seconds=5)),
        "today": (0, timedelta(minutes=1)),
        "week": (7, timedelta(hours=1)),
        "sixty_days": (60, timedelta(days=1)),
        "undated": (0, timedelta(days=1)),
    }


@pytest.mark.parametrize("began_at_hour", range(24))
def test_a_nightly_sweep_goes_back_to_the_night_after_a_first_one_at_any_hour(began_at_hour: int) -> None:
    nightly: Tier = TIERS["sixty_days"]
    began_at = datetime(2026, 3, 1, began_at_hour, 30, tzinfo=MOSCOW)
    second = nightly.next_at(began_at, MOSCOW)
    assert second.astimezone(MOSCOW).hour == 2
    assert timedelta(hours=12) <= second - began_at < timedelta(hours=36)
    assert nightly.next_at(second, MOSCOW) - second == timedelta(days=1)
