"""What a station really sends: an order goes before its profile, and the profile before the header."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from study_router.adapters.headers import seen_instance
from study_router.domain.facts import known_facts, stack_facts
from study_router.domain.instances import Header, InstanceClass
from study_router.domain.quiet import declared_quiet
from study_router.domain.readiness import Quiet
from study_router.domain.sender_profiles import (
    RegisteredProfile,
    SenderProfile,
    SenderProfileError,
    parse_profile,
    profile_for,
)
from study_router.domain.stacks import build_stacks
from study_router.domain.studies import StoredInstance
from study_router.domain.understanding import understand, understood
from unit.study_router.phantoms import NOON

EXAMPLES = Path(__file__).parents[3] / "examples/senders"
SETTING = Quiet(stack=timedelta(seconds=15), study=timedelta(minutes=10))
SENT = Header(
    sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
    sop_instance_uid="1.1",
    series_instance_uid="1",
    modality="CT",
    body_part="ГОЛОВА И ШЕЯ",
    station="ct1",
    manufacturer="Phantom",
    kernel="Hr40",
    rows=8,
    columns=8,
    charset="ISO_IR 192",
)


def profile(text: str, *, organisation: str = "", revision: int = 1) -> RegisteredProfile:
    content = parse_profile(f"schema: udc.sender/v1alpha1\n{text}".encode())
    return RegisteredProfile(organisation=organisation, revision=revision, content=content, source=text)


def example(name: str = "ct-mislabelled", *, revision: int = 1) -> RegisteredProfile:
    source = (EXAMPLES / f"{name}.yaml").read_bytes()
    return RegisteredProfile(
        organisation="", revision=revision, content=parse_profile(source), source=source.decode("utf-8")
    )


def stored(header: Header, *, archive: str = "hospital", kind: InstanceClass = InstanceClass.SOURCE) -> StoredInstance:
    return StoredInstance(archive=archive, instance_class=kind, header=header, arrived_at=NOON)


def told(header: Header, name: str) -> tuple[str, str | bool, str]:
    fact = known_facts(header)[name]
    return fact.raw, fact.value, fact.source


@pytest.mark.parametrize("path", sorted(EXAMPLES.iterdir()), ids=lambda path: path.stem)
def test_the_examples_can_be_used_and_survive_the_database(path: Path) -> None:
    content = parse_profile(path.read_bytes())
    assert content.profile == path.stem
    assert SenderProfile.model_validate_json(content.canonical()) == content


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("profile: a\nmatch: {station: [X]}\nfact: {}", "line 4: fact: this key is not known; check its spelling"),
        ("profile: a\nmatch: {}", "line 3: match: match names nobody"),
        ("profile: a\nmatch: {station: X}", "line 3: match.station: "),
        ("profile: a", "line 1: match: this key is required"),
        ("profile: a\nmatch: {station: [X]}\nfacts:\n  laterality: {set: LEFT}", "laterality is one of B, L, R, U"),
        ("profile: a\nmatch: {station: [X]}\nfacts:\n  body_part: {set: head}", "a defined term: at most 16 capitals"),
        ("profile: a\nmatch: {station: [X]}\nfacts:\n  view: {set: PA, missing: AP}", "line 5: facts.view: set leaves"),
        ("profile: a\nmatch: {station: [X]}\nfacts:\n  view: {}", "line 5: facts.view: this says nothing"),
        ("profile: a\nmatch: {station: [X]}\ncharset: latin", "line 4: charset: "),
        ("profile: a\nmatch: {station: [X]}\nquiet: 2026-13-45", "line 4: this is not YAML: this is no timestamp"),
        ("profile: a\nprofile: b", "line 3: profile is written twice"),
        ("profile: a\nmatch: {station: [X]}\nquiet: {study_s: 7200}", "line 4: quiet.study_s: "),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(SenderProfileError) as refused:
        profile(text)
    assert complaint in refused.value.message


def test_a_profile_goes_before_the_header_and_the_fact_says_so() -> None:
    known = understand(SENT, example(revision=2))
    assert told(known, "body_part") == ("ГОЛОВА И ШЕЯ", "HEAD", "profile ct-mislabelled r2")
    assert told(known, "kernel_class") == ("Hr40", "SOFT", "profile ct-mislabelled r2")
    assert told(known, "modality") == ("CT", "CT", "header")
    assert known.profile == "ct-mislabelled r2"


def test_an_order_goes_before_the_profile() -> None:
    known = understand(replace(SENT, order_code="A06.09.005", order_text="КТ ОГК"), example())
    source = "order A06.09.005 as profile ct-mislabelled r1 reads it"
    assert told(known, "body_part") == ("ГОЛОВА И ШЕЯ", "CHEST", source)
    assert told(known, "procedure") == ("A06.09.005", "A06.09.005", "order")


def test_an_order_that_nobody_explained_changes_no_fact() -> None:
    known = understand(replace(SENT, order_code="A99"), example())
    assert told(known, "body_part")[2] == "profile ct-mislabelled r1"


def test_without_a_profile_the_header_speaks() -> None:
    assert told(replace(SENT, body_part="голова"), "body_part") == ("голова", "HEAD", "header")
    assert told(replace(SENT, procedure_code="A06"), "procedure") == ("A06", "A06", "header")
    assert "view" not in known_facts(SENT)


def test_what_is_missing_is_filled_in_only_where_it_is_missing() -> None:
    reading = profile("profile: a\nmatch: {station: [CT1]}\nfacts: {laterality: {missing: U}}")
    assert told(understand(SENT, reading), "laterality") == ("", "U", "profile a r1")
    assert told(understand(replace(SENT, laterality="R"), reading), "laterality") == ("R", "R", "header")


def test_rules_see_the_understood_facts() -> None:
    reading = profile("profile: a\nmatch: {station: [CT1]}\nfacts: {modality: {set: MR}, kernel_class: {set: BONE}}")
    found = understood([stored(SENT)], [reading])
    [stack] = build_stacks(found.instances, study_instance_uid="1", archives=["hospital"])
    facts = stack_facts(stack)
    assert (facts["modality"], facts["kernel_class"], facts["kernel"]) == ("MR", "BONE", "Hr40")


def test_texts_without_a_declared_character_set_are_read_as_the_profile_says() -> None:
    garbled = "ГОЛОВА".encode("cp1251").decode("latin-1")
    undeclared = understand(replace(SENT, body_part=garbled, charset=""), example())
    assert told(undeclared, "body_part")[:2] == ("ГОЛОВА", "HEAD")
    declared = understand(replace(SENT, body_part=garbled, charset="ISO_IR 100"), example())
    assert told(declared, "body_part")[0] == garbled


def test_a_text_that_is_not_what_the_profile_expects_stays_as_it_is() -> None:
    assert understand(replace(SENT, series_description="Мозг", charset=""), example()).series_description == "Мозг"


@pytest.mark.parametrize(
    ("changes", "archive", "is_matched"),
    [
        ({}, "hospital", True),
        ({"station": "CT2"}, "hospital", False),
        ({"manufacturer": ""}, "hospital", False),
        ({"station": "  CT1 "}, "central", True),
    ],
)
def test_every_key_of_a_match_must_hold(changes: dict[str, str], archive: str, is_matched: bool) -> None:
    found = profile_for(replace(SENT, **changes), [example()], archive=archive)  # type: ignore[arg-type]  # texts all
    assert (found is not None) is is_matched


def test_the_closest_profile_speaks_and_between_equals_that_of_the_organisation() -> None:
    near = profile("profile: near\nmatch: {station: [CT1], archive: [hospital]}")
    far = profile("profile: far\nmatch: {station: [CT1]}")
    own = profile("profile: own\nmatch: {station: [CT1]}", organisation="1.2.3")
    for given in ([near, far, own], [own, far, near]):
        assert profile_for(SENT, given, archive="hospital") is near
        assert profile_for(SENT, given, archive="central") is own


def test_only_source_images_are_touched_and_every_sender_of_them_is_named() -> None:
    report = stored(replace(SENT, modality="SR", sop_instance_uid="9"), kind=InstanceClass.FOREIGN_DERIVED)
    other = stored(replace(SENT, station="CT9", sop_instance_uid="2"))
    reading = profile("profile: a\nmatch: {station: [CT1]}\nfacts: {modality: {set: DX}}")
    found = understood([stored(SENT), report, other], [reading])
    assert [item.header.modality for item in found.instances] == ["DX", "SR", "CT"]
    assert found.profiles == (reading, None)


def test_the_slowest_sender_decides_how_long_silence_must_last() -> None:
    slow = profile("profile: slow\nmatch: {station: [A]}\nquiet: {input_s: 60}")
    fast = profile("profile: fast\nmatch: {station: [B]}\nquiet: {input_s: 2, study_s: 20}")
    assert declared_quiet([], setting=SETTING) == SETTING
    assert declared_quiet([None], setting=SETTING) == SETTING
    only_fast = declared_quiet([fast], setting=SETTING)
    assert (only_fast.stack.total_seconds(), only_fast.study.total_seconds()) == (2, 20)
    assert only_fast.study_why == "20 s as sender profile fast r1 says"
    both = declared_quiet([fast, slow, None], setting=SETTING)
    assert (both.stack, both.stack_why) == (timedelta(seconds=60), "60 s as sender profile slow r1 says")
    assert (both.study, both.study_why) == (timedelta(minutes=10), "")


def test_an_archive_tells_the_order_and_the_sender_where_it_has_them() -> None:
    code = {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["A06.23.004"]}}]}
    dataset = {
        "0020000D": {"vr": "UI", "Value": ["1"]},
        "0020000E": {"vr": "UI", "Value": ["1.1"]},
        "00080018": {"vr": "UI", "Value": ["1.1.1"]},
        "00080080": {"vr": "LO", "Value": ["Hospital 1"]},
        "00201002": {"vr": "IS", "Value": ["40"]},
        "00400275": {"vr": "SQ", "Value": [{"00321064": code, "00321060": {"vr": "LO", "Value": ["КТ головы"]}}]},
        "00081032": {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["CT-HEAD"]}}]},
    }
    seen = seen_instance(dataset)
    assert seen is not None
    header = seen.header
    assert (header.order_code, header.order_text, header.procedure_code) == ("A06.23.004", "КТ головы", "CT-HEAD")
    assert (header.institution, header.images_in_acquisition) == ("Hospital 1", 40)
    scheduled = {**dataset, "00400275": {"vr": "SQ", "Value": [{"00400007": {"vr": "LO", "Value": ["Step"]}}]}}
    step = seen_instance(scheduled)
    assert step is not None
    assert (step.header.order_code, step.header.order_text) == ("", "Step")
