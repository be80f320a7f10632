"""The oracle passes documents that are right, and names what is wrong with documents that are not."""

import ast
import copy
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

import oracle
from oracle.geometry import SourceSlice, half_gap_extents, slices_of
from oracle.report import (
    check_measurement_report,
    evidence_faults,
    identity_faults,
    region_faults,
    tracking_faults,
)
from oracle.segmentation import frame_faults, measure_segments, source_of
from oracle.validators import Allowed, dcentvfy, dciodvfy
from udcphantom import Study, render_chest, variant
from udcphantom.uids import derived_uid

HEMORRHAGE = Code("50960005", "SCT", "Hemorrhage")
OPACITY = Code("112001", "DCM", "Opacity")
ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
BRAIN = Code("12738006", "SCT", "Brain")
VOLUME = Code("118565006", "SCT", "Volume")
MILLILITER = Code("ml", "UCUM", "milliliter")
TRACKING = [derived_uid("oracle", name) for name in ("left", "right")]


@dataclass
class Case:
    """A study and the results a correct device would give for it."""

    study: Study
    sources: list[Dataset]
    slices: list[SourceSlice]
    seg: Dataset
    report: Dataset

    def copy(self) -> "Case":
        return Case(self.study, self.sources, self.slices, copy.deepcopy(self.seg), copy.deepcopy(self.report))


def build_seg(sources: list[Dataset], masks: NDArray[np.uint8]) -> Dataset:
    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=ABNORMAL,
            segmented_property_type=HEMORRHAGE,
            algorithm_type="AUTOMATIC",
            algorithm_identification=hd.AlgorithmIdentificationSequence(
                "detector", codes.cid7162.ArtificialIntelligence, "1.0"
            ),
            tracking_id=label,
            tracking_uid=TRACKING[number - 1],
        )
        for number, label in enumerate(("left", "right")[: masks.shape[-1]], start=1)
    ]
    return hd.seg.Segmentation(
        source_images=sources,
        pixel_array=masks,
        segmentation_type="BINARY",
        segment_descriptions=descriptions,
        manufacturer="Oracle test",
        manufacturer_model_name="Oracle test",
        software_versions="1",
        device_serial_number="1",
        content_label="LESIONS",
        series_instance_uid=derived_uid("oracle", "seg", "series"),
        series_number=80,
        sop_instance_uid=derived_uid("oracle", "seg", "instance"),
        instance_number=1,
    )


def truth_masks(study: Study, slices: list[SourceSlice]) -> NDArray[np.uint8]:
    """Ask the analytic scene at every pixel centre, shape (slices, rows, columns, lesions)."""
    masks = []
    for plane in slices:
        centres = plane.points(np.ones(plane.shape, dtype=np.bool_)).reshape(*plane.shape, 3)
        masks.append(np.stack([lesion.inside(centres) for lesion in study.truth.lesions], axis=-1))
    return np.stack(masks).astype(np.uint8)


ALGORITHM = hd.sr.AlgorithmIdentification("detector", "1.0", parameters=["threshold=0.5"])


def lesion_group(seg: Dataset, slices: list[SourceSlice], number: int) -> Any:
    measure = measure_segments(seg, slices)[number]
    ct = "1.2.840.10008.5.1.4.1.1.2"
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=TRACKING[number - 1], identifier=measure.label),
        referenced_segment=hd.sr.ReferencedSegment(
            seg.SOPClassUID,
            seg.SOPInstanceUID,
            segment_number=number,
            source_images=[hd.sr.SourceImageForSegmentation(ct, key.sop_instance_uid) for key in measure.sources],
        ),
        finding_type=HEMORRHAGE,
        finding_sites=[hd.sr.FindingSite(BRAIN, laterality=Code("7771000", "SCT", "Left"))],
        algorithm_id=ALGORITHM,
        measurements=[hd.sr.Measurement(name=VOLUME, value=round(measure.volume_ml, 3), unit=MILLILITER)],
        qualitative_evaluations=[hd.sr.QualitativeEvaluation(HEMORRHAGE, Code("52101004", "SCT", "Present"))],
    )


