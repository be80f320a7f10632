"""The DICOM objects of a result are valid, say what the device said, and are always the same bytes."""

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from oracle.content import Code, Item
from oracle.geometry import slices_of
from oracle.report import (
    check_measurement_report,
    evidence_faults,
    identity_faults,
    region_faults,
    tracking_faults,
)
from oracle.segmentation import frame_faults, measure_segments
from oracle.segmentation import masks_of as masks_in
from oracle.validators import dcentvfy, dciodvfy
from result_archiver.adapters.dicom.builder import build
from result_archiver.adapters.dicom.drawing import Typeface
from result_archiver.domain.failure import CannotArchiveError, FailureReason
from result_archiver.domain.key_images import Frame, mask_in
from result_archiver.domain.objects import BuildOrder, EncodedObject, ObjectKind, Snapshot
from udckit.errors import PreconditionError
from udcmodel.result import Finding, SegmentLocation, SourceInstance
from udcmodel.vocabulary import Mode, Presence
from udcphantom.ct import render_ct
from udcphantom.enhanced import render_enhanced_ct
from udcphantom.geometry import Geometry, evenly, in_groups, scan
from udcphantom.heads import LEFT_BLEED, RIGHT_BLEED, head
from udcphantom.identity import Charset, Identity
from udcphantom.radiograph import Detector, render_chest
from udcphantom.study import Study
from unit.result_archiver.results import (
    HEMORRHAGE,
    bleed,
    bleed_in_frames,
    headers_of,
    masks_of,
    nothing,
    opacity,
    order_of,
    result_of,
    segment_of,
    sources_of,
)

TYPEFACE = Typeface("DejaVuSans.ttf")
HEMORRHAGE_CODE = hd.sr.CodedConcept(HEMORRHAGE.value, HEMORRHAGE.scheme, HEMORRHAGE.meaning)

UPRIGHT_STEPS = scan(evenly(12, spacing=10.0))
TILTED = scan(evenly(12, spacing=10.0), tilt_deg=18.0)
TWO_SPACINGS = scan(in_groups((8, 5.0), (8, 10.0)))


def head_ct(geometry: Geometry = UPRIGHT_STEPS, **arguments: object) -> Study:
    return render_ct(head((LEFT_BLEED,)), geometry, **arguments)  # type: ignore[arg-type]  # passed on as given


def orders() -> dict[str, BuildOrder]:
    healthy = render_ct(head(()), UPRIGHT_STEPS)
    chest, digital = render_chest(), render_chest(detector=Detector.DX)
    frames = render_enhanced_ct(head((LEFT_BLEED,)), UPRIGHT_STEPS)
    varying = render_enhanced_ct(head((LEFT_BLEED,)), TWO_SPACINGS)
    return {
        "bleed": order_of(head_ct(), bleed(head_ct())),
        "tilted": order_of(head_ct(TILTED), bleed(head_ct(TILTED))),
        "two-spacings": order_of(head_ct(TWO_SPACINGS), bleed(head_ct(TWO_SPACINGS))),
        "enhanced": order_of(frames, bleed_in_frames(frames)),
        "enhanced-two-spacings": order_of(varying, bleed_in_frames(varying)),
        "healthy-pilot": order_of(healthy, nothing(healthy), mode=Mode.PILOT),
        "chest-cr": order_of(chest, opacity(chest, "chest")),
        "chest-dx": order_of(digital, opacity(digital, "chest")),
    }


STUDIES: dict[str, Callable[[], Study]] = {
    "bleed": head_ct,
    "tilted": lambda: head_ct(TILTED),
    "two-spacings": lambda: head_ct(TWO_SPACINGS),
    "enhanced": lambda: render_enhanced_ct(head((LEFT_BLEED,)), UPRIGHT_STEPS),
    "enhanced-two-spacings": lambda: render_enhanced_ct(head((LEFT_BLEED,)), TWO_SPACINGS),
    "healthy-pilot": lambda: render_ct(head(()), UPRIGHT_STEPS),
    "chest-cr": render_chest,
    "chest-dx": lambda: render_chest(detector=Detector.DX),
}
NAMES = sorted(STUDIES)
WITH_SEGMENT = ["bleed", "enhanced", "enhanced-two-spacings", "tilted", "two-spacings"]

ORDERS = orders()
BUILT = {name: build(order, TYPEFACE) for name, order in ORDERS.items()}


