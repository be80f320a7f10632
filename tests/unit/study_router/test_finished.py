"""Who says that a study is finished, what they name, and what of it is here. That we have caught up says nothing."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from study_router.domain.finished import Finished, Kind, Statement, Status, stack_finished, study_finished
from study_router.domain.instances import Header, InstanceClass
from study_router.domain.readiness import Quiet, became_complete_at, closing_of
from study_router.domain.sender_profiles import RegisteredProfile
from study_router.domain.stacks import Stack, build_stacks
from study_router.domain.studies import StoredInstance, StudyState
from study_router.domain.understanding import understood
from unit.study_router.phantoms import NOON
from unit.study_router.test_matching import study_of
from unit.study_router.test_sender_profiles import example, profile

QUIET = Quiet(stack=timedelta(seconds=15), study=timedelta(minutes=10))
HOUR = timedelta(hours=1)
STUDY = study_of("dx")


def image(number: int, *, series: str = "1", **changes: object) -> StoredInstance:
    header = Header(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid=f"{series}.{number}",
        series_instance_uid=series,
        modality="CT",
        rows=8,
        columns=8,
        position=(0.0, 0.0, float(number)),
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, 1.0, 0.0),
        instance_number=number,
    )
    changed = replace(header, **changes)  # type: ignore[arg-type]  # named fields
    return StoredInstance(archive="hospital", instance_class=InstanceClass.SOURCE, header=changed, arrived_at=NOON)


def series(count: int, *, name: str = "1", **changes: object) -> list[StoredInstance]:
    return [image(number, series=name, **changes) for number in range(1, count + 1)]


def mpps(status: Status, *, began_at: datetime = NOON, **named: int) -> Statement:
    """Return a step that names images of series: ``s1=40`` are 40 of series 1."""
    return Statement(
        statement=f"9.{status}.{began_at}",
        study_instance_uids=("1",),
        kind=Kind.MPPS,
        status=status,
        sender="CT1",
        series={
            uid[1:]: tuple(f"{uid[1:]}.{number}" for number in range(1, count + 1)) for uid, count in named.items()
        },
        began_at=began_at,
        changed_at=began_at,
    )


def stacks_of(instances: Sequence[StoredInstance]) -> tuple[Stack, ...]:
    return build_stacks(instances, study_instance_uid="1", archives=["hospital"])


def finished(instances: Sequence[StoredInstance], *statements: Statement) -> Finished:
    return study_finished(instances, stacks_of(instances), statements=statements, profiles=[None])


def test_a_completed_step_finishes_the_study_once_all_its_images_are_here() -> None:
    found = finished(series(40), mpps(Status.COMPLETED, s1=40))
    assert found.is_certain
    assert found.lines == ("MPPS COMPLETED names 40 images, all are here",)


def test_images_that_are_named_and_missing_are_waited_for() -> None:
    found = finished(series(38), mpps(Status.COMPLETED, s1=40))
    assert not found.is_certain
    assert found.against == ("MPPS COMPLETED names 40 images, 38 are here",)
    assert finished([], mpps(Status.COMPLETED, s1=1)).against == ("MPPS COMPLETED names 1 image, 0 are here",)


def test_a_step_that_was_broken_off_is_a_fact_and_no_finish() -> None:
    found = finished(series(40), mpps(Status.DISCONTINUED, s1=40))
    assert (found.evidence, found.against, found.remarks) == ((), (), ("MPPS DISCONTINUED",))


def test_a_step_that_goes_on_holds_up_what_another_has_finished() -> None:
    later = NOON + timedelta(minutes=1)
    found = finished(series(4), mpps(Status.COMPLETED, s1=4), mpps(Status.IN_PROGRESS, began_at=later))
    assert not found.is_certain
    assert found.against == ("MPPS IN PROGRESS",)


def test_a_step_that_was_begun_again_after_it_was_broken_off_finishes_the_study() -> None:
    later = NOON + timedelta(minutes=1)
    instances = [*series(2), *series(4, name="2")]
    found = finished(instances, mpps(Status.DISCONTINUED, s1=3), mpps(Status.COMPLETED, began_at=later, s2=4))
    assert found.is_certain


def test_nobody_speaks_for_a_sender_that_says_nothing() -> None:
    found = finished([*series(4), *series(2, name="2")], mpps(Status.COMPLETED, s1=4))
    assert found.evidence == ()
    assert found.remarks == ("MPPS COMPLETED names 4 images, all are here", "nobody names 2 of 6 images")


def test_a_sender_that_sends_more_than_it_said_is_not_believed() -> None:
    more = series(5)
    said = mpps(Status.COMPLETED, s1=4)
    assert finished(more, said).remarks == ("MPPS COMPLETED names 4 images, all are here", "nobody names 1 of 5 images")
    [stack] = stacks_of(more)
    assert stack_finished(stack, more, [said]) == Finished()


def test_a_step_that_names_nothing_finishes_nothing() -> None:
    found = finished(series(4), mpps(Status.COMPLETED))
    assert (found.evidence, found.remarks) == ((), ("MPPS COMPLETED names no images of this study alone",))


def test_a_notification_finishes_a_study_only_if_it_is_about_a_step() -> None:
    of_a_step = replace(mpps(Status.COMPLETED, s1=4), kind=Kind.IAN)
    assert finished(series(4), of_a_step).lines == ("IAN names 4 images, all are here",)
    of_images = replace(of_a_step, status=Status.AVAILABLE)
    assert not finished(series(4), of_images).is_certain
    [stack] = stacks_of(series(4))
    assert stack_finished(stack, series(4), [of_images]).is_certain


def test_a_study_of_which_nothing_was_said_is_not_finished_however_much_is_here() -> None:
    assert finished(series(40)) == Finished()


def test_a_series_is_whole_when_its_step_says_so_although_another_step_goes_on() -> None:
    instances = [*series(4), *series(2, name="2")]
    said = [mpps(Status.COMPLETED, s1=4, s2=3), mpps(Status.IN_PROGRESS)]
    first, second = stacks_of(instances)
    assert stack_finished(first, instances, said).lines == (
        "MPPS COMPLETED names 4 images, all are here in the series",
    )
    assert stack_finished(second, instances, said).against == (
        "MPPS COMPLETED names 3 images, 2 are here in the series",
    )


@pytest.mark.parametrize(
    ("instances", "is_whole"),
    [
        (series(4, images_in_acquisition=4, acquisition_number=1), True),
        (series(3, images_in_acquisition=4, acquisition_number=1), False),
        (series(5, images_in_acquisition=4, acquisition_number=1), False),
        (series(4), False),
        # A sequential scanner: every slice is an acquisition of one image.
        ([image(number, images_in_acquisition=1, acquisition_number=number) for number in (1, 2, 3)], False),
        (series(1, images_in_acquisition=1, acquisition_number=1), False),
    ],
)
def test_images_in_acquisition_speaks_for_one_acquisition_reached_exactly(
    instances: list[StoredInstance], is_whole: bool
) -> None:
    [stack] = stacks_of(instances)
    said = stack_finished(stack, instances, [])
    assert said.is_certain is is_whole
    assert not is_whole or said.lines == ("Images in Acquisition says 4, all are here",)
    assert not finished(instances).is_certain


def mammogram(view: str, laterality: str, *, intent: str = "FOR PRESENTATION", station: str = "MG1") -> StoredInstance:
    return image(
        len(view) + ord(laterality),
        series=f"{laterality}.{view}.{intent}".replace(" ", ""),
        modality="MG",
        view_position=view,
        laterality=laterality,
        presentation_intent=intent,
        station=station,
        position=None,
    )


FOUR_VIEWS = [mammogram(view, side) for view in ("CC", "MLO") for side in "RL"]


def by_views(instances: Sequence[StoredInstance], *profiles: RegisteredProfile) -> Finished:
    read = understood(instances, profiles)
    return study_finished(read.instances, stacks_of(read.instances), statements=(), profiles=read.profiles)


def test_the_declared_views_finish_a_study() -> None:
    found = by_views(FOUR_VIEWS, example("mammograph"))
    assert found.lines == ("all 4 views of sender profile mammograph r1 are here",)
    assert found.is_certain


def test_a_view_that_is_missing_is_named() -> None:
    found = by_views(FOUR_VIEWS[:3], example("mammograph"))
    assert not found.is_certain
    assert found.remarks == ("of the views of sender profile mammograph r1 L MLO FOR PRESENTATION is not here",)


def test_an_image_for_processing_is_not_the_view_that_was_declared() -> None:
    raw = [mammogram("MLO", "L", intent="FOR PROCESSING")]
    assert not by_views([*FOUR_VIEWS[:3], *raw], example("mammograph")).is_certain


def test_views_are_those_that_the_profile_reads() -> None:
    sent = [
        replace(item, header=replace(item.header, view_position="КРАНИОКАУДАЛЬНАЯ", modality="CR"))
        if item.header.view_position == "CC"
        else item
        for item in FOUR_VIEWS
    ]
    assert by_views(sent, example("mammograph")).is_certain
    without = profile(
        "profile: plain\nmatch: {station: [MG1]}\nviews: [{view: CC, laterality: R}, {view: MLO, laterality: R}]"
    )
    assert not by_views(sent, without).is_certain


def test_the_views_of_one_sender_do_not_speak_for_another() -> None:
    other = mammogram("CC", "R", station="US1", intent="")
    found = by_views([*FOUR_VIEWS, other], example("mammograph"))
    assert not found.is_certain
    assert found.remarks == ("all 4 views of sender profile mammograph r1 are here",)


def test_what_is_finished_is_closed_at_once_with_what_was_said() -> None:
    closing = closing_of(STUDY, now=NOON, quiet=QUIET, finished=Finished(("said",), (), ("beside",)), longest=HOUR)
    assert (closing.is_due, closing.evidence) == (True, ("said", "beside"))


def test_what_is_named_and_never_comes_does_not_keep_a_study_open_for_ever() -> None:
    waits = Finished(("said",), ("named, not here",))
    early = closing_of(STUDY, now=NOON + QUIET.study, quiet=QUIET, finished=waits, longest=HOUR)
    assert (early.is_due, early.look_at) == (False, NOON + HOUR)
    late = closing_of(STUDY, now=NOON + HOUR, quiet=QUIET, finished=waits, longest=HOUR)
    assert (late.is_due, late.evidence) == (True, ("quiet for 3600 s", "said", "named, not here"))


def test_a_person_is_believed_before_a_sender() -> None:
    forced = closing_of(replace(STUDY, is_forced=True), now=NOON, quiet=QUIET, finished=Finished((), ("more comes",)))
    assert (forced.is_due, forced.evidence) == (True, ("forced by an operator", "more comes"))


def test_a_study_that_was_closed_before_its_silence_was_complete_from_then() -> None:
    closed = replace(STUDY, state=StudyState.CLOSED, closed_at=NOON + timedelta(seconds=3))
    assert became_complete_at(closed, quiet=QUIET) == NOON + timedelta(seconds=3)
    late = replace(closed, closed_at=NOON + HOUR)
    assert became_complete_at(late, quiet=QUIET) == NOON + QUIET.study
    reopened = replace(closed, state=StudyState.OPEN)
    assert became_complete_at(reopened, quiet=QUIET) == NOON + QUIET.study