def box_group(image: Dataset, box: tuple[float, float, float, float]) -> Any:
    left, top, right, bottom = box
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)])
    return hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=TRACKING[0], identifier="opacity"),
        referenced_region=hd.sr.ImageRegion(
            "POLYLINE", corners, hd.sr.SourceImageForRegion(image.SOPClassUID, image.SOPInstanceUID)
        ),
        finding_type=OPACITY,
        algorithm_id=ALGORITHM,
        measurements=[
            hd.sr.Measurement(
                name=Code("111012", "DCM", "Certainty of Finding"), value=87.0, unit=Code("%", "UCUM", "Percent")
            )
        ],
    )


def absence_group() -> Any:
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=TRACKING[0], identifier="whole study"),
        algorithm_id=ALGORITHM,
        qualitative_evaluations=[hd.sr.QualitativeEvaluation(HEMORRHAGE, Code("272519000", "SCT", "Absent"))],
    )


def build_report(evidence: list[Dataset], groups: list[Any], *, spatial: bool = True) -> Dataset:
    observer = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=derived_uid("oracle", "device"), name="detector", manufacturer_name="Oracle test"
    )
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(
            observer_device_context=hd.sr.ObserverContext(codes.DCM.Device, observer)
        ),
        procedure_reported=Code("25045-6", "LN", "CT unspecified body region"),
        imaging_measurements=groups,
        language_of_content_item_and_descendants=hd.sr.LanguageOfContentItemAndDescendants(
            hd.sr.CodedConcept("ru", "RFC5646", "Russian")
        ),
    )
    document = hd.sr.Comprehensive3DSR if spatial else hd.sr.ComprehensiveSR
    return document(
        evidence=evidence,
        content=content,
        is_complete=True,
        is_final=False,
        manufacturer="Oracle test",
        series_instance_uid=derived_uid("oracle", "sr", "series"),
        series_number=81,
        sop_instance_uid=derived_uid("oracle", "sr", "instance"),
        instance_number=1,
    )


def build_case(name: str) -> Case:
    study = variant(name)
    sources = list(study.datasets())
    slices = slices_of(sources)
    masks = truth_masks(study, slices)
    if len(sources) == 1:
        seg = build_seg(sources, masks)
        return Case(study, sources, slices, seg, build_report([*sources, seg], [absence_group()]))
    seg = build_seg(sources, masks)
    groups = [lesion_group(seg, slices, number) for number in (1, 2)]
    return Case(study, sources, slices, seg, build_report([*sources, seg], groups))


@pytest.fixture(scope="module")
def pristine() -> Case:
    return build_case("tilted-two-spacings")


@pytest.fixture
def case(pristine: Case) -> Case:
    """A correct case that a test may spoil."""
    return pristine.copy()


def all_faults(case: Case) -> list[str]:
    return [
        *check_measurement_report(case.report),
        *region_faults(case.report, case.sources),
        *evidence_faults(case.report, [*case.sources, case.seg]),
        *tracking_faults(case.report, case.seg),
        *identity_faults(case.report, case.sources[0]),
        *identity_faults(case.seg, case.sources[0]),
        *frame_faults(case.seg, case.slices),
    ]


def test_a_correct_segmentation_and_report_have_no_fault(case: Case) -> None:
    assert all_faults(case) == []


def test_a_correct_case_passes_the_validators(case: Case, tmp_path: Path) -> None:
    seg, report = tmp_path / "seg.dcm", tmp_path / "sr.dcm"
    case.seg.save_as(seg)
    case.report.save_as(report)
    assert dciodvfy(seg) == []
    assert dciodvfy(report) == []
    assert dcentvfy([*case.study.write(tmp_path / "sources")[:3], seg, report]) == []


@pytest.mark.parametrize("name", ["tilted-two-spacings", "two-spacings", "axial", "oblique", "enhanced", "feet-first"])
def test_volume_and_centroid_of_a_truthful_mask_are_those_of_the_scene(name: str) -> None:
    case = build_case(name)
    measures = measure_segments(case.seg, case.slices)
    for number, lesion in enumerate(case.study.truth.lesions, start=1):
        # Counting pixel centres of 3.6 mm in slices of up to 7.5 mm is coarse: 8 % of volume, half a pixel of place.
        assert measures[number].volume_ml == pytest.approx(lesion.volume_ml, rel=0.08)
        assert np.linalg.norm(np.subtract(measures[number].centroid_mm, lesion.centroid_mm)) < 1.8