def read(encoded: EncodedObject) -> Dataset:
    return pydicom.dcmread(io.BytesIO(encoded.content))


def only(name: str, kind: ObjectKind) -> Dataset:
    (found,) = [read(encoded) for encoded in BUILT[name] if encoded.kind is kind]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_object_is_valid_by_an_independent_validator(name: str, tmp_path: Path) -> None:
    for number, encoded in enumerate(BUILT[name]):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(encoded.content)
        assert dciodvfy(path) == []


@pytest.mark.parametrize("name", NAMES)
def test_objects_and_sources_agree_about_patient_and_study(name: str, tmp_path: Path) -> None:
    study = STUDIES[name]()
    paths = study.write(tmp_path / "sources")
    for number, encoded in enumerate(BUILT[name]):
        paths.append(tmp_path / f"{number}.dcm")
        paths[-1].write_bytes(encoded.content)
        assert identity_faults(read(encoded), study.instances[0].read()) == []
    assert dcentvfy(paths) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_report_follows_its_template_row_by_row(name: str) -> None:
    assert check_measurement_report(only(name, ObjectKind.SR)) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_report_refers_only_to_what_exists_and_lies_inside_of_it(name: str) -> None:
    images = list(headers_of(STUDIES[name]()).values())
    others = [read(encoded) for encoded in BUILT[name] if encoded.kind is not ObjectKind.SR]
    report = only(name, ObjectKind.SR)
    assert evidence_faults(report, [*images, *others]) == []
    assert region_faults(report, images) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_object_is_marked_as_made_by_ai(name: str) -> None:
    for encoded in BUILT[name]:
        made = read(encoded)
        assert made.SeriesDescription.startswith("ИИ: ct-brain-hyperdensity 1.0.0")
        assert made.SeriesDescription.endswith("ПИЛОТ") == (name == "healthy-pilot")
        equipment = made.ContributingEquipmentSequence[0]
        assert "искусственного интеллекта" in equipment.ContributionDescription
        assert equipment.SoftwareVersions == "1.0.0"


@pytest.mark.parametrize("name", NAMES)
def test_the_report_is_complete_and_not_verified(name: str) -> None:
    report = only(name, ObjectKind.SR)
    assert (report.CompletionFlag, report.VerificationFlag) == ("COMPLETE", "UNVERIFIED")


@pytest.mark.parametrize("name", WITH_SEGMENT)
def test_the_mask_lies_on_the_slices_it_was_found_on(name: str) -> None:
    study, seg = STUDIES[name](), only(name, ObjectKind.SEG)
    slices = slices_of(headers_of(study).values())
    (segment,) = ORDERS[name].result.segments

    assert frame_faults(seg, slices) == []
    found = masks_in(seg, 1, slices)
    assert len(found) == len(segment.frames)
    for key, mask in found.items():
        expected = mask_in(segment, Frame(key.sop_instance_uid, max(key.frame, 1)))
        np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("name", WITH_SEGMENT)
def test_the_segment_has_the_volume_and_place_of_the_lesion(name: str) -> None:
    slices = slices_of(headers_of(STUDIES[name]()).values())
    measured = measure_segments(only(name, ObjectKind.SEG), slices)[1]
    (lesion,) = STUDIES[name]().truth.lesions
    assert measured.volume_ml == pytest.approx(lesion.volume_ml, rel=0.15)
    assert np.linalg.norm(np.subtract(measured.centroid_mm, lesion.centroid_mm)) < 3.0


@pytest.mark.parametrize("name", WITH_SEGMENT)
def test_report_and_segmentation_follow_a_finding_by_the_same_identifiers(name: str) -> None:
    assert tracking_faults(only(name, ObjectKind.SR), only(name, ObjectKind.SEG)) == []


def test_a_reader_finds_the_measurements_the_device_made() -> None:
    report = hd.sr.Comprehensive3DSR.from_dataset(only("bleed", ObjectKind.SR))
    content = hd.sr.MeasurementReport.from_sequence([report])
    (group,) = content.get_volumetric_roi_measurement_groups(finding_type=HEMORRHAGE_CODE)
    numbers = {item.name.value: (item.value, item.unit.value) for item in group.get_measurements()}
    assert numbers == {"118565006": (24.3125, "ml"), "81827009": (41.5, "mm"), "111012": (93.12345, "%")}
    methods = {item.name.value: item.method.value for item in group.get_measurements() if item.method is not None}
    assert methods == {"118565006": "126030"}
    (verdict,) = group.get_qualitative_evaluations(name=HEMORRHAGE_CODE)
    assert verdict.value == hd.sr.CodedConcept("52101004", "SCT", "Present")


