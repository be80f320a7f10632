"""Series become stacks, and what is no input says why."""

import math
from dataclasses import replace

import pytest

from study_router.domain.exclusions import Exclusion
from study_router.domain.facts import kernel_class, snapshot_facts, stack_facts
from study_router.domain.instances import Header, InstanceClass, classify
from study_router.domain.stacks import build_stacks
from study_router.domain.studies import StoredInstance
from udcphantom.ct import Numbering, render_ct
from udcphantom.geometry import evenly, in_groups, scan
from udcphantom.heads import head
from unit.study_router.keyobjects import REJECTED_FOR_QUALITY, rejection_note
from unit.study_router.phantoms import NOON, phantom, seen, stacks_of, stacks_of_phantom, stored
from unit.study_router.test_matching import study_of


def test_slices_in_any_order_become_one_stack_along_the_normal() -> None:
    study = render_ct(head(), scan(evenly(12, spacing=5.0)), numbering=Numbering.SHUFFLED)
    [stack] = stacks_of(study)
    heights = [header.position[2] for header in stack.headers if header.position]
    assert heights == sorted(heights)
    assert stack.geometry.spacing_mm == pytest.approx(5.0)
    assert stack.exclusion is None


def test_the_description_of_a_stack_is_the_same_however_its_slices_came() -> None:
    study = render_ct(head(), scan(evenly(12, spacing=5.0)), numbering=Numbering.SHUFFLED)
    one = stored(seen(study.datasets()))
    other = list(reversed(one))
    digests = {
        build_stacks(order, study_instance_uid=study.uid, archives=["hospital"])[0].descriptor()
        for order in (one, other)
    }
    assert len(digests) == 1


def test_a_tilted_scan_with_two_spacings_is_one_stack() -> None:
    [stack] = stacks_of(render_ct(head(), scan(in_groups((10, 3.0), (10, 6.0)), tilt_deg=18.0)))
    assert stack.geometry.tilt_deg == pytest.approx(18.0, abs=0.1)
    along_the_normal = math.cos(math.radians(18.0))
    assert min(stack.geometry.spacings_mm) == pytest.approx(3.0 * along_the_normal, abs=0.05)
    assert max(stack.geometry.spacings_mm) == pytest.approx(6.0 * along_the_normal, abs=0.05)


def test_phases_of_one_series_are_stacks_of_their_own() -> None:
    stacks = stacks_of(render_ct(head(), scan(evenly(8, spacing=5.0)), temporal_positions=3))
    assert [len(stack.headers) for stack in stacks] == [8, 8, 8]
    assert len({stack.key for stack in stacks}) == 3


def test_a_sequential_scan_that_numbers_each_slice_as_an_acquisition_stays_one_stack() -> None:
    instances = stored(seen(render_ct(head(), scan(evenly(8, spacing=5.0))).datasets()))
    numbered = [
        replace(item, header=replace(item.header, acquisition_number=number)) for number, item in enumerate(instances)
    ]
    assert len(build_stacks(numbered, study_instance_uid="1", archives=["hospital"])) == 1


def test_a_position_that_really_is_repeated_stays_in_its_stack_to_be_judged() -> None:
    instances = stored(seen(render_ct(head(), scan(evenly(8, spacing=5.0))).datasets()))
    again = replace(instances[3], header=replace(instances[3].header, sop_instance_uid="9.9"))
    [stack] = build_stacks([*instances, again], study_instance_uid="1", archives=["hospital"])
    assert len(stack.headers) == 9
    assert len(stack.geometry.duplicates) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"kernel": "BONE"},
        {"echo_time": 90.0},
        {"b_value": 1000.0},
        {"kvp": 80.0},
        {"energy_kev": 70.0},
        {"columns": 256},
        {"stack_id": "2"},
        {"rows": 256},
        {"image_type": ("ORIGINAL", "PRIMARY", "OTHER")},
        {"frame_of_reference_uid": "9.8"},
        {"row_direction": (0.0, 1.0, 0.0), "column_direction": (0.0, 0.0, -1.0)},
    ],
)
def test_what_differs_in_the_way_it_was_made_is_another_stack(change: dict[str, object]) -> None:
    instances = stored(seen(render_ct(head(), scan(evenly(8, spacing=5.0))).datasets()))
    changed = [
        replace(item, header=replace(item.header, **change) if number >= 4 else item.header)  # type: ignore[arg-type]  # named fields
        for number, item in enumerate(instances)
    ]
    stacks = build_stacks(changed, study_instance_uid="1", archives=["hospital"])
    assert [len(stack.headers) for stack in stacks] == [4, 4]