def test_extents_of_two_spacings_are_half_of_either_gap() -> None:
    slices = slices_of(variant("two-spacings").datasets())
    extents = list(half_gap_extents(slices).values())
    assert extents[:15] == pytest.approx([2.5] * 15)
    assert extents[15:17] == pytest.approx([(2.5 + 5.0) / 2, (5.0 + 7.5) / 2])
    assert extents[17:] == pytest.approx([7.5] * 15)


def test_extents_of_a_tilted_scan_shrink_by_the_cosine_of_the_tilt() -> None:
    slices = slices_of(variant("tilt-plus-25").datasets())
    assert list(half_gap_extents(slices).values()) == pytest.approx([5.0 * np.cos(np.deg2rad(25.0))] * 30)


def test_extents_of_a_reversed_scan_are_those_of_the_scan() -> None:
    slices = slices_of(variant("tilted-two-spacings").datasets())
    assert half_gap_extents(slices[::-1]) == pytest.approx(half_gap_extents(slices))


def test_a_repeated_slice_does_not_count_twice(pristine: Case) -> None:
    again = copy.deepcopy(pristine.sources[20])
    again.SOPInstanceUID = derived_uid("oracle", "again")
    slices = slices_of([*pristine.sources, again])
    assert half_gap_extents(slices)[slices[-1].key] == pytest.approx(7.5 * np.cos(np.deg2rad(20.0)))
    seg = copy.deepcopy(pristine.seg)
    frame = next(index for index in range(seg.NumberOfFrames) if source_of(seg, index) == pristine.slices[20].key)
    seg.PerFrameFunctionalGroupsSequence.append(copy.deepcopy(seg.PerFrameFunctionalGroupsSequence[frame]))
    seg.PerFrameFunctionalGroupsSequence[-1].DerivationImageSequence[0].SourceImageSequence[
        0
    ].ReferencedSOPInstanceUID = again.SOPInstanceUID
    size = seg.Rows * seg.Columns // 8
    seg.PixelData = seg.PixelData[: seg.NumberOfFrames * size] + seg.PixelData[frame * size : (frame + 1) * size]
    seg.NumberOfFrames += 1
    before, after = measure_segments(pristine.seg, pristine.slices), measure_segments(seg, slices)
    assert after[1].volume_ml == pytest.approx(before[1].volume_ml)


def test_a_single_segment_is_found_in_the_shared_groups() -> None:
    study = variant("axial")
    sources = list(study.datasets())
    slices = slices_of(sources)
    seg = build_seg(sources, truth_masks(study, slices)[..., :1])
    assert "SegmentIdentificationSequence" in seg.SharedFunctionalGroupsSequence[0]
    assert frame_faults(seg, slices) == []
    assert list(measure_segments(seg, slices)) == [1]


def test_a_report_of_absence_has_no_fault() -> None:
    sources = list(variant("healthy").datasets())
    report = build_report(sources, [absence_group()])
    assert check_measurement_report(report) == []
    assert evidence_faults(report, sources) == []


def test_a_boxed_opacity_has_no_fault() -> None:
    study = render_chest()
    (image,) = study.datasets()
    report = build_report([image], [box_group(image, study.truth.opacities[0].box)], spatial=False)
    assert check_measurement_report(report) == []
    assert region_faults(report, [image]) == []
    assert evidence_faults(report, [image]) == []


def group_items(report: Dataset, number: int = 0) -> Any:
    """The content items of a measurement group."""
    measurements = next(
        item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010"
    )
    return measurements.ContentSequence[number].ContentSequence


def without(items: Any, value: str) -> None:
    kept = [item for item in items if item.ConceptNameCodeSequence[0].CodeValue != value]
    del items[:]
    items.extend(kept)