def test_texts_of_the_vendor_are_carried_verbatim() -> None:
    report = only("bleed", ObjectKind.SR)
    container = report.ContentSequence[-1]
    assert container.ConceptNameCodeSequence[0].CodeValue == "C0034375"
    assert [(item.ConceptNameCodeSequence[0].CodeMeaning, item.TextValue) for item in container.ContentSequence] == [
        ("Findings", "В левом полушарии выявлен гиперденсный участок."),
        ("Conclusion", "Признаки внутричерепного кровоизлияния."),
    ]


def test_an_absent_finding_is_never_written_as_a_finding() -> None:
    def findings(name: str) -> list[Item]:
        return [item for item in Item(only(name, ObjectKind.SR)).walk() if item.name == Code("121071", "DCM")]

    assert len(findings("bleed")) == 1
    assert findings("healthy-pilot") == []
    (verdict,) = [
        item for item in Item(only("healthy-pilot", ObjectKind.SR)).walk() if item.name == Code("50960005", "SCT")
    ]
    assert verdict.dataset.ConceptCodeSequence[0].CodeMeaning == "Absent"


def test_a_normal_study_has_no_segmentation() -> None:
    assert [encoded.kind for encoded in BUILT["healthy-pilot"]] == [ObjectKind.SC, ObjectKind.SR]


def test_what_a_device_marks_of_an_absent_finding_is_not_shown() -> None:
    study = head_ct()
    absent = Finding(
        id="h",
        code=HEMORRHAGE,
        presence=Presence.ABSENT,
        probability=0.2,
        locations=(SegmentLocation(segment_number=1),),
    )
    result = result_of(sources_of(study), [absent], segments=(segment_of(masks_of(study)),))
    assert [encoded.kind for encoded in build(order_of(study, result), TYPEFACE)] == [ObjectKind.SC, ObjectKind.SR]


def test_two_findings_have_their_own_segments_and_identifiers() -> None:
    study = render_ct(head((LEFT_BLEED, RIGHT_BLEED)), UPRIGHT_STEPS)
    masks = masks_of(study)
    halves = [
        {uid: mask & side for uid, mask in masks.items()}
        for side in (np.arange(64)[None, :] < 32, np.arange(64)[None, :] >= 32)
    ]
    # Numbers of a device need not be dense; those of DICOM must be.
    segments = tuple(segment_of(half, number) for number, half in zip((7, 3), halves, strict=True))
    findings = [
        Finding(
            id=name, code=HEMORRHAGE, presence=Presence.PRESENT, locations=(SegmentLocation(segment_number=number),)
        )
        for name, number in (("right", 7), ("left", 3))
    ]
    objects = build(order_of(study, result_of(sources_of(study), findings, segments=segments)), TYPEFACE)
    seg, report = read(objects[0]), read(objects[-1])

    assert tracking_faults(report, seg) == []
    assert [item.SegmentNumber for item in seg.SegmentSequence] == [1, 2]
    assert check_measurement_report(report) == []
    slices = slices_of(headers_of(study).values())
    for number, half in enumerate(halves, start=1):
        for key, mask in masks_in(seg, number, slices).items():
            np.testing.assert_array_equal(mask, half[key.sop_instance_uid])


def test_a_prior_study_is_other_evidence() -> None:
    study, prior = head_ct(), head_ct(seed=2)
    now = bleed(study)
    old = replace(sources_of(prior)[0])
    result = replace(now, sources=(old, *now.sources))
    objects = build(order_of(study, result), TYPEFACE)
    report = read(objects[-1])
    assert report.StudyInstanceUID == study.uid
    (other,) = report.PertinentOtherEvidenceSequence
    assert other.StudyInstanceUID == prior.uid
    assert (
        evidence_faults(
            report, [*study.datasets(), *prior.datasets(), read(build(order_of(study, result), TYPEFACE)[0])]
        )
        == []
    )


