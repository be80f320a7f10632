"""Which phantom studies the reference devices would see, and why not the others."""

from dataclasses import replace
from pathlib import Path

import pytest

from study_router.adapters.cel import CelCompiler
from study_router.domain.facts import study_age, study_facts, subject_facts
from study_router.domain.matching import Decision, Insufficient, Matched, NotEligible, compile_rules, decide
from study_router.domain.stacks import Stack, build_stacks
from study_router.domain.studies import Study, StudyState
from udcmodel.manifest import parse
from udcmodel.vocabulary import ErrorCategory
from unit.study_router.phantoms import NOON, phantom, seen, stacks_of_phantom, stored

DEVICES = Path(__file__).parents[3] / "examples/devices"
BRAIN = "ct-brain-hyperdensity"
CHEST = "cxr-opacity"


def study_of(name: str) -> Study:
    first = seen([next(phantom(name).datasets())])[0]
    return Study(
        study="s",
        study_instance_uid=phantom(name).uid,
        patient=first.patient,
        age=first.age,
        study_date=first.study_date,
        description=first.study_description,
        organisation="1.2.643",
        state=StudyState.OPEN,
        revision=1,
        version=1,
        first_seen_at=NOON,
        last_arrival_at=NOON,
        due_at=None,
    )


def decided(device: str, name: str, *, rule: str = "", stacks: tuple[Stack, ...] | None = None) -> Decision:
    manifest = parse((DEVICES / device / "manifest.yaml").read_bytes())
    rules = compile_rules(manifest, rule=rule, compiler=CelCompiler())
    study = study_of(name)
    found = stacks_of_phantom(name) if stacks is None else stacks
    return decide(rules, study=study_facts(study, found), age_why=study_age(study).why, stacks=found)


@pytest.mark.parametrize(
    ("device", "name"),
    [
        (BRAIN, "axial"),
        (BRAIN, "healthy"),
        (BRAIN, "tilted-two-spacings"),
        (BRAIN, "tilt-minus-25"),
        (BRAIN, "reversed"),
        (BRAIN, "shuffled-numbers"),
        (BRAIN, "prone"),
        (BRAIN, "odd-headers"),
        (BRAIN, "enhanced"),
        (CHEST, "cr"),
        (CHEST, "dx"),
        (CHEST, "fluorography"),
    ],
)
def test_a_device_sees_what_it_is_for(device: str, name: str) -> None:
    verdict = decided(device, name).verdict
    assert isinstance(verdict, Matched)
    assert len(verdict.chosen) == 1


@pytest.mark.parametrize(
    ("device", "name"),
    [(BRAIN, "mr"), (BRAIN, "dx"), (CHEST, "axial"), (CHEST, "mr")],
)
def test_a_device_is_not_shown_what_it_is_not_for(device: str, name: str) -> None:
    verdict = decided(device, name).verdict
    assert isinstance(verdict, NotEligible)
    assert verdict.ending.reason == "NO_INPUT"
    assert "series " in verdict.ending.detail


@pytest.mark.parametrize(
    ("name", "reason", "category"),
    [
        ("gap", "GAP", ErrorCategory.NUMBER_OF_IMAGES),
        ("duplicate-position", "DUPLICATES", ErrorCategory.SERIES),
    ],
)
def test_images_that_a_device_cannot_use_are_insufficient(name: str, reason: str, category: ErrorCategory) -> None:
    verdict = decided(BRAIN, name).verdict
    assert isinstance(verdict, Insufficient)
    assert (verdict.ending.reason, verdict.ending.category) == (reason, category)


def without_place(*lost: int) -> tuple[Stack, ...]:
    """Return the stacks of a head CT some images of which do not say where they lie; all where none is named."""
    images = list(phantom("axial").datasets())
    for number in lost or range(len(images)):
        del images[number].ImagePositionPatient, images[number].ImageOrientationPatient
    return build_stacks(stored(seen(images)), study_instance_uid="1.2", archives=["hospital"])


@pytest.mark.parametrize(
    ("lost", "sentence"),
    [
        ((), "none of 30 images has Image Position"),
        ((7,), "1 of 30 frames have no valid position"),
        ((29,), "1 of 30 frames have no valid position"),
    ],
)
def test_slices_that_are_meant_and_lie_nowhere_are_insufficient_for_their_tags(
    lost: tuple[int, ...], sentence: str
) -> None:
    decision = decided(BRAIN, "axial", stacks=without_place(*lost))
    assert isinstance(decision.verdict, Insufficient)
    assert (decision.verdict.ending.reason, decision.verdict.ending.category) == ("UNPLACED", ErrorCategory.TAG)
    assert sentence in decision.verdict.ending.detail
    assert [sentence in note for note in decision.notes] == [True]