def item_named(items: Any, value: str) -> Any:
    return next(item for item in items if item.ConceptNameCodeSequence[0].CodeValue == value)


def lose_algorithm(case: Case) -> None:
    without(group_items(case.report), "111001")
    without(group_items(case.report), "111003")


def lose_algorithm_version(case: Case) -> None:
    without(group_items(case.report), "111003")


def lose_language(case: Case) -> None:
    without(case.report.ContentSequence, "121049")


def lose_procedure(case: Case) -> None:
    without(case.report.ContentSequence, "121058")


def lose_device_uid(case: Case) -> None:
    without(case.report.ContentSequence, "121012")


def lose_tracking(case: Case) -> None:
    without(group_items(case.report, 1), "112040")


def lose_source_images(case: Case) -> None:
    without(group_items(case.report), "121233")


def lose_segment(case: Case) -> None:
    without(group_items(case.report), "121191")


def misplace_tracking(case: Case) -> None:
    item_named(group_items(case.report), "112039").RelationshipType = "CONTAINS"


def repeat_finding(case: Case) -> None:
    group_items(case.report).append(copy.deepcopy(item_named(group_items(case.report), "121071")))


def invent_laterality(case: Case) -> None:
    site = item_named(group_items(case.report), "363698007")
    site.ContentSequence[0].ConceptCodeSequence[0].CodeValue = "99999"


def use_foreign_unit(case: Case) -> None:
    volume = item_named(group_items(case.report), "118565006")
    volume.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodingSchemeDesignator = "99OWN"


def retitle(case: Case) -> None:
    case.report.ConceptNameCodeSequence[0].CodeValue = "121111"


def drop_evidence(case: Case) -> None:
    series = case.report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    for one in series:
        kept = [sop for sop in one.ReferencedSOPSequence if sop.ReferencedSOPInstanceUID != case.seg.SOPInstanceUID]
        del one.ReferencedSOPSequence[:]
        one.ReferencedSOPSequence.extend(kept)


def move_evidence_to_another_study(case: Case) -> None:
    case.report.CurrentRequestedProcedureEvidenceSequence[0].StudyInstanceUID = derived_uid("oracle", "elsewhere")


def invent_evidence(case: Case) -> None:
    series = case.report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = derived_uid("oracle", "nothing")


def swap_patient(case: Case) -> None:
    case.report.PatientID = "PHANTOM-0002"


def garble_name(case: Case) -> None:
    case.seg.PatientName = "Фантомов^Синтет"


def change_tracking_in_report(case: Case) -> None:
    item_named(group_items(case.report), "112040").UID = derived_uid("oracle", "another lesion")


def point_one_slice_further(case: Case) -> None:
    """Shift the references of all frames by one source slice; the positions stay."""
    following = {
        one.key.sop_instance_uid: next_one.key.sop_instance_uid
        for one, next_one in zip(case.slices, case.slices[1:], strict=False)
    }
    for frame in case.seg.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        source.ReferencedSOPInstanceUID = following[source.ReferencedSOPInstanceUID]


def point_nowhere(case: Case) -> None:
    frame = case.seg.PerFrameFunctionalGroupsSequence[0]
    frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID = derived_uid("oracle", "nothing")


def leave_frame_of_reference(case: Case) -> None:
    case.seg.FrameOfReferenceUID = derived_uid("oracle", "another frame of reference")


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lose_algorithm, "TID 4019 row 1 Algorithm Name"),
        (lose_algorithm_version, "TID 4019 row 2 Algorithm Version"),
        (lose_language, "TID 1204 row 1"),
        (lose_procedure, "TID 1500 row 4"),
        (lose_device_uid, "TID 1004 row 1 Device Observer UID"),
        (lose_tracking, "TID 1411 row 3 Tracking Unique Identifier"),
        (lose_source_images, "TID 1411 row 12"),
        (lose_segment, "says where in 0 ways"),
        (misplace_tracking, "TID 1411 row 2 Tracking Identifier: item"),
        (repeat_finding, "TID 1411 row 3b Finding: 2 times"),
        (invent_laterality, "TID 1419 row 3 Laterality"),
        (use_foreign_unit, "not one of UCUM"),
        (retitle, "TID 1500 row 1"),
        (drop_evidence, "which is not in evidence"),
        (move_evidence_to_another_study, "listed under another study"),
        (invent_evidence, "is not an instance that exists"),
        (swap_patient, "PatientID is 'PHANTOM-0002'"),
        (garble_name, "PatientName is"),
        (change_tracking_in_report, "says Tracking Unique Identifier"),
        (point_one_slice_further, "mm from the source image it points to"),
        (point_nowhere, "which is not among the sources"),
        (leave_frame_of_reference, "another frame of reference"),
    ],
)
def test_a_fault_is_named(case: Case, spoil: Callable[[Case], None], named: str) -> None:
    spoil(case)
    assert any(named in fault for fault in all_faults(case)), all_faults(case)