def test_a_place_outside_of_its_image_is_refused() -> None:
    chest = render_chest()
    result = opacity(chest, "chest")
    (finding,) = result.findings
    beyond = replace(finding, locations=(replace(finding.locations[0], right=500.0),))  # type: ignore[arg-type]  # a box
    with pytest.raises(CannotArchiveError, match="outside of its image"):
        build(order_of(chest, replace(result, findings=(beyond,))), TYPEFACE)


# ---- reproducible bytes


def test_the_same_order_gives_the_same_bytes_in_another_process() -> None:
    program = (
        "from unit.result_archiver.test_objects import BUILT;"
        "print([(n, [o.digest for o in objects]) for n, objects in sorted(BUILT.items())])"
    )
    other = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo"},
    )
    ours = [(name, [encoded.digest for encoded in objects]) for name, objects in sorted(BUILT.items())]
    assert other.stdout.strip() == str(ours)


def test_times_are_those_of_acceptance_in_the_zone_of_the_region() -> None:
    for encoded in BUILT["bleed"]:
        made = read(encoded)
        # 2026-03-01 21:15 UTC is after midnight in Moscow.
        assert (made.SeriesDate, made.ContentDate, made.InstanceCreationDate) == ("20260302",) * 3
        assert str(made.ContentTime).startswith("001500")


def test_a_reissue_has_other_identifiers() -> None:
    first = {encoded.sop_instance_uid for encoded in BUILT["bleed"]}
    study = head_ct()
    second = {encoded.sop_instance_uid for encoded in build(order_of(study, bleed(study), issue=2), TYPEFACE)}
    assert first.isdisjoint(second)


def test_building_leaves_the_sources_as_they_were() -> None:
    order = ORDERS["bleed"]
    before = hashlib.sha256(repr(order.snapshot.headers).encode()).hexdigest()
    build(order, TYPEFACE)
    assert hashlib.sha256(repr(order.snapshot.headers).encode()).hexdigest() == before


# ---- character sets


@pytest.mark.parametrize("charset", [Charset.UTF_8, Charset.CYRILLIC, Charset.CYRILLIC_EXTENDED])
def test_russian_text_survives_whatever_the_source_is_written_in(charset: Charset) -> None:
    study = head_ct(identity=Identity(charset=charset))
    for encoded in build(order_of(study, bleed(study)), TYPEFACE):
        made = read(encoded)
        assert made.SpecificCharacterSet == "ISO_IR 192"
        assert str(made.PatientName) == "Фантомов^Синтет^Тестович"
        assert made.StudyDescription == "Синтетическое исследование"
        assert made.ProcedureCodeSequence[0].CodeMeaning == "Синтетическая процедура"


def test_an_undecodable_name_is_left_empty_and_said_so() -> None:
    study = head_ct(identity=Identity(charset=Charset.UNDECLARED_CP1251))
    objects = build(order_of(study, bleed(study)), TYPEFACE)
    for encoded in objects:
        made = read(encoded)
        assert str(made.PatientName) == ""
        assert made.PatientID == "PHANTOM-0001"
    report = read(objects[-1])
    comments = [item.TextValue for item in report.ContentSequence[-1].ContentSequence]
    assert any("не читается" in comment and "PatientName" in comment for comment in comments)


# ---- sources that do not allow objects


def altered(order: BuildOrder, change: Callable[[dict[str, Any]], dict[str, Any]]) -> BuildOrder:
    headers = tuple(change(dict(header)) for header in order.snapshot.headers)
    return replace(order, snapshot=Snapshot(headers=headers, key_images=order.snapshot.key_images))


