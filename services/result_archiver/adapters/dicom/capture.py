"""SC: pictures with the findings drawn in, for viewers that show nothing else."""

import copy
from collections.abc import Mapping
from typing import Final

from highdicom.sc import SCImage
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from result_archiver.adapters.dicom import drawing
from result_archiver.adapters.dicom.coding import SOURCE_IMAGE
from result_archiver.adapters.dicom.drawing import Caption, Outline, Typeface
from result_archiver.adapters.dicom.marks import MADE_BY_AI, common_arguments, finish
from result_archiver.adapters.dicom.pixels import picture_of
from result_archiver.adapters.dicom.sources import Sources
from result_archiver.domain.failure import CannotArchiveError, FailureReason
from result_archiver.domain.key_images import KeyImage, key_images, mask_in
from result_archiver.domain.objects import BuildOrder, ObjectKind
from udcmodel.result import Box, Contour, Finding, Measurement, SegmentLocation
from udcmodel.vocabulary import Mode, Presence

DISCLAIMER: Final = "Заключение сформировано ИИ, не является диагнозом и требует проверки врачом."
NOTHING_FOUND: Final = "Целевая патология не выявлена"
PILOT: Final = "ПИЛОТ: результат опытной эксплуатации."

_MOST_LINES: Final = 8

_MEASUREMENT_NAMES: Final[Mapping[tuple[str, str], str]] = {
    ("118565006", "SCT"): "объём",
    ("81827009", "SCT"): "диаметр",
    ("103339001", "SCT"): "длинная ось",
    ("103340004", "SCT"): "короткая ось",
}
_UNITS: Final[Mapping[str, str]] = {"ml": "мл", "mm": "мм", "cm3": "см³", "[hnsf'U]": "HU", "%": "%"}


def build_captures(order: BuildOrder, sources: Sources, typeface: Typeface) -> list[SCImage]:
    """Build one SC for each key image of a result.

    Raises:
        CannotArchiveError: a key image is not there or cannot be decoded.
    """
    chosen = key_images(order.result, study_instance_uid=order.study_instance_uid)
    return [_capture(order, sources, index, image, typeface) for index, image in enumerate(chosen)]


def _capture(order: BuildOrder, sources: Sources, index: int, shown: KeyImage, typeface: Typeface) -> SCImage:
    uid = shown.frame.sop_instance_uid
    source, file = sources.by_uid.get(uid), sources.key_files.get(uid)
    if source is None or file is None:
        raise CannotArchiveError(FailureReason.SOURCE_MISSING, "a key image is not among the sources of the study")
    colours = {
        finding.id: drawing.COLOURS[number % len(drawing.COLOURS)] for number, finding in enumerate(shown.findings)
    }
    pixels = drawing.draw(
        picture_of(file, shown.frame.number),
        [outline for finding in shown.findings for outline in _outlines(order, shown, finding, colours[finding.id])],
        above=_head(order, sources),
        below=_verdict(order, colours),
        typeface=typeface,
    )
    capture = SCImage.from_ref_dataset(
        ref_dataset=copy.deepcopy(source),
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=_orientation(source),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **common_arguments(order, sources, ObjectKind.SC, index),
    )
    _complete(capture, source, shown)
    finish(capture, order, sources.when)
    return capture


def _outlines(order: BuildOrder, shown: KeyImage, finding: Finding, colour: drawing.Colour) -> list[Outline]:
    segments = {segment.number: segment for segment in order.result.segments}
    outlines = []
    for location in finding.locations:
        match location:
            case SegmentLocation(segment_number=number):
                mask = mask_in(segments[number], shown.frame)
                if mask is not None:
                    outlines.append(Outline(colour, mask=mask))
            case Box(left=left, top=top, right=right, bottom=bottom):
                if location.sop_instance_uid == shown.frame.sop_instance_uid:
                    corners = ((left, top), (right, top), (right, bottom), (left, bottom), (left, top))
                    outlines.append(Outline(colour, line=corners))
            case Contour(points=points):
                if location.sop_instance_uid == shown.frame.sop_instance_uid:
                    outlines.append(Outline(colour, line=points))
    return outlines