def test_a_mask_shifted_by_one_slice_is_consistent_in_itself_but_not_with_the_scene(pristine: Case) -> None:
    masks = np.roll(truth_masks(pristine.study, pristine.slices), 1, axis=0)
    seg = build_seg(pristine.sources, masks)
    assert frame_faults(seg, pristine.slices) == []
    measures = measure_segments(seg, pristine.slices)
    right = pristine.study.truth.lesions[1]  # among the thick slices, so one slice is 7.5 mm along the table
    assert np.linalg.norm(np.subtract(measures[2].centroid_mm, right.centroid_mm)) > 5.0


@pytest.mark.parametrize(
    ("box", "named"),
    [((100.0, 40.0, 130.0, 60.0), "reaches out of its image"), ((-3.0, 40.0, 30.0, 60.0), "reaches out of its image")],
)
def test_a_box_beyond_the_image_is_named(box: tuple[float, float, float, float], named: str) -> None:
    (image,) = render_chest().datasets()
    report = build_report([image], [box_group(image, box)], spatial=False)
    assert any(named in fault for fault in region_faults(report, [image]))


def test_an_open_outline_is_named() -> None:
    study = render_chest()
    (image,) = study.datasets()
    report = build_report([image], [box_group(image, study.truth.opacities[0].box)], spatial=False)
    region = item_named(group_items(report), "111030")
    region.GraphicData = list(region.GraphicData)[:-2]
    assert any("open polyline" in fault for fault in region_faults(report, [image]))


def test_a_validator_error_counts_unless_it_is_allowed(case: Case, tmp_path: Path) -> None:
    del case.seg.SegmentSequence[0].SegmentAlgorithmType
    path = tmp_path / "seg.dcm"
    case.seg.save_as(path)
    assert any("SegmentAlgorithmType" in error for error in dciodvfy(path))
    assert dciodvfy(path, allowed=[Allowed("SegmentAlgorithmType", "PS3.3 C.8.20.2: this test only")]) == []


def test_a_file_that_is_no_known_object_does_not_pass(tmp_path: Path) -> None:
    path = tmp_path / "text.dcm"
    path.write_bytes(b"not DICOM at all" * 40)
    assert dciodvfy(path) != []


def test_a_region_selected_from_nothing_is_named() -> None:
    study = render_chest()
    (image,) = study.datasets()
    report = build_report([image], [box_group(image, study.truth.opacities[0].box)], spatial=False)
    del item_named(group_items(report), "111030").ContentSequence
    assert any("region is selected: missing" in fault for fault in check_measurement_report(report))


def test_two_names_for_one_patient_are_named(case: Case, tmp_path: Path) -> None:
    case.seg.PatientName = "Другой^Пациент"
    seg = tmp_path / "seg.dcm"
    case.seg.save_as(seg)
    errors = dcentvfy([case.study.write(tmp_path / "sources")[0], seg])
    assert any("PatientName" in error for error in errors), errors


def test_the_oracle_shares_no_code_with_what_it_judges() -> None:
    modules = [Path(path) for folder in oracle.__path__ for path in Path(folder).glob("*.py")]
    imported = {
        name.partition(".")[0]
        for module in modules
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert len(modules) > 5
    assert imported <= {"oracle", "numpy", "pydicom", *sys.stdlib_module_names}
