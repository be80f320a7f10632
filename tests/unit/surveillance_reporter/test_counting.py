"""Every study counts once per attachment: by its current outcome, whatever the order in which it was told."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surveillance_reporter.adapters.reading import fact_of
from surveillance_reporter.domain.counting import Bucket, fold
from udckit.envelope import Event
from unit.surveillance_reporter.histories import FINDINGS, Counted, History, has_result
from unit.surveillance_reporter.strategies import CATEGORIES, deliveries, histories

MOSCOW = ZoneInfo("Europe/Moscow")


def counted(bucket: Bucket) -> Counted:
    return Counted(
        bucket.day,
        bucket.device,
        bucket.version,
        bucket.organisation,
        bucket.mode.value,
        bucket.outcome.value,
        bucket.category.name if bucket.category else "",
        bucket.verdict.value if bucket.verdict else "",
    )


def counts_of(events: Iterable[Event], *, zone: ZoneInfo = MOSCOW) -> Counter[Counted]:
    facts = (
        fact_of(
            event_id=event.id,
            type_name=event.type,
            sequence=event.sequence,
            occurred_at=event.occurred_at,
            body=event.body,
        )
        for event in events
    )
    counts = fold(fact for fact in facts if fact is not None).counts(zone=zone)
    return Counter({counted(bucket): cases for bucket, cases in counts.items()})


@settings(deadline=None)
@given(st.data())
def test_any_order_with_any_repetition_counts_what_happened(data: st.DataObject) -> None:
    history = data.draw(histories())

    assert counts_of(data.draw(deliveries(history))) == history.counts


@pytest.mark.parametrize("outcome", ["NOT_ELIGIBLE", "REFUSED"])
def test_an_outcome_that_needed_no_job_counts(outcome: str) -> None:
    history = History()
    history.ends(study="s", outcome=outcome)

    assert counts_of(history.events) == history.counts


@pytest.mark.parametrize("verdict", FINDINGS)
@pytest.mark.parametrize("outcome", ["ARCHIVED", "KEPT"])
def test_the_accepted_result_says_what_was_found(outcome: str, verdict: str) -> None:
    history = History()
    has_result(history, job="j", verdict=verdict)
    history.ends(study="s", job="j", outcome=outcome, verdict=verdict)

    assert counts_of(history.events) == history.counts


def test_a_result_of_which_nothing_was_heard_is_unknown_and_not_normal() -> None:
    history = History()
    history.ends(study="s", job="j", outcome="ARCHIVED", verdict="UNKNOWN")
    history.infers(job="j", digest="sha256:never-accepted")

    assert counts_of(history.events) == history.counts


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("outcome", ["INSUFFICIENT", "FAILED", "EXPIRED"])
def test_why_there_is_no_result_is_kept(outcome: str, category: str) -> None:
    history = History()
    history.ends(study="s", job="j", outcome=outcome, category=category)

    assert counts_of(history.events) == history.counts


def test_a_new_revision_moves_the_study() -> None:
    history = History()
    has_result(history, job="j1", verdict="NORMAL")
    history.ends(study="s", job="j1", outcome="ARCHIVED", verdict="NORMAL")
    history.ends(study="s", job="j1", outcome="SUPERSEDED", successor="j2")
    assert [one.outcome for one in counts_of(history.events)] == ["SUPERSEDED"]

    has_result(history, job="j2", verdict="PATHOLOGY")
    history.ends(study="s", job="j2", revision=2, outcome="ARCHIVED", verdict="PATHOLOGY")

    assert counts_of(history.events) == history.counts
    assert sum(history.counts.values()) == 1


def test_a_job_superseded_while_it_was_archived_does_not_hide_its_successor() -> None:
    history = History()
    history.ends(study="s", job="j1", outcome="FAILED", category="OTHER")
    history.ends(study="s", job="j2", outcome="CANCELED")
    history.ends(study="s", job="j1", outcome="SUPERSEDED", successor="j2", is_current=False)

    assert counts_of(history.events) == history.counts


def test_an_old_result_withdrawn_late_does_not_hide_the_new_one() -> None:
    history = History()
    history.ends(study="s", job="j1", revision=1, outcome="ARCHIVED", verdict="UNKNOWN")
    history.ends(study="s", job="j2", revision=2, outcome="ARCHIVED", verdict="UNKNOWN")
    history.ends(study="s", job="j1", revision=1, outcome="WITHDRAWN", is_current=False)

    assert counts_of(history.events) == history.counts


def test_two_devices_on_one_study_are_two_counts() -> None:
    history = History()
    history.ends(study="s", attachment="a1", device="one", outcome="NOT_ELIGIBLE")
    history.ends(study="s", attachment="a2", device="two", outcome="REFUSED")

    assert counts_of(history.events) == history.counts
    assert len(history.counts) == 2


@pytest.mark.parametrize(
    ("zone", "day"),
    [("Europe/Moscow", "2026-03-02"), ("Asia/Kamchatka", "2026-03-02"), ("Europe/Kaliningrad", "2026-03-01")],
)
def test_the_day_begins_at_midnight_of_the_region(zone: str, day: str) -> None:
    history = History()
    history.ends(study="s", outcome="REFUSED", at=datetime(2026, 3, 1, 21, 0, tzinfo=UTC))

    [one] = counts_of(history.events, zone=ZoneInfo(zone))

    assert one.day.isoformat() == day


def test_the_last_second_of_a_day_belongs_to_it() -> None:
    history = History()
    history.ends(study="s", outcome="REFUSED", at=datetime(2026, 3, 1, 20, 59, 59, 999_999, tzinfo=UTC))

    assert [one.day.isoformat() for one in counts_of(history.events)] == ["2026-03-01"]