def without(*tags: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda header: {tag: value for tag, value in header.items() if tag not in tags}


@pytest.mark.parametrize("tag", ["00200052", "00200032", "00200037", "00280030"])
def test_a_segment_on_images_without_geometry_is_refused(tag: str) -> None:
    with pytest.raises(CannotArchiveError) as refused:
        build(altered(ORDERS["bleed"], without(tag)), TYPEFACE)
    assert refused.value.why is FailureReason.SOURCE_WITHOUT_GEOMETRY


@pytest.mark.parametrize("tag", ["00280010", "0020000E"])
def test_a_source_without_a_required_attribute_is_refused(tag: str) -> None:
    with pytest.raises(CannotArchiveError) as refused:
        build(altered(ORDERS["bleed"], without(tag)), TYPEFACE)
    assert refused.value.why is FailureReason.SOURCE_ATTRIBUTE_MISSING


@pytest.mark.parametrize(
    "element",
    [
        512,
        {},
        {"Value": [512]},
        {"vr": "ZZ", "Value": [512]},
        {"vr": "US", "Value": ["many"]},
        {"vr": "US", "Value": 512},
    ],
    ids=str,
)
def test_a_malformed_header_is_the_fault_of_the_source(element: object) -> None:
    with pytest.raises(CannotArchiveError) as refused:
        build(altered(ORDERS["bleed"], lambda header: {**header, "00280010": element}), TYPEFACE)
    assert refused.value.why in {FailureReason.SOURCE_ATTRIBUTE_MISSING, FailureReason.RESULT_INVALID}


def test_a_missing_slice_thickness_does_not_matter() -> None:
    objects = build(altered(ORDERS["bleed"], without("00180050")), TYPEFACE)
    assert [encoded.kind for encoded in objects] == [ObjectKind.SEG, ObjectKind.SC, ObjectKind.SR]


def test_directions_that_differ_by_rounding_do_not_matter() -> None:
    tilt = iter(range(1000))

    def rounded(header: dict[str, Any]) -> dict[str, Any]:
        return {**header, "00200037": {"vr": "DS", "Value": [1.0, 0.0, 1e-6 * next(tilt), 0.0, 1.0, 0.0]}}

    seg = read(build(altered(ORDERS["bleed"], rounded), TYPEFACE)[0])
    assert seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence


def test_a_key_image_that_is_no_dicom_file_is_refused() -> None:
    order = ORDERS["bleed"]
    broken = replace(order, snapshot=replace(order.snapshot, key_images=dict.fromkeys(order.snapshot.key_images, b"x")))
    with pytest.raises(CannotArchiveError) as refused:
        build(broken, TYPEFACE)
    assert refused.value.why is FailureReason.SOURCE_PIXELS_UNREADABLE


# ---- pictures


def test_the_key_image_is_the_slice_with_the_largest_area() -> None:
    study = head_ct()
    areas = {uid: int(mask.sum()) for uid, mask in masks_of(study).items()}
    capture = only("bleed", ObjectKind.SC)
    shown = capture.SourceImageSequence[0].ReferencedSOPInstanceUID
    assert areas[shown] == max(areas.values())


def test_when_nothing_was_found_the_middle_slice_is_shown() -> None:
    middle = STUDIES["healthy-pilot"]().instances[6].sop_instance_uid
    assert only("healthy-pilot", ObjectKind.SC).SourceImageSequence[0].ReferencedSOPInstanceUID == middle


def test_the_outline_runs_round_the_lesion() -> None:
    pixels = only("bleed", ObjectKind.SC).pixel_array.astype(int)
    red = (pixels[..., 0] > 200) & (pixels[..., 1] < 120) & (pixels[..., 2] < 120)
    (segment,) = ORDERS["bleed"].result.segments
    uid = str(only("bleed", ObjectKind.SC).SourceImageSequence[0].ReferencedSOPInstanceUID)
    mask = mask_in(segment, Frame(uid))
    assert mask is not None
    # The picture is the slice enlarged twelve times, below a band of captions.
    rows, columns = np.nonzero(mask)
    band = np.flatnonzero(red[:, :].any(axis=1))
    outline_columns = np.flatnonzero(red[band[0] : band[0] + 12 * (int(np.ptp(rows)) + 1)].any(axis=0))
    assert outline_columns[0] == pytest.approx(12 * columns.min(), abs=4)
    assert outline_columns[-1] == pytest.approx(12 * (columns.max() + 1), abs=4)


def test_pictures_say_that_they_are_no_originals() -> None:
    capture = only("bleed", ObjectKind.SC)
    assert list(capture.ImageType[:2]) == ["DERIVED", "SECONDARY"]
    assert capture.BurnedInAnnotation == "YES"


def test_a_font_that_is_not_there_is_named_with_what_to_do() -> None:
    with pytest.raises(PreconditionError, match="fonts-dejavu-core"):
        Typeface("NoSuchFont.ttf")


def test_sources_of_another_study_alone_are_no_sources() -> None:
    study, other = head_ct(), head_ct(seed=2)
    foreign: tuple[SourceInstance, ...] = sources_of(other)
    order = order_of(study, bleed(study))
    misplaced = replace(order.result, segments=(segment_of(masks_of(other)),), sources=foreign)
    with pytest.raises(CannotArchiveError, match="another study"):
        build(replace(order, result=misplaced), TYPEFACE)
