"""Everything that was told is in the journal once, and the counts follow from it."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy.exc
from sqlalchemy import Executable, select

from integration.surveillance_reporter.stories import day_in_a_region
from integration.surveillance_reporter.world import (
    Broker,
    Reporter,
    Tellers,
    outcomes_of,
    reporter_process,
    reporting,
    verdicts_of,
)
from integration.udckit_core.waiting import until
from surveillance_reporter.adapters.tables import JOURNAL
from surveillance_reporter.app import MIGRATIONS
from udc.events.v1 import job_pb2
from udckit import subjects
from udckit.clock import SystemClock
from udckit.database import Connection, opened
from udckit.plumbing_tables import OUTBOX
from udckit.security.files import write_private
from udckit.security.identity import EVERYWHERE, Role, Service
from udckit.security.tokens import issue_token
from unit.surveillance_reporter.histories import NOON, ROUTER, SERVING, History

pytestmark = pytest.mark.connected


async def tell(producers: Tellers, history: History) -> None:
    await asyncio.gather(
        producers.router.tell(history.of(ROUTER)),
        producers.serving.tell(history.of(SERVING)),
    )


async def assert_counted(reporter: Reporter, history: History) -> None:
    rows = (await reporter.counts()).rows
    told = {
        (row.day, row.device, row.version, row.organisation, mode, outcome): item.count
        for row in rows
        for item in row.outcomes
        for mode in [job_pb2.Mode.Name(row.mode).removeprefix("MODE_")]
        for outcome in [job_pb2.Outcome.Name(item.outcome).removeprefix("OUTCOME_")]
    }
    assert told == outcomes_of(history.truth.values())
    verdicts = {
        verdict: sum(getattr(row.verdicts, verdict) for row in rows)
        for verdict in ("normal", "pathology", "undetermined", "unknown")
    }
    assert {verdict: count for verdict, count in verdicts.items() if count} == verdicts_of(history.truth.values())


async def test_what_two_services_tell_is_journaled_and_counted(
    broker: Broker, producers: Tellers, database_url: str
) -> None:
    history = day_in_a_region()
    async with reporting(broker, producers, database_url) as (reporter, readiness):
        await tell(producers, history)
        await until(lambda: reporter.has_rows(len(history.events)))

        await assert_counted(reporter, history)
        status = await reporter.status()
        assert [(one.source, one.last_sequence, one.rows) for one in status.producers] == [
            (SERVING, len(history.of(SERVING)), len(history.of(SERVING))),
            (ROUTER, len(history.of(ROUTER)), len(history.of(ROUTER))),
        ]
        assert (await reporter.rebuild()).corrected == 0
        await assert_counted(reporter, history)
        assert readiness.is_ready


async def test_what_is_told_again_and_again_changes_nothing(
    broker: Broker, producers: Tellers, database_url: str
) -> None:
    history = day_in_a_region()
    await tell(producers, history)
    await producers.router.relay.republish(1, len(history.of(ROUTER)))
    async with reporting(broker, producers, database_url) as (reporter, _):
        await until(lambda: reporter.has_rows(len(history.events)))
        await producers.serving.relay.republish(1, len(history.of(SERVING)))
        await until(lambda: settled(broker))

        assert await reporter.has_rows(len(history.events))
        await assert_counted(reporter, history)


async def settled(broker: Broker) -> bool:
    return await broker.unsettled() == 0


async def test_an_event_of_a_type_that_nobody_knows_yet_is_journaled_and_acknowledged(
    broker: Broker, producers: Tellers, database_url: str
) -> None:
    headers = {
        "Nats-Msg-Id": "e-1",
        "ce-id": "e-1",
        "ce-type": "udc.events.v9.StudyDreamed",
        "ce-source": ROUTER,
        "ce-subject": "studies/s",
        "ce-time": "2026-03-01T12:00:00+00:00",
        "ce-udcregion": "r77",
        "ce-udcseq": "1",
    }
    async with broker.as_service(Service.STUDY_ROUTER) as bus:
        await bus.js.publish(subjects.STUDY_COMPLETED, b"\xff", headers=headers)
    async with reporting(broker, producers, database_url) as (reporter, _):
        await until(lambda: reporter.has_rows(1))
        await until(lambda: settled(broker))

        assert list((await reporter.counts()).rows) == []


@pytest.mark.usefixtures("impatient")
async def test_lost_messages_are_noticed_and_had_sent_again(
    broker: Broker, producers: Tellers, database_url: str
) -> None:
    history = day_in_a_region()
    await tell(producers, history)
    await broker.lose([(ROUTER, 2), (ROUTER, 3), (ROUTER, 7), (SERVING, 4)])
    async with producers.answering(), reporting(broker, producers, database_url) as (reporter, readiness):
        await until(lambda: reporter.has_rows(len(history.events)))

        await assert_counted(reporter, history)
        await until(lambda: has_gaps(reporter, []))
        await until(lambda: readiness.is_ready)


async def has_gaps(reporter: Reporter, gaps: list[tuple[str, int, int]]) -> bool:
    return await reporter.gaps() == gaps


@pytest.mark.usefixtures("impatient")
async def test_a_gap_that_nobody_can_repair_stands_in_the_readiness_until_a_late_event_closes_it(
    broker: Broker, producers: Tellers, database_url: str
) -> None:
    history = day_in_a_region()
    await tell(producers, history)
    await broker.lose([(ROUTER, 5)])
    async with reporting(broker, producers, database_url) as (reporter, readiness):
        await until(lambda: "gaps" in readiness.reasons)
        assert readiness.reasons["gaps"] == f"events are missing: {ROUTER} 5 to 5"
        assert await reporter.gaps() == [(ROUTER, 5, 5)]
        assert await reporter.has_rows(len(history.events) - 1)

        await producers.router.relay.republish(5, 5)

        await until(lambda: reporter.has_rows(len(history.events)))
        await until(lambda: has_gaps(reporter, []))
        await until(lambda: readiness.is_ready)
        await assert_counted(reporter, history)


@pytest.mark.usefixtures("impatient")
async def test_what_its_producer_no_longer_keeps_is_named_as_lost_and_the_rest_is_saved(
    broker: Broker, producers: Tellers, database_url: str
) -> None:
    history = day_in_a_region()
    await tell(producers, history)
    await broker.lose([(ROUTER, number) for number in range(1, 7)])
    await producers.router.database.transact(forget_the_first_three)
    async with producers.answering(), reporting(broker, producers, database_url) as (reporter, readiness):
        await until(lambda: reporter.has_rows(len(history.events) - 3))
        await until(lambda: has_gaps(reporter, []))

        assert [(gap.source, gap.first, gap.last) for gap in (await reporter.status()).lost] == [(ROUTER, 1, 3)]
        await until(lambda: readiness.is_ready)


def forget_the_first_three(connection: Connection) -> None:
    connection.execute(OUTBOX.delete().where(OUTBOX.c.sequence <= 3))


@pytest.mark.parametrize("point", ["consumer.before_effect", "consumer.after_commit", "consumer.after_ack"])
async def test_a_power_cut_between_commit_and_acknowledgement_changes_nothing(
    broker: Broker, producers: Tellers, database_url: str, tmp_path: Path, point: str
) -> None:
    history = day_in_a_region()
    await broker.redeliver_after(2.0)
    process = reporter_process(broker, producers, database_url, tmp_path / "reporter")
    process.environment_changes = {"UDC_CRASH_AT": f"{point}:5"}
    async with process:
        reporter = Reporter(broker, process.address)
        await tell(producers, history)
        await until(lambda: not process.running)
        assert not await settled(broker)

        process.environment_changes = {}
        await process.start()
        await until(lambda: reporter.has_rows(len(history.events)))
        await until(lambda: settled(broker))

        assert await reporter.has_rows(len(history.events))
        await assert_counted(reporter, history)
        assert (await reporter.rebuild()).corrected == 0


async def test_the_journal_cannot_be_changed_or_shortened(database_url: str) -> None:
    async with opened(database_url, migrations=MIGRATIONS) as database:
        await database.transact(add_a_row)

        for change in (JOURNAL.update().values(about="studies/other"), JOURNAL.delete()):
            with pytest.raises(sqlalchemy.exc.DatabaseError, match="append-only"):
                await database.transact(partial(execute, statement=change))
        assert await database.read(lambda connection: connection.execute(select(JOURNAL.c.about)).scalar_one()) == "s"


def execute(connection: Connection, *, statement: Executable) -> None:
    connection.execute(statement)


def add_a_row(connection: Connection) -> None:
    row = {"event_id": "e", "source": ROUTER, "sequence": 1, "type": "t", "about": "s", "organisation": ""}
    connection.execute(JOURNAL.insert().values(**row, occurred_at=NOON, recorded_at=NOON, headers={}, body=b""))


async def test_another_time_zone_counts_anew_at_the_start(
    broker: Broker, producers: Tellers, database_url: str
) -> None:
    history = History()
    history.ends(study="s", outcome="REFUSED", at=datetime(2026, 3, 1, 21, 0, tzinfo=UTC))
    await tell(producers, history)
    async with reporting(broker, producers, database_url) as (reporter, _):
        await until(lambda: reporter.has_rows(1))
        assert [row.day for row in (await reporter.counts()).rows] == ["2026-03-02"]

    async with reporting(broker, producers, database_url, zone="Europe/Kaliningrad") as (reporter, _):
        answer = await reporter.counts()

    assert ([row.day for row in answer.rows], answer.zone) == (["2026-03-01"], "Europe/Kaliningrad")


async def test_the_command_line_shows_counts_and_journal(broker: Broker, producers: Tellers, tmp_path: Path) -> None:
    history = day_in_a_region()
    await tell(producers, history)
    async with reporting(broker, producers, f"sqlite:///{tmp_path}/reporter.db") as (reporter, _):
        await until(lambda: reporter.has_rows(len(history.events)))
        environment = person_at(reporter.address, broker, tmp_path)

        code, counts = await udc(environment, "counts", "--from", "2026-03-01", "--to", "2026-03-02", "--json")
        assert code == 0
        rows = json.loads(counts)["rows"]
        assert sum(int(item["count"]) for row in rows for item in row["outcomes"]) == len(history.truth)

        code, table = await udc(environment, "counts", "--device", "cxr-device", "--from", "2026-03-01")
        assert code == 0
        assert "NOT_ELIGIBLE 1" in table
        assert "ARCHIVED" not in table

        code, journal = await udc(environment, "journal")
        assert (code, f"Journal of {len(history.events)} events" in journal) == (0, True)

        code, refusal = await udc(environment, "counts", "--from", "yesterday")
        assert (code, "yesterday is not a day" in refusal) == (2, True)


def person_at(address: str, broker: Broker, directory: Path) -> Mapping[str, str]:
    """Return the environment of somebody who has logged in."""
    token = issue_token(
        broker.installation.signing_key,
        subject="p-2",
        roles=[Role.AUDITOR],
        organisations=[EVERYWHERE],
        region="r77",
        clock=SystemClock(),
    )
    write_private(directory / "token", token.encode())
    return {
        **os.environ,
        "COLUMNS": "250",
        "UDC_REGION": "r77",
        "UDC_ROUTER": "127.0.0.1:1",
        "UDC_SURVEILLANCE": address,
        "UDC_SECURITY": str(broker.installation.directory),
        "UDC_TOKEN_FILE": str(directory / "token"),
    }


async def udc(environment: Mapping[str, str], *arguments: str) -> tuple[int | None, str]:
    """Run ``udc surveillance``; return its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "surveillance", *arguments),
        env=dict(environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    return process.returncode, output.decode()
