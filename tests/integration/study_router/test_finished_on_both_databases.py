"""Studies end when their senders say so, in whatever order images and statements come; on SQLite and PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations

import pytest

from integration.study_router.routing import SOMEBODY, Routing, slice_header
from study_router.domain.finished import Status
from study_router.domain.studies import StudyState
from study_router.usecases.explaining import ExplainFacts, ReadNotes
from study_router.usecases.hearing import Heard, HearStatement
from study_router.usecases.profiling import PutSenderProfile
from udc.events.v1 import study_pb2
from udckit.database import Database
from udckit.security.identity import acting_as

pytestmark = pytest.mark.connected

STUDY = "1.2"
STEP = "1.9.1"
SLICES = [slice_header(number) for number in range(1, 21)]
ALL = {"1.2.1": tuple(sorted(item.sop_instance_uid for item in SLICES))}


class Hearing(Routing):
    """A router to whom the test says what a modality would say."""

    @property
    def hear(self) -> HearStatement:
        return HearStatement(store=self.store, clock=self.clock)

    async def begin_step(self, step: str = STEP, *, studies: Sequence[str] = (STUDY,)) -> Heard:
        return await self.hear.begun(step, studies=tuple(studies), sender="CT1", series={})

    async def end_step(
        self,
        step: str = STEP,
        *,
        status: Status = Status.COMPLETED,
        series: Mapping[str, tuple[str, ...]] | None = None,
    ) -> Heard:
        return await self.hear.performed(step, status=status, series=ALL if series is None else series)

    async def completed(self) -> list[list[str]]:
        events = [event for event in await self.events() if event.type.endswith("StudyCompleted")]
        return [list(event.decode(study_pb2.StudyCompleted).evidence) for event in events]

    async def created(self) -> str:
        job = await self.only_job()
        [entry] = await self.store.read(lambda transaction: transaction.jobs.history(job.job))
        return entry.detail

    async def lines(self) -> tuple[str, ...]:
        return (await ExplainFacts(self.store)(STUDY)).finished


@pytest.fixture
async def routing(database: Database) -> Hearing:
    routing = Hearing(database)
    await routing.ready()
    return routing


SAID = ["MPPS COMPLETED names 20 images, all are here", "the index equals the archive"]


@pytest.mark.parametrize(
    "order",
    [
        order
        for order in permutations(("begin", "end", "first images", "other images"))
        # No modality ends a step before it begins it: that is refused, and tested below.
        if order.index("begin") < order.index("end")
    ],
    ids="-".join,
)
async def test_whatever_comes_first_the_study_is_closed_at_once_with_the_same_evidence(
    routing: Hearing, order: Sequence[str]
) -> None:
    for step in order:
        assert await routing.completed() == []
        match step:
            case "begin":
                assert await routing.begin_step() is Heard.KEPT
            case "end":
                assert await routing.end_step() is Heard.KEPT
            case "first images":
                await routing.arrive(STUDY, SLICES[:12])
            case _:
                await routing.arrive(STUDY, SLICES[12:])
        await routing.look()
        routing.clock.pass_by(1)
    assert await routing.completed() == [SAID]
    assert (await routing.only_study()).state is StudyState.CLOSED
    [inputs] = [routing.objects[item.digest] for item in (await routing.only_job()).inputs]
    assert inputs.instance_count == 20
    assert "input complete, MPPS COMPLETED names 20 images, all are here" in await routing.created()


async def test_images_that_the_step_names_are_waited_for_and_said_to_be_missing(routing: Hearing) -> None:
    await routing.arrive(STUDY, SLICES[:18])
    await routing.begin_step()
    await routing.end_step()
    await routing.look(after_s=119)
    assert await routing.jobs() == []
    assert await routing.lines() == ("MPPS COMPLETED names 20 images, 18 are here",)
    await routing.look(after_s=600)
    assert (await routing.only_study()).state is StudyState.OPEN
    await routing.arrive(STUDY, SLICES[18:])
    await routing.look()
    assert await routing.completed() == [SAID]
    assert await routing.lines() == (SAID[0],)


async def test_images_that_never_come_hold_up_nothing_for_ever(routing: Hearing) -> None:
    await routing.arrive(STUDY, SLICES[:18])
    await routing.begin_step()
    await routing.end_step()
    await routing.look(after_s=120)
    assert "quiet for 120.0 s" in await routing.created()
    await routing.look(after_s=3600 - 121)
    assert await routing.completed() == []
    await routing.look(after_s=1)
    assert await routing.completed() == [
        ["quiet for 3600 s", "MPPS COMPLETED names 20 images, 18 are here", "the index equals the archive"]
    ]


async def test_a_step_that_was_broken_off_leaves_the_study_to_silence(routing: Hearing) -> None:
    await routing.arrive(STUDY, SLICES)
    await routing.begin_step()
    await routing.end_step(status=Status.DISCONTINUED)
    await routing.look(after_s=599)
    assert await routing.completed() == []
    await routing.look(after_s=1)
    assert await routing.completed() == [["quiet for 600 s", "MPPS DISCONTINUED", "the index equals the archive"]]


async def test_what_is_said_about_one_study_says_nothing_about_another(routing: Hearing) -> None:
    await routing.begin_step(studies=["1.3"])
    await routing.end_step()
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=1)
    assert (await routing.completed(), await routing.lines()) == ([], ())


async def test_a_step_of_two_studies_does_not_say_which_images_are_whose(routing: Hearing) -> None:
    await routing.begin_step(studies=[STUDY, "1.3"])
    await routing.end_step()
    await routing.arrive(STUDY, SLICES)
    await routing.look(after_s=1)
    assert await routing.completed() == []
    assert await routing.lines() == ("MPPS COMPLETED names no images of this study alone",)


async def test_saying_it_again_changes_nothing(routing: Hearing) -> None:
    await routing.arrive(STUDY, SLICES)
    assert [await routing.begin_step(), await routing.begin_step()] == [Heard.KEPT, Heard.KEPT]
    assert [await routing.end_step(), await routing.end_step()] == [Heard.KEPT, Heard.KEPT]
    await routing.look()
    before = (await routing.only_study(), await routing.completed(), await ReadNotes(routing.store)(STUDY))
    routing.clock.pass_by(5)
    assert [await routing.begin_step(), await routing.end_step()] == [Heard.KEPT, Heard.KEPT]
    await routing.look()
    assert (await routing.only_study(), await routing.completed(), await ReadNotes(routing.store)(STUDY)) == before
    assert [note.text for note in before[2]] == [
        "MPPS heard from CT1",
        "MPPS COMPLETED from CT1 names 20 images",
    ]


async def test_a_step_that_has_ended_is_not_changed_and_an_unknown_one_not_believed(routing: Hearing) -> None:
    assert await routing.end_step() is Heard.UNKNOWN
    await routing.begin_step()
    assert await routing.begin_step(studies=["1.3"]) is Heard.OTHER
    await routing.end_step(status=Status.DISCONTINUED)
    assert await routing.end_step() is Heard.ENDED


async def test_a_job_starts_when_its_series_is_whole_although_the_study_goes_on(routing: Hearing) -> None:
    await routing.begin_step()
    await routing.begin_step("1.9.2")
    await routing.end_step()
    await routing.arrive(STUDY, SLICES)
    await routing.look()
    assert "input complete, MPPS COMPLETED names 20 images, all are here in the series" in await routing.created()
    assert (await routing.only_study()).state is StudyState.OPEN
    assert await routing.lines() == ("MPPS COMPLETED names 20 images, all are here", "MPPS IN PROGRESS")


async def test_a_late_image_makes_a_new_revision_that_the_step_does_not_close(routing: Hearing) -> None:
    await routing.begin_step()
    await routing.end_step()
    await routing.arrive(STUDY, SLICES)
    await routing.look()
    await routing.arrive(STUDY, [slice_header(number, series="1.2.2", kernel="LUNG") for number in (1, 2)])
    await routing.look(after_s=599)
    assert [(study.revision, study.state) for study in await routing.studies()] == [(2, StudyState.OPEN)]
    await routing.look(after_s=1)
    assert (await routing.completed())[1] == [
        "quiet for 600 s",
        "MPPS COMPLETED names 20 images, all are here",
        "nobody names 2 of 22 images",
        "the index equals the archive",
    ]


async def test_the_archive_may_say_that_the_images_of_a_step_can_be_had(routing: Hearing) -> None:
    await routing.arrive(STUDY, SLICES)
    for _ in range(2):
        assert (
            await routing.hear.available("1.8", study=STUDY, sender="PACS", series=ALL, is_of_a_step=True) is Heard.KEPT
        )
    await routing.look()
    assert await routing.completed() == [["IAN names 20 images, all are here", "the index equals the archive"]]
    other = await routing.hear.available("1.8", study=STUDY, sender="PACS", series={}, is_of_a_step=True)
    assert other is Heard.OTHER


async def test_an_acquisition_that_is_whole_starts_its_job_without_silence(routing: Hearing) -> None:
    told = [replace(item, images_in_acquisition=20, acquisition_number=1) for item in SLICES]
    await routing.arrive(STUDY, told[:19])
    await routing.look()
    assert await routing.jobs() == []
    await routing.arrive(STUDY, told[19:])
    await routing.look()
    assert "input complete, Images in Acquisition says 20, all are here" in await routing.created()
    assert (await routing.only_study()).state is StudyState.OPEN


async def test_the_declared_views_close_a_study_that_no_device_is_for(routing: Hearing) -> None:
    source = b"schema: udc.sender/v1alpha1\nprofile: dx1\nmatch: {station: [DX1]}\nviews: [{view: PA}, {view: LL}]\n"
    with acting_as(SOMEBODY):
        await PutSenderProfile(store=routing.store, clock=routing.clock)(organisation="", source=source)
    views = [
        replace(
            slice_header(1, series=f"1.2.{number}"), modality="DX", station="DX1", view_position=view, position=None
        )
        for number, view in enumerate(("PA", "LATERAL"), start=1)
    ]
    await routing.arrive(STUDY, views[:1])
    await routing.look()
    assert await routing.lines() == ("of the views of sender profile dx1 r1 LL is not here",)
    await routing.arrive(STUDY, views[1:])
    await routing.look()
    assert await routing.completed() == [
        ["all 2 views of sender profile dx1 r1 are here", "the index equals the archive"]
    ]


async def test_nothing_is_closed_while_the_archive_holds_more_than_the_index(routing: Hearing) -> None:
    """Caught up is asked beside finished: that all named images are here does not make up for it."""
    await routing.begin_step()
    await routing.end_step()
    await routing.arrive(STUDY, SLICES)
    routing.played.archives["hospital"].put(STUDY, [slice_header(21)])
    await routing.look()
    assert await routing.completed() == []


async def test_reconciliation_misses_no_outcome_for_an_attachment_made_after_the_study_was_closed(
    routing: Hearing,
) -> None:
    await routing.begin_step()
    await routing.end_step()
    await routing.arrive(STUDY, SLICES)
    await routing.look()
    await routing.attach("later")
    routing.clock.pass_by(1)
    assert await routing.reconcile() == []
