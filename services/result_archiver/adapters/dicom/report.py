"""SR: the report of a result by TID 1500 Measurement Report (PS3.16)."""

from collections.abc import Sequence
from typing import Any, Final, assert_never

import numpy as np
from highdicom import sr
from highdicom.seg import Segmentation
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code as DicomCode

from result_archiver.adapters.dicom import coding
from result_archiver.adapters.dicom.coding import dicom_code, optional_dicom_code
from result_archiver.adapters.dicom.marks import common_arguments, finish, serial_number
from result_archiver.adapters.dicom.segmentation import tracking_uid
from result_archiver.adapters.dicom.sources import Sources, lent, minimal_source
from result_archiver.domain.failure import CannotArchiveError, FailureReason
from result_archiver.domain.key_images import located, shown_segments
from result_archiver.domain.objects import BuildOrder, ObjectKind
from udcmodel.ids import derive, uid_from
from udcmodel.result import Box, Contour, Finding, SegmentLocation, TextKind
from udcmodel.vocabulary import Presence

_TEXT_NAMES: Final[dict[TextKind, DicomCode]] = {
    TextKind.FINDINGS: coding.FINDINGS,
    TextKind.CONCLUSION: coding.CONCLUSION,
    TextKind.RECOMMENDATION: coding.RECOMMENDATION,
}

_UNREADABLE: Final = "Текст источника не читается в объявленной кодировке и не перенесён: {keywords}"

Group = (
    sr.PlanarROIMeasurementsAndQualitativeEvaluations
    | sr.VolumetricROIMeasurementsAndQualitativeEvaluations
    | sr.MeasurementsAndQualitativeEvaluations
)


def build_report(order: BuildOrder, sources: Sources, segmentation: Segmentation | None) -> Dataset:
    """Build the report.

    A Comprehensive 3D SR where the images have a frame of reference, else a Comprehensive SR. Complete, not verified.

    Args:
        order: What to build.
        sources: The images of the study.
        segmentation: The SEG of the same result, if there is one.

    Raises:
        CannotArchiveError: a place lies outside of its image.
    """
    groups: list[Group] = []
    for finding in order.result.findings:
        groups.extend(_groups(order, sources, finding, segmentation))
    language = coding.LANGUAGES.get(order.result.language.partition("-")[0], coding.RUSSIAN)
    modality = str(sources.images[0].get("Modality", ""))
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=_device(order)),
        procedure_reported=coding.PROCEDURES.get(modality, coding.ANY_PROCEDURE),
        imaging_measurements=groups,
        language_of_content_item_and_descendants=sr.LanguageOfContentItemAndDescendants(sr.CodedConcept(*language[:3])),
    )
    texts = _texts(order, sources)
    if texts:
        container = sr.ContainerContentItem(
            name=coding.QUALITATIVE_EVALUATIONS, relationship_type=sr.RelationshipTypeValues.CONTAINS
        )
        container.ContentSequence = sr.ContentSequence(texts)
        content[0].ContentSequence.append(container)
    kind: Any = sr.Comprehensive3DSR if sources.has_frame_of_reference else sr.ComprehensiveSR
    report: Dataset = kind(
        evidence=_evidence(order, sources, segmentation),
        content=content[0],
        is_complete=True,
        is_final=False,
        **common_arguments(order, sources, ObjectKind.SR),
    )
    finish(report, order, sources.when)
    return report


def _device(order: BuildOrder) -> sr.ObserverContext:
    device = order.device
    return sr.ObserverContext(
        sr.CodedConcept(*coding.DEVICE[:3]),
        sr.DeviceObserverIdentifyingAttributes(
            uid=uid_from(derive("device", device.device, device.version, device.model_digest)),
            name=device.title,
            manufacturer_name=device.manufacturer,
            model_name=device.device,
            serial_number=f"{device.version} {serial_number(order)}",
        ),
    )


def _groups(
    order: BuildOrder, sources: Sources, finding: Finding, segmentation: Segmentation | None
) -> Sequence[Group]:
    """One group for each place; numbers and the verdict stand in the first, so that nobody counts them twice."""
    full: dict[str, Any] = {
        "measurements": _measurements(finding) or None,
        "qualitative_evaluations": [
            sr.QualitativeEvaluation(dicom_code(finding.code), coding.PRESENCES[finding.presence])
        ],
    }
    if not located(finding):
        return [sr.MeasurementsAndQualitativeEvaluations(**_identity(order, finding), **full)]
    groups: list[Group] = []
    for location in finding.locations:
        facts = {**_identity(order, finding), **(full if not groups else {})}
        if isinstance(location, SegmentLocation):
            reference = _referenced_segment(order, sources, location, segmentation)
            groups.append(sr.VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=reference, **facts))
        else:
            region = _region(location, sources)
            groups.append(sr.PlanarROIMeasurementsAndQualitativeEvaluations(referenced_region=region, **facts))
    return groups


