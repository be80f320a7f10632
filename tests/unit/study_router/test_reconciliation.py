"""What must agree: written out by hand, study by study."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from study_router.domain.jobs import State
from study_router.domain.reconciliation import (
    Place,
    contradicted,
    difference,
    job_for,
    places,
    without_outcome,
)
from study_router.domain.studies import Patient, Study, StudyState
from study_router.domain.work import CurrentOutcome, Ending, Job, SubjectFacts
from udcmodel.grant import Grant
from udcmodel.vocabulary import Mode, Outcome, Priority

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def study(*, state: StudyState = StudyState.CLOSED, revision: int = 1) -> Study:
    return Study(
        study="s1",
        study_instance_uid="1.2",
        patient=Patient(patient_id="p", issuer="", birth_date="", sex=""),
        age="",
        study_date="",
        description="",
        organisation="1.2.3",
        state=state,
        revision=revision,
        version=1,
        first_seen_at=NOW,
        last_arrival_at=NOW,
        due_at=None,
    )


def job(name: str, *, state: State, revision: int = 1, attachment: str = "a", successor: str = "") -> Job:
    return Job(
        job=name,
        study="s1",
        revision=revision,
        run=1,
        grant=Grant(
            job=name,
            device="d",
            version="1",
            attachment=attachment,
            attachment_revision=1,
            organisation="1.2.3",
            mode=Mode.LIVE,
            manifest_digest="",
            model_digest="",
            input_digests=(),
            valid_until=NOW,
        ),
        inputs=(),
        pool="cpu",
        priority=Priority.ROUTINE,
        attempt_limit_s=60,
        destinations=("hospital",),
        issue=1,
        patient_fingerprint="",
        facts=SubjectFacts(),
        created_at=NOW,
        input_ready_at=NOW,
        deadline=NOW,
        state=state,
        successor=successor,
    )


def outcome(attachment: str, *, revision: int = 1, job: str = "", said: Outcome | None = None) -> CurrentOutcome:
    return CurrentOutcome(
        study="s1",
        revision=revision,
        attachment=attachment,
        device="d",
        version="1",
        job=job,
        outcome=said,
        ending=Ending(),
        decided_at=NOW,
    )


@pytest.mark.parametrize(
    ("held", "known", "missing", "gone"),
    [
        ({"1.1": 20}, {"1.1": 20}, {}, {}),
        ({"1.1": 20}, {"1.1": 19}, {"1.1": 1}, {}),
        ({"1.1": 20}, {}, {"1.1": 20}, {}),
        ({}, {"1.1": 20}, {}, {"1.1": 20}),
        # As many in the whole study, and yet not the same.
        ({"1.1": 20, "1.2": 3}, {"1.1": 19, "1.2": 4}, {"1.1": 1}, {"1.2": 1}),
    ],
)
def test_series_are_compared_one_by_one(
    held: Mapping[str, int], known: Mapping[str, int], missing: Mapping[str, int], gone: Mapping[str, int]
) -> None:
    found = difference(held=held, known=known)

    assert (found.missing, found.gone) == (missing, gone)
    assert bool(found) is (held != known)


def test_a_closed_study_has_an_outcome_for_everything_that_it_concerns() -> None:
    assert places(study(), concerned=["a", "b"], decided={1: ["a"]}) == (Place(1, "a"), Place(1, "b"))


def test_an_open_study_owes_nothing_for_its_present_revision_and_everything_for_the_closed_ones() -> None:
    reopened = study(state=StudyState.OPEN, revision=2)

    assert places(reopened, concerned=["a", "b"], decided={1: ["a"], 2: ["a", "b"]}) == (Place(1, "a"),)


def test_an_attachment_of_today_is_no_debt_of_an_earlier_revision() -> None:
    revised = study(revision=2)

    assert places(revised, concerned=["new"], decided={1: ["old"], 2: ["new"]}) == (Place(1, "old"), Place(2, "new"))


def test_a_quarantined_study_owes_nothing() -> None:
    assert places(study(state=StudyState.QUARANTINED), concerned=["a"], decided={1: ["a"]}) == ()


def test_a_place_without_an_outcome_is_named_and_an_outcome_of_another_revision_does_not_fill_it() -> None:
    expected = (Place(1, "a"), Place(2, "a"), Place(2, "b"))

    assert without_outcome(expected, [outcome("a"), outcome("b", revision=2)]) == (Place(2, "a"),)


def test_a_lost_outcome_rests_on_the_newest_job_of_its_revision() -> None:
    jobs = [
        job("first", state=State.SUPERSEDED, successor="second"),
        job("second", state=State.ARCHIVED),
        job("other", state=State.ARCHIVED, attachment="b"),
        job("later", state=State.ARCHIVED, revision=2),
    ]

    assert job_for(Place(1, "a"), jobs) == jobs[1]


def test_a_superseded_job_says_nothing_about_what_came_after_it() -> None:
    jobs = [job("first", state=State.SUPERSEDED)]

    assert job_for(Place(1, "a"), jobs) is None
    assert job_for(Place(1, "a"), [replace(jobs[0], state=State.ARCHIVED, successor="next")]) is None
    assert job_for(Place(1, "a"), []) is None


@pytest.mark.parametrize(
    ("state", "said", "is_wrong"),
    [
        (State.ARCHIVED, Outcome.ARCHIVED, False),
        (State.ARCHIVED, Outcome.FAILED, True),
        (State.ARCHIVED, None, True),
        (State.RUNNING, None, False),
        (State.RUNNING, Outcome.ARCHIVED, True),
    ],
)
def test_an_outcome_says_what_its_job_says(state: State, said: Outcome | None, is_wrong: bool) -> None:
    jobs = {"j": job("j", state=state)}

    assert bool(contradicted([outcome("a", job="j", said=said)], jobs)) is is_wrong


def test_an_outcome_on_a_job_that_does_not_exist_is_wrong_and_one_without_a_job_is_not() -> None:
    assert contradicted([outcome("a", job="gone", said=Outcome.ARCHIVED)], {})
    assert not contradicted([outcome("a", said=Outcome.NOT_ELIGIBLE)], {})