def test_phases_told_apart_by_attributes_of_the_acquisition_are_read_from_the_header() -> None:
    for keyword, values in {
        "AcquisitionUID": ("2.25.1", "2.25.2"),
        "AcquisitionDateTime": ("20260301101500", "20260301101545"),
        "MonoenergeticEnergyEquivalent": (40.0, 70.0),
    }.items():
        images = list(render_ct(head(), scan(evenly(4, spacing=5.0)), temporal_positions=2).datasets())
        for number, image in enumerate(images):
            del image.TemporalPositionIdentifier, image.AcquisitionTime
            image.AcquisitionNumber = 1
            setattr(image, keyword, values[number // 4])
        stacks = build_stacks(stored(seen(images)), study_instance_uid="1", archives=["hospital"])
        assert [len(stack.headers) for stack in stacks] == [4, 4], keyword
        assert len({stack.key for stack in stacks}) == 2


def test_the_companions_of_a_routine_study_are_no_input_and_say_why() -> None:
    stacks = stacks_of_phantom("routine")
    by_reason = {stack.exclusion for stack in stacks}
    assert {
        None,
        Exclusion.LOCALIZER,
        Exclusion.REFORMATTED,
        Exclusion.BOLUS_MONITORING,
        Exclusion.DOSE,
    } <= by_reason
    usable = [stack for stack in stacks if stack.exclusion is None]
    assert {stack.first.kernel for stack in usable} == {"SOFT", "BONE"}


def test_a_series_is_taken_from_the_archive_that_holds_most_of_it_and_a_copy_changes_nothing() -> None:
    study = render_ct(head(), scan(evenly(10, spacing=5.0)))
    instances = seen(study.datasets())
    complete, copy = stored(instances), stored(instances, archive="central")
    order = ["hospital", "central"]
    for held, expected in (
        ([*complete, *copy], "hospital"),
        ([*complete, *copy[:5]], "hospital"),
        ([*complete[:5], *copy], "central"),
    ):
        [stack] = build_stacks(held, study_instance_uid=study.uid, archives=order)
        assert (stack.archive, len(stack.headers)) == (expected, 10)


def test_facts_are_absent_where_nothing_is_known() -> None:
    header = Header(sop_class_uid="1", sop_instance_uid="2", series_instance_uid="3", rows=4, columns=4)
    instance = StoredInstance(archive="hospital", instance_class=InstanceClass.SOURCE, header=header, arrived_at=NOON)
    [stack] = build_stacks([instance], study_instance_uid="1", archives=["hospital"])
    facts = stack_facts(stack)
    assert not {"modality", "body_part", "kernel", "kvp", "slice_spacing_mm", "has_contrast"} & facts.keys()
    assert facts["orientation"] == "PROJECTION"


def test_the_orientation_of_a_slice_without_position_is_unknown() -> None:
    header = Header(sop_class_uid="1", sop_instance_uid="2", series_instance_uid="3", modality="CT", rows=4, columns=4)
    instance = StoredInstance(archive="hospital", instance_class=InstanceClass.SOURCE, header=header, arrived_at=NOON)
    [stack] = build_stacks([instance], study_instance_uid="1", archives=["hospital"])
    assert "orientation" not in stack_facts(stack)


@pytest.mark.parametrize(
    ("sent", "known"),
    [
        (None, None),
        ("", None),
        ("-", None),
        ("N/A", None),
        ("не указано", None),
        ("NONE", False),
        ("No", False),
        ("non-contrast", False),
        ("w/o contrast", False),
        ("Без контраста", False),
        ("БЕЗ  КУ", False),
        ("натив", False),
        ("Омнипак 350", True),
        ("Ultravist 370 80 ml", True),
        ("CONTRAST", True),
        ("NOVOPAQUE", True),
    ],
)
def test_contrast_is_what_somebody_stated_and_otherwise_unknown(sent: str | None, known: bool | None) -> None:
    images = list(render_ct(head(), scan(evenly(2, spacing=5.0))).datasets())
    for image in images:
        if sent is not None:
            image.ContrastBolusAgent = sent
    [stack] = build_stacks(stored(seen(images)), study_instance_uid="1", archives=["hospital"])
    assert stack_facts(stack).get("has_contrast") is known


def test_a_radiograph_called_a_scout_is_an_image_like_any_other() -> None:
    images = list(phantom("dx").datasets())
    for image in images:
        image.SeriesDescription = "Abdomen scout"
    [stack] = build_stacks(stored(seen(images)), study_instance_uid="1", archives=["hospital"])
    assert stack.exclusion is None


def test_what_was_not_taken_as_sent_is_kept_with_what_was_sent_and_where_it_stood() -> None:
    images = list(render_ct(head(), scan(evenly(2, spacing=5.0))).datasets())
    for image in images:
        image.BodyPartExamined, image.ConvolutionKernel = "THORAX", ""
        image.SeriesDescription, image.ContrastBolusAgent = "Голова кость 1.0", "нет"
    stacks = build_stacks(stored(seen(images)), study_instance_uid="1", archives=["hospital"])
    [kept] = snapshot_facts(study_of("axial"), stacks)["stacks"]
    assert [told for told in kept["known"] if told["raw"] != told["value"]] == [
        {"name": "body_part", "raw": "THORAX", "value": "CHEST", "source": "header"},
        {"name": "kernel_class", "raw": "Голова кость 1.0", "value": "BONE", "source": "series description"},
        {"name": "has_contrast", "raw": "нет", "value": False, "source": "header"},
    ]
    assert {told["name"]: kept["facts"][told["name"]] for told in kept["known"]} == {
        "modality": "CT",
        "procedure": "SYN-1",
        "body_part": "CHEST",
        "kernel_class": "BONE",
        "has_contrast": False,
    }


@pytest.mark.parametrize(
    ("kernel", "label"),
    [
        ("SOFT", "SOFT"),
        ("BONE", "BONE"),
        ("B31s", "SOFT"),
        ("H30f", "SOFT"),
        ("Hr40f\\3", "SOFT"),
        ("B70f", "LUNG"),
        ("H70h", "BONE"),
        ("STANDARD", "SOFT"),
        ("BONEPLUS", "BONE"),
        ("LUNG", "LUNG"),
        ("FC64", "SOFT"),
        ("FC30", "BONE"),
        ("FC51", "LUNG"),
        ("XYZZY", ""),
        ("", ""),
    ],
)
def test_kernels_of_the_large_vendors_are_known(kernel: str, label: str) -> None:
    assert kernel_class(kernel) == label


def header_of(**fields: str) -> Header:
    return Header(sop_instance_uid="1.1", series_instance_uid="1", **{"sop_class_uid": "1.2", **fields})  # type: ignore[arg-type]  # named fields


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (header_of(modality="CT"), InstanceClass.SOURCE),
        (header_of(modality="OT", sop_class_uid="1.2.840.10008.5.1.4.1.1.7"), InstanceClass.SOURCE),
        (header_of(modality="SR", sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33"), InstanceClass.FOREIGN_DERIVED),
        (header_of(modality="SEG", sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4"), InstanceClass.FOREIGN_DERIVED),
        (header_of(modality="PR", sop_class_uid="1.2.840.10008.5.1.4.1.1.11.1"), InstanceClass.FOREIGN_DERIVED),
        (
            header_of(modality="KO", sop_class_uid="1.2.840.10008.5.1.4.1.1.88.59", document_title="113000"),
            InstanceClass.FOREIGN_DERIVED,
        ),
        *(
            (
                header_of(modality="KO", sop_class_uid="1.2.840.10008.5.1.4.1.1.88.59", document_title=title),
                InstanceClass.REJECTION_NOTE,
            )
            for title in ("113001", "113037", "113038", "113039")
        ),
    ],
)
def test_an_instance_is_told_by_what_it_is(header: Header, expected: InstanceClass) -> None:
    assert classify(header, is_own=lambda uid: False) is expected  # noqa: ARG005 nothing is ours here
    assert classify(header, is_own=lambda uid: uid == "1.1") is InstanceClass.OWN_RESULT


@pytest.mark.parametrize("left_out", ["CurrentRequestedProcedureEvidenceSequence", "ContentSequence"])
def test_what_a_rejection_note_names_is_read_from_its_evidence_and_from_its_content(left_out: str) -> None:
    images = list(render_ct(head(), scan(evenly(12, spacing=5.0))).datasets())
    note = rejection_note(images[:3], title=REJECTED_FOR_QUALITY)
    delattr(note, left_out)
    stacks = build_stacks(stored(seen([*images, note])), study_instance_uid="1", archives=["hospital"])
    assert sorted((str(stack.exclusion), len(stack.headers)) for stack in stacks) == [
        ("DERIVED_OBJECT", 1),
        ("None", 9),
        ("REJECTED", 3),
    ]
    [rejected] = [stack for stack in stacks if stack.exclusion is Exclusion.REJECTED]
    assert {header.sop_instance_uid for header in rejected.headers} == {image.SOPInstanceUID for image in images[:3]}
    assert rejected.exclusion_why == "Rejected for Quality Reasons, says the note in series 900"


def test_a_note_in_one_archive_rejects_the_copies_in_another() -> None:
    images = list(render_ct(head(), scan(evenly(12, spacing=5.0))).datasets())
    note = stored(seen([rejection_note(images, title=REJECTED_FOR_QUALITY)]), archive="central")
    [stack] = build_stacks([*stored(seen(images)), *note], study_instance_uid="1", archives=["hospital"])
    assert stack.exclusion is Exclusion.REJECTED
