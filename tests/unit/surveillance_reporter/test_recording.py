"""Counting event by event gives what counting anew gives, and the journal has every event once."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, StaticPool, create_engine, func, select

from surveillance_reporter.adapters.events import entry_of
from surveillance_reporter.adapters.store import SqlTransaction
from surveillance_reporter.adapters.tables import COUNTING, JOURNAL, METADATA
from surveillance_reporter.domain.counting import fold
from surveillance_reporter.usecases.recording import RecordEvent
from udckit.clock import SystemClock
from udckit.envelope import Event, parse
from unit.surveillance_reporter.histories import Counted, History
from unit.surveillance_reporter.strategies import deliveries, histories
from unit.surveillance_reporter.test_counting import counted

MOSCOW = ZoneInfo("Europe/Moscow")


@contextmanager
def tables() -> Iterator[Connection]:
    """The reporter's tables, in memory."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    METADATA.create_all(engine)
    with engine.begin() as connection:
        connection.execute(COUNTING.insert().values(id=1, rules=""))
        yield connection
    engine.dispose()


def record(connection: Connection, *events: Event) -> None:
    recording = RecordEvent(zone=MOSCOW)
    for event in events:
        recording(SqlTransaction(connection), entry_of(event, SystemClock()))


def counts(connection: Connection) -> Counter[Counted]:
    found = SqlTransaction(connection).tally.counts(first=date.min, last=date.max, device=None, limit=None)
    return Counter({counted(bucket): cases for bucket, cases in found.items()})


def rebuild(connection: Connection) -> int:
    transaction = SqlTransaction(connection)
    knowledge = fold(fact for fact in transaction.journal.facts() if fact is not None)
    return transaction.tally.replace(knowledge, knowledge.counts(zone=MOSCOW), rules="anew")


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_any_order_with_any_repetition_counts_what_happened_and_counting_anew_corrects_nothing(
    data: st.DataObject,
) -> None:
    history = data.draw(histories())
    events = data.draw(deliveries(history))
    with tables() as connection:
        record(connection, *events)

        assert counts(connection) == history.counts
        assert connection.execute(select(func.count()).select_from(JOURNAL)).scalar_one() == len(history.events)
        assert rebuild(connection) == 0
        assert counts(connection) == history.counts


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_counting_goes_on_after_counting_anew(data: st.DataObject) -> None:
    history = data.draw(histories())
    events = data.draw(deliveries(history))
    cut = data.draw(st.integers(0, len(events)))
    with tables() as connection:
        record(connection, *events[:cut])
        rebuild(connection)
        record(connection, *events[cut:])

        assert counts(connection) == history.counts


def test_an_event_is_kept_as_it_came() -> None:
    history = History()
    history.ends(study="s", outcome="REFUSED")
    [event] = history.events
    with tables() as connection:
        record(connection, event, event)
        [row] = connection.execute(select(JOURNAL)).all()

    assert (row.event_id, row.source, row.sequence, row.type) == (event.id, event.source, 1, "udc.events.v1.JobEnded")
    assert (row.about, row.organisation) == ("jobs/j", event.organisation)
    assert (row.headers, row.body) == (event.headers, event.body)
    assert row.occurred_at == event.occurred_at


def test_an_event_of_an_unknown_type_is_kept_and_not_counted() -> None:
    history = History()
    history.ends(study="s", outcome="REFUSED")
    [event] = history.events
    headers = {**event.headers, "ce-id": "other", "ce-type": "udc.events.v9.PatientTeleported"}
    with tables() as connection:
        record(connection, parse(headers, event.body))

        assert connection.execute(select(JOURNAL.c.type)).scalars().all() == ["udc.events.v9.PatientTeleported"]
        assert counts(connection) == Counter()


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b""], ids=["broken", "empty"])
def test_an_event_that_cannot_be_read_is_kept_and_not_counted(body: bytes) -> None:
    history = History()
    history.ends(study="s", outcome="REFUSED")
    with tables() as connection:
        record(connection, parse(history.events[0].headers, body))

        assert connection.execute(select(JOURNAL.c.body)).scalar_one() == body
        assert counts(connection) == Counter()


def test_a_wrong_count_is_found_and_corrected_by_counting_anew() -> None:
    history = History()
    history.ends(study="s", outcome="REFUSED")
    with tables() as connection:
        record(connection, *history.events)
        connection.exec_driver_sql("UPDATE counts SET cases = 41")

        assert rebuild(connection) == 1
        assert counts(connection) == history.counts
