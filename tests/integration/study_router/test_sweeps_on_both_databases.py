"""How archives that only answer queries are followed, on SQLite and PostgreSQL."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from integration.study_router.routing import NOON, PlayedArchive, Routing, slice_header
from study_router.domain.instances import Header
from study_router.domain.listings import ListedStudy, Span, StudyPage
from study_router.domain.reconciliation import Finding, FindingKind
from study_router.domain.registry import FeedKind
from study_router.domain.studies import StudyState
from study_router.domain.sweeps import Sweep
from study_router.ports import Arrival
from study_router.usecases.listing import ListingCutError
from udckit.database import Database
from udckit.errors import UpstreamUnavailableError

pytestmark = pytest.mark.connected

SLICES = [slice_header(number) for number in range(1, 21)]
TODAY = "20260301"
TEN_MINUTES = 600


def image(uid: str) -> Header:
    return slice_header(1, series=f"{uid}.1")


@dataclass
class CuttingArchive(PlayedArchive):
    """Shows the first ``cap`` studies of any answer and says nothing of the rest; keeps count of what is asked for."""

    cap: int = 20
    asked: int = 0
    is_away: bool = False

    async def studies(self, span: Span | None, *, offset: int, limit: int) -> StudyPage:
        self.asked += 1
        if self.is_away:
            raise UpstreamUnavailableError("archive hospital does not answer: played")
        page = await super().studies(span, offset=0, limit=self.cap)
        return StudyPage(page.studies[offset : offset + limit])

    async def named(self, study_instance_uids: Sequence[str]) -> Mapping[str, ListedStudy]:
        if self.is_away:
            raise UpstreamUnavailableError("archive hospital does not answer: played")
        return await super().named(study_instance_uids)


@pytest.fixture
async def routing(database: Database) -> Routing:
    """A router with one archive that only answers queries, and one attachment."""
    routing = Routing(database)
    await routing.add_archive(feed=FeedKind.DICOMWEB)
    await routing.register()
    await routing.attach()
    routing.clock.pass_by(1)
    return routing


async def arrivals(routing: Routing) -> Sequence[Arrival]:
    now = routing.clock.now()
    return await routing.store.read(lambda transaction: transaction.intake.arrivals("hospital", now, limit=10_000))


async def touched(routing: Routing) -> set[str]:
    return {arrival.study_instance_uid for arrival in await arrivals(routing)}


async def progress(routing: Routing, tier: str) -> Sweep:
    return (await routing.store.read(lambda transaction: transaction.sweeps.of("hospital")))[tier]


async def test_a_study_of_today_goes_through_and_what_comes_late_makes_a_revision(routing: Routing) -> None:
    archive = routing.played.archives["hospital"]
    await routing.sweep_archive("today")
    archive.put("1.2", SLICES[:10])
    routing.clock.pass_by(60)
    await routing.sweep_archive("today")
    archive.put("1.2", SLICES[10:])
    routing.clock.pass_by(5)
    await routing.sweep_archive("open")
    await routing.look(after_s=15)
    [inputs] = [routing.objects[item.digest] for item in (await routing.only_job()).inputs]
    assert inputs.instance_count == 20
    await routing.look(after_s=TEN_MINUTES)
    assert (await routing.only_study()).state is StudyState.CLOSED

    archive.put("1.2", [slice_header(21)])
    routing.clock.pass_by(60)
    await routing.sweep_archive("today")
    assert ((await routing.only_study()).revision, (await routing.only_study()).state) == (2, StudyState.OPEN)


async def test_what_has_not_changed_is_not_read_again(routing: Routing) -> None:
    routing.played.archives["hospital"].put("1.2", SLICES)
    assert await routing.sweep_archive("today", index=False) == 0
    assert await touched(routing) == {"1.2"}
    await routing.index()
    routing.clock.pass_by(60)
    await routing.sweep_archive("today", index=False)
    assert await touched(routing) == set()


async def test_only_the_series_that_differ_are_read_again(routing: Routing) -> None:
    archive = routing.played.archives["hospital"]
    other = [slice_header(number, series="1.2.2") for number in range(1, 4)]
    archive.put("1.2", [*SLICES, *other[:2]])
    await routing.sweep_archive("today")
    archive.put("1.2", other[2:])
    routing.clock.pass_by(60)
    await routing.sweep_archive("today", index=False)
    assert [arrival.series_instance_uid for arrival in await arrivals(routing)] == ["1.2.2"]


@pytest.mark.parametrize(("days_ago", "tier"), [(0, "today"), (5, "week"), (50, "sixty_days")])
async def test_every_tier_sees_its_days_and_no_others(routing: Routing, days_ago: int, tier: str) -> None:
    for ago in (0, 5, 50, 70):
        day = f"{NOON - timedelta(days=ago):%Y%m%d}"
        routing.played.archives["hospital"].put(f"1.2.{ago}", [image(f"1.2.{ago}")], day=day)
    await routing.sweep_archive(tier, index=False)
    assert await touched(routing) == {f"1.2.{ago}" for ago in (0, 5, 50) if ago <= days_ago}


@pytest.mark.parametrize(("day", "time"), [("", "101500"), (TODAY, ""), ("", ""), ("19000230", "")])
async def test_a_study_without_day_or_time_is_found_and_its_deletion_is_too(
    routing: Routing, day: str, time: str
) -> None:
    archive = routing.played.archives["hospital"]
    archive.put("1.2", [image("1.2")], day=day)
    archive.times["1.2"] = time
    await routing.sweep_archive("undated")
    assert (await routing.only_study()).study_instance_uid == "1.2"
    del archive.held["1.2"]
    routing.clock.pass_by(2 * 86_400)
    await routing.sweep_archive("undated")
    assert await routing.instances() == []


async def test_a_sweep_is_due_again_after_its_period_also_for_another_process(routing: Routing) -> None:
    archive = routing.played.archives["hospital"]
    await routing.sweep_archive("today")
    archive.put("1.2", SLICES)
    routing.clock.pass_by(59)
    restarted = Routing(routing.database)
    restarted.played, restarted.clock = routing.played, routing.clock
    await restarted.sweep_archive("today", index=False)
    assert await touched(restarted) == set()
    routing.clock.pass_by(1)
    await restarted.sweep_archive("today", index=False)
    assert await touched(restarted) == {"1.2"}


async def test_a_sweep_that_was_broken_off_goes_on_where_it_was(routing: Routing) -> None:
    archive = routing.played.archives["hospital"] = CuttingArchive()
    for ago in range(8):
        archive.put(f"1.2.{ago}", [image(f"1.2.{ago}")], day=f"{NOON - timedelta(days=ago):%Y%m%d}")
    for _ in range(4):
        assert await routing.step("week")
    seen = await touched(routing)
    archive.is_away = True
    with pytest.raises(UpstreamUnavailableError):
        await routing.step("week")
    assert (await progress(routing, "week")).is_running
    archive.is_away = False
    archive.asked = 0
    routing.clock.pass_by(7200)
    await routing.sweep_archive("week", index=False)
    # Four of eight days were left, each a page and the empty one after it.
    assert (len(seen), archive.asked) == (4, 8)
    assert await touched(routing) == {f"1.2.{ago}" for ago in range(8)}
    assert not (await progress(routing, "week")).is_running


async def test_what_a_cutting_archive_hides_is_found_in_smaller_pieces(routing: Routing) -> None:
    archive = routing.played.archives["hospital"] = CuttingArchive(cap=50)
    expected = {f"1.2.{number}" for number in range(180)}
    for number, uid in enumerate(sorted(expected)):
        archive.put(uid, [image(uid)], day=TODAY)
        # Most of them between ten and eleven.
        archive.times[uid] = f"10{number // 3:02d}{number % 3:02d}" if number < 150 else f"{number % 24:02d}3000"
    await routing.sweep_archive("today", index=False)
    assert await touched(routing) == expected
    control = await archive.studies(Span(NOON.date(), NOON.date()), offset=0, limit=1000)
    assert len(control.studies) == 50

    gone = "1.2.20"
    await routing.index()
    while await touched(routing):
        await routing.index()
    del archive.held[gone]
    routing.clock.pass_by(60)
    await routing.sweep_archive("today", index=False)
    assert await touched(routing) == {gone}


async def test_one_instant_that_does_not_fit_is_an_error_that_says_what_to_do(routing: Routing) -> None:
    archive = routing.played.archives["hospital"] = CuttingArchive(cap=50)
    for number in range(70):
        archive.put(f"1.2.{number}", [image(f"1.2.{number}")], day=TODAY)
        archive.times[f"1.2.{number}"] = "101500"
    archive.put("1.3", [image("1.3")], day=TODAY)
    archive.times["1.3"] = "230000"
    with pytest.raises(ListingCutError, match=r"archive hospital .*2026-03-01.*udc study submit") as raised:
        await routing.sweep_archive("today", index=False)
    assert raised.value.facts["archive"] == "hospital"
    # There is more than one such piece: two seconds that overlap hold the instant.
    while (await progress(routing, "today")).is_running:
        with suppress(ListingCutError):
            await routing.sweep_archive("today", index=False)
    assert "1.3" in await touched(routing)
    assert "udc study submit" in (await progress(routing, "today")).problem


async def test_what_was_there_before_is_as_old_as_it_says_and_what_comes_after_is_new(routing: Routing) -> None:
    archive = routing.played.archives["hospital"]
    archive.put("1.2", [image("1.2")], day="20260220")
    archive.times["1.2"] = "101500"
    await routing.sweep_archive("sixty_days", index=False)
    [history] = await arrivals(routing)
    assert history.arrived_at == datetime(2026, 2, 20, 7, 15, tzinfo=UTC)
    archive.put("1.3", [image("1.3")], day="20260220")
    routing.clock.pass_by(2 * 86_400)
    await routing.sweep_archive("sixty_days", index=False)
    newest, oldest = await arrivals(routing)
    assert (newest.study_instance_uid, newest.arrived_at) == ("1.3", routing.clock.now())
    assert oldest == history


async def test_history_starts_nothing_and_new_studies_do(routing: Routing) -> None:
    archive = routing.played.archives["hospital"]
    archive.put("1.2", SLICES, day="20260220")
    await routing.sweep_archive("sixty_days")
    await routing.look()
    assert (await routing.only_study()).state is StudyState.CLOSED
    assert await routing.jobs() == []
    archive.put("1.3", [slice_header(number, series="1.3.1") for number in range(1, 21)], day="20260220")
    routing.clock.pass_by(2 * 86_400)
    await routing.sweep_archive("sixty_days")
    await routing.look(after_s=15)
    assert len(await routing.jobs()) == 1


async def test_a_deleted_instance_and_a_deleted_study_are_forgotten(routing: Routing) -> None:
    archive = routing.played.archives["hospital"]
    archive.put("1.2", SLICES)
    archive.put("1.3", [image("1.3")])
    await routing.sweep_archive("today")
    archive.delete("1.2", "1.2.1.7")
    del archive.held["1.3"]
    routing.clock.pass_by(60)
    await routing.sweep_archive("today")
    left = {item.header.sop_instance_uid for item in await routing.instances()}
    assert left == {header.sop_instance_uid for header in SLICES} - {"1.2.1.7"}


async def test_an_archive_that_does_not_tell_numbers_is_counted(routing: Routing) -> None:
    class Silent(PlayedArchive):
        def _listed(self, uid: str) -> ListedStudy | None:
            found = super()._listed(uid)
            return None if found is None else ListedStudy(uid, found.moment, type(found.fingerprint)())

    archive = routing.played.archives["hospital"] = Silent()
    archive.put("1.2", SLICES[:19])
    await routing.sweep_archive("today")
    archive.put("1.2", SLICES[19:])
    routing.clock.pass_by(60)
    await routing.sweep_archive("today")
    assert len(await routing.instances()) == 20


async def test_more_changes_than_one_step_takes_are_taken_by_the_next(routing: Routing) -> None:
    archive = routing.played.archives["hospital"]
    for number in range(431):
        archive.put(f"1.2.{number}", [image(f"1.2.{number}")])
    assert await routing.sweep_archive("today", index=False) > 1
    assert len(await touched(routing)) == 431


async def test_reconciliation_lists_the_days_that_are_swept_and_says_when_it_cannot(routing: Routing) -> None:
    routing.played.archives["hospital"].put("1.2", SLICES)
    routing.played.archives["hospital"].put("1.3", [image("1.3")], day="20190101")
    [behind] = await routing.reconcile()
    assert isinstance(behind, Finding)
    assert (behind.kind, behind.about) == (FindingKind.INDEX_BEHIND, "archives/hospital/studies/1.2")

    cutting = routing.played.archives["hospital"] = CuttingArchive(cap=50)
    for number in range(70):
        cutting.put(f"1.2.{number}", [image(f"1.2.{number}")])
        cutting.times[f"1.2.{number}"] = "101500"
    [hidden] = await routing.reconcile()
    assert isinstance(hidden, Finding)
    assert hidden.kind is FindingKind.ARCHIVE_AWAY
    assert "udc study submit" in hidden.detail