def _identity(order: BuildOrder, finding: Finding) -> dict[str, Any]:
    site = optional_dicom_code(finding.site)
    return {
        "tracking_identifier": sr.TrackingIdentifier(uid=tracking_uid(order, finding), identifier=finding.id),
        # A reader that looks at (121071, DCM, "Finding") alone must never take an absent finding for a present one.
        "finding_type": dicom_code(finding.code) if finding.presence is Presence.PRESENT else None,
        "finding_category": optional_dicom_code(finding.category) if finding.presence is Presence.PRESENT else None,
        "finding_sites": [sr.FindingSite(site, laterality=optional_dicom_code(finding.laterality))] if site else None,
        "algorithm_id": sr.AlgorithmIdentification(
            name=order.device.device,
            version=order.device.version,
            family=coding.ARTIFICIAL_INTELLIGENCE,
            manufacturer=order.device.manufacturer,
        ),
    }


def _measurements(finding: Finding) -> list[sr.Measurement]:
    measurements = [
        sr.Measurement(
            name=dicom_code(measurement.name),
            value=float(measurement.value),
            unit=dicom_code(measurement.unit),
            derivation=optional_dicom_code(measurement.derivation),
            method=optional_dicom_code(measurement.method),
        )
        for measurement in finding.measurements
    ]
    if finding.probability is not None:
        # Ten digits are far below what a model can tell, and fit a DS of sixteen characters.
        percent = round(100.0 * finding.probability, 8)
        measurements.append(sr.Measurement(name=coding.PROBABILITY, value=percent, unit=coding.PERCENT))
    return measurements


def _referenced_segment(
    order: BuildOrder, sources: Sources, location: SegmentLocation, segmentation: Segmentation | None
) -> sr.ReferencedSegment:
    shown = [segment.number for segment in shown_segments(order.result)]
    if segmentation is None or location.segment_number not in shown:
        raise CannotArchiveError(
            FailureReason.RESULT_INVALID, f"a finding refers to segment {location.segment_number}, which is not there"
        )
    segment = order.result.segments[[other.number for other in order.result.segments].index(location.segment_number)]
    classes = {source.sop_instance_uid: source.sop_class_uid for source in order.result.sources}
    frames: dict[str, list[int]] = {}
    for frame in segment.frames:
        frames.setdefault(frame.sop_instance_uid, []).append(frame.frame_number)
    return sr.ReferencedSegment(
        segmentation.SOPClassUID,
        segmentation.SOPInstanceUID,
        segment_number=shown.index(location.segment_number) + 1,
        source_images=[
            sr.SourceImageForSegmentation(classes[uid], uid, sorted(numbers) if _is_multi_frame(sources, uid) else None)
            for uid, numbers in frames.items()
        ],
    )


def _region(location: Box | Contour, sources: Sources) -> sr.ImageRegion:
    points: tuple[tuple[float, float], ...]
    match location:
        case Box(left=left, top=top, right=right, bottom=bottom):
            points = ((left, top), (right, top), (right, bottom), (left, bottom), (left, top))
        case Contour():
            points = location.points
        case _:
            assert_never(location)
    image = sources.by_uid.get(location.sop_instance_uid)
    if image is None:
        raise CannotArchiveError(FailureReason.RESULT_INVALID, "a place lies on an image of another study")
    if not all(0 <= x <= image.Columns and 0 <= y <= image.Rows for x, y in points):
        raise CannotArchiveError(FailureReason.RESULT_INVALID, "a place lies outside of its image")
    frames = [location.frame_number] if _is_multi_frame(sources, location.sop_instance_uid) else None
    return sr.ImageRegion(
        graphic_type="POLYLINE",
        graphic_data=np.array(points, np.float64),
        source_image=sr.SourceImageForRegion(image.SOPClassUID, image.SOPInstanceUID, frames),
    )


def _is_multi_frame(sources: Sources, uid: str) -> bool:
    # Frame numbers may be given for multi-frame images only (PS3.3 10.3).
    return "NumberOfFrames" in sources.by_uid[uid]


def _texts(order: BuildOrder, sources: Sources) -> list[sr.TextContentItem]:
    named = [(_TEXT_NAMES[text.kind], text.text) for text in order.result.texts]
    named += [(coding.COMMENT, flag.message) for flag in order.result.quality_flags]
    if sources.undecodable:
        named.append((coding.COMMENT, _UNREADABLE.format(keywords=", ".join(sources.undecodable))))
    return [
        sr.TextContentItem(name=name, value=text, relationship_type=sr.RelationshipTypeValues.CONTAINS)
        for name, text in named
        if text.strip()
    ]


def _evidence(order: BuildOrder, sources: Sources, segmentation: Segmentation | None) -> list[Dataset]:
    """List everything the result rests on; the first decides to which study the report belongs."""
    own = [*lent(sources.images), *([segmentation] if segmentation is not None else [])]
    others = [
        minimal_source(
            study=source.study_instance_uid,
            series=source.series_instance_uid,
            instance=source.sop_instance_uid,
            sop_class=source.sop_class_uid,
        )
        for source in order.result.sources
        if source.study_instance_uid != order.study_instance_uid
    ]
    return [*own, *others]
