"""Finished and caught up are two questions."""

from dataclasses import replace
from datetime import timedelta

from study_router.domain.instances import Header, InstanceClass
from study_router.domain.readiness import Quiet, became_complete_at, behind, closing_of
from study_router.domain.studies import StoredInstance
from unit.study_router.phantoms import NOON
from unit.study_router.test_matching import study_of

QUIET = Quiet(stack=timedelta(seconds=15), study=timedelta(minutes=10))
STUDY = study_of("dx")


def held(series: str, modality: str = "CT", kind: InstanceClass = InstanceClass.SOURCE) -> StoredInstance:
    header = Header(sop_class_uid="1", sop_instance_uid=f"{series}.1", series_instance_uid=series, modality=modality)
    return StoredInstance(archive="hospital", instance_class=kind, header=header, arrived_at=NOON)


def test_a_study_is_finished_after_its_silence_and_not_before() -> None:
    early = closing_of(STUDY, now=NOON + timedelta(minutes=9), quiet=QUIET)
    assert (early.is_due, early.look_at) == (False, NOON + timedelta(minutes=10))
    late = closing_of(STUDY, now=NOON + timedelta(minutes=10), quiet=QUIET)
    assert (late.is_due, late.evidence) == (True, ("quiet for 600 s",))


def test_a_person_may_say_that_it_is_finished() -> None:
    forced = closing_of(replace(STUDY, is_forced=True), now=NOON, quiet=QUIET)
    assert (forced.is_due, forced.evidence) == (True, ("forced by an operator",))


def test_when_a_study_became_complete_does_not_depend_on_when_somebody_looked() -> None:
    assert became_complete_at(STUDY, quiet=QUIET) == NOON + timedelta(minutes=10)


def test_the_index_is_behind_where_a_series_is_unknown_longer_or_shorter() -> None:
    index = [held("1"), held("2")]
    assert behind(index, archive="hospital", held={"1": 1, "2": 1}) == ()
    assert behind(index, archive="hospital", held={"1": 1, "2": 2}) == ("2",)
    assert behind(index, archive="hospital", held={"1": 1}) == ("2",)
    assert behind(index, archive="hospital", held={"1": 1, "2": 1, "3": 1}) == ("3",)
    assert behind(index, archive="central", held={}) == ()


def test_results_that_are_being_stored_do_not_hold_up_input() -> None:
    index = [held("1"), held("9", "SR", InstanceClass.OWN_RESULT)]
    assert behind(index, archive="hospital", held={"1": 1, "9": 2}) == ()