def test_slices_that_lie_nowhere_and_are_not_meant_are_not_eligible() -> None:
    verdict = decided(CHEST, "axial", stacks=without_place()).verdict
    assert isinstance(verdict, NotEligible)
    elsewhere = tuple(replace(stack, common=replace(stack.common, body_part="CHEST")) for stack in without_place())
    verdict = decided(BRAIN, "axial", stacks=elsewhere).verdict
    assert isinstance(verdict, NotEligible)
    assert "not selected, false is stack.body_part" in verdict.ending.detail
    unknown = tuple(replace(stack, common=replace(stack.common, body_part="")) for stack in without_place())
    verdict = decided(BRAIN, "axial", stacks=unknown).verdict
    assert isinstance(verdict, NotEligible)
    assert "stack.body_part, stack.orientation is unknown" in verdict.ending.detail


def test_a_device_that_does_not_ask_for_a_plane_gets_no_volume_that_lies_nowhere() -> None:
    text = (DEVICES / BRAIN / "manifest.yaml").read_text().replace(' && stack.orientation == "AXIAL"', "")
    rules = compile_rules(parse(text.encode()), rule="", compiler=CelCompiler())
    study, stacks = study_of("axial"), without_place()
    verdict = decide(rules, study=study_facts(study, stacks), age_why="", stacks=stacks).verdict
    assert isinstance(verdict, Insufficient)
    assert verdict.ending.category is ErrorCategory.TAG


def test_slices_that_lie_nowhere_stand_back_behind_a_volume() -> None:
    verdict = decided(BRAIN, "axial", stacks=(*without_place(), *stacks_of_phantom("axial"))).verdict
    assert isinstance(verdict, Matched)
    assert verdict.chosen[0].stack.geometry.normal is not None


def test_what_the_images_of_a_stack_say_differently_is_unknown() -> None:
    images = list(phantom("axial").datasets())
    images[3].BodyPartExamined = "NECK"
    stacks = build_stacks(stored(seen(images)), study_instance_uid="1.2", archives=["hospital"])
    decision = decided(BRAIN, "axial", stacks=stacks)
    assert isinstance(decision.verdict, NotEligible)
    assert decision.notes == ("ct: series 2 (CT, no body part, 30 images): stack.body_part is unknown",)


def test_of_a_routine_study_the_soft_volume_is_taken_and_every_stack_is_explained() -> None:
    decision = decided(BRAIN, "routine")
    assert isinstance(decision.verdict, Matched)
    [chosen] = decision.verdict.chosen
    assert chosen.stack.first.kernel == "SOFT"
    assert len(decision.notes) == len(stacks_of_phantom("routine"))
    assert sum("chosen" in note for note in decision.notes) == 1
    assert any("excluded as LOCALIZER" in note for note in decision.notes)


def test_the_choice_does_not_depend_on_the_order_of_stacks() -> None:
    stacks = stacks_of_phantom("routine")
    choices = []
    for order in (stacks, tuple(reversed(stacks))):
        verdict = decided(BRAIN, "routine", stacks=order).verdict
        assert isinstance(verdict, Matched)
        choices.append(verdict.chosen[0].stack.key)
    assert len(set(choices)) == 1


def test_a_fact_that_is_missing_in_a_stack_is_named() -> None:
    [stack] = stacks_of_phantom("axial")
    silent = replace(stack, common=replace(stack.common, body_part=""))
    decision = decided(BRAIN, "axial", stacks=(silent,))
    assert isinstance(decision.verdict, NotEligible)
    [note] = decision.notes
    assert note.endswith("stack.body_part is unknown")


def test_the_rule_of_an_attachment_comes_after_the_purpose() -> None:
    verdict = decided(BRAIN, "axial", rule="study.sex == 'F'").verdict
    assert isinstance(verdict, NotEligible)
    assert verdict.ending.detail.startswith("rule: ")
    assert isinstance(decided(BRAIN, "axial", rule="study.sex == 'M'").verdict, Matched)


def test_those_who_count_get_bands_and_models_and_nothing_that_names_the_patient() -> None:
    facts = subject_facts(study_of("axial"), stacks_of_phantom("axial")[0])
    assert (facts.age_band, facts.sex, facts.modality, facts.scanner_model) == ("60-64", "M", "CT", "Synthetic scanner")
    assert phantom("axial").patient_id not in repr(facts)