def _head(order: BuildOrder, sources: Sources) -> list[Caption]:
    lines = [
        Caption(DISCLAIMER, drawing.WARNING),
        Caption(f"{order.device.title}, версия {order.device.version}"),
        Caption(f"Дата и время заключения ИИ: {sources.when:%d.%m.%Y %H:%M:%S}"),
    ]
    return [Caption(PILOT, drawing.WARNING), *lines] if order.mode is Mode.PILOT else lines


def _verdict(order: BuildOrder, colours: Mapping[str, drawing.Colour]) -> list[Caption]:
    """Say what was found, then what was not: the picture alone must not look like half of the truth."""
    lines = [
        Caption(_sentence(order, finding), colours.get(finding.id, drawing.WHITE))
        for finding in order.result.findings
        if finding.presence is not Presence.ABSENT
    ]
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], Caption(f"и ещё {len(lines) - _MOST_LINES}: см. отчёт (SR)")]
    absent = dict.fromkeys(
        _title(order, finding) for finding in order.result.findings if finding.presence is Presence.ABSENT
    )
    if absent:
        lines.append(Caption(f"{NOTHING_FOUND}: {'; '.join(absent)}"))
    return lines


def _title(order: BuildOrder, finding: Finding) -> str:
    return order.device.finding_titles.get(finding.code, finding.code.meaning)


def _sentence(order: BuildOrder, finding: Finding) -> str:
    verdict = "выявлено" if finding.presence is Presence.PRESENT else "не определено"
    title = _title(order, finding)
    parts = [f"{title[:1].upper()}{title[1:]}: {verdict}"]
    if finding.probability is not None:
        parts.append(f"вероятность {100 * finding.probability:.0f} %")
    parts.extend(filter(None, map(_number, finding.measurements)))
    return ", ".join(parts)


def _number(measurement: Measurement) -> str:
    name = _MEASUREMENT_NAMES.get((measurement.name.value, measurement.name.scheme))
    if name is None:
        return ""
    unit = _UNITS.get(measurement.unit.value, measurement.unit.value)
    return f"{name} {measurement.value:.1f} {unit}".replace(".", ",")


def _orientation(source: Dataset) -> tuple[str, str]:
    """Return directions of rows and columns; axial images as radiologists look at them when nothing is known."""
    declared = source.get("PatientOrientation")
    if declared and len(declared) == 2 and all(declared):
        return str(declared[0]), str(declared[1])
    directions = source.get("ImageOrientationPatient")
    if not directions:
        return "L", "F"
    values = [float(value) for value in directions]
    return _letter(values[:3]), _letter(values[3:])


def _letter(direction: list[float]) -> str:
    """Name the nearest direction of the body (PS3.3 C.7.6.1.1.1) of a vector in LPS."""
    axis = max(range(3), key=lambda index: abs(direction[index]))
    return ("RL", "AP", "FH")[axis][direction[axis] > 0]


def _complete(capture: SCImage, source: Dataset, shown: KeyImage) -> None:
    """Add what the constructor leaves out (PS3.3 A.8.1, C.7.6.1, C.8.6)."""
    capture.copy_patient_and_study_information(copy.deepcopy(source))
    capture.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    capture.ConversionType = "WSD"
    capture.BurnedInAnnotation = "YES"
    capture.RecognizableVisualFeatures = "NO"
    capture.LossyImageCompression = "00"
    capture.DerivationDescription = MADE_BY_AI
    for name in ("BodyPartExamined", "Laterality"):
        if source.get(name):
            capture[name] = copy.deepcopy(source[name])
    purpose = Dataset()
    purpose.CodeValue, purpose.CodingSchemeDesignator = SOURCE_IMAGE.value, SOURCE_IMAGE.scheme_designator
    purpose.CodeMeaning = SOURCE_IMAGE.meaning
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    if "NumberOfFrames" in source:
        reference.ReferencedFrameNumber = shown.frame.number
    reference.SpatialLocationsPreserved = "NO"
    reference.PurposeOfReferenceCodeSequence = [purpose]
    capture.SourceImageSequence = [reference]
