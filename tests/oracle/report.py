"""The verdict on a measurement report: its templates, its regions, its evidence and its agreement with the SEG."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pydicom.dataset import Dataset

from oracle.content import Code, Item
from oracle.measurement_report import (
    IMAGE_REGION,
    PLAIN,
    PLANAR,
    REFERENCED_SEGMENT,
    REFERENCED_SEGMENTATION_FRAME,
    REGION_IN_SPACE,
    SOURCE_IMAGE,
    SOURCE_SERIES,
    TRACKING_IDENTIFIER,
    TRACKING_UID,
    VOLUME_SURFACE,
    VOLUMETRIC,
    algorithm_rows,
    check_root,
    groups_of,
)
from oracle.rows import Row, violations_below

TEMPLATES: Final[Mapping[str, tuple[Row, ...]]] = {"1410": PLANAR, "1411": VOLUMETRIC, "1501": PLAIN}

WHERE_NAMES: Final[Mapping[str, tuple[Code, ...]]] = {
    "1410": (IMAGE_REGION, REFERENCED_SEGMENTATION_FRAME, REGION_IN_SPACE),
    "1411": (IMAGE_REGION, REFERENCED_SEGMENT, VOLUME_SURFACE, REGION_IN_SPACE),
}
"""The rows of which exactly one says where the finding is."""


def check_measurement_report(report: Dataset, *, algorithm_required: bool = True) -> list[str]:
    """Hold a report against TID 1500 and everything it includes.

    Args:
        report: A structured report.
        algorithm_required: Demand TID 4019 in every group. The standard leaves it to the user; a result of an AI
            device without it cannot be traced to the device.

    Returns:
        Violations, each with the row it breaks.
    """
    root = Item(report)
    violations = check_root(root)
    for group in groups_of(root):
        violations += _check_group(group, algorithm_required=algorithm_required)
    return violations


def region_faults(report: Dataset, images: Iterable[Dataset]) -> list[str]:
    """Check two-dimensional regions: a box or outline is closed and lies within its image (PS3.3 C.18.6.1).

    Args:
        report: A structured report.
        images: The images that regions are selected from.

    Returns:
        One line per fault, with the path of the region.
    """
    sizes = {str(image.SOPInstanceUID): (int(image.Columns), int(image.Rows)) for image in images}
    faults = []
    for item in Item(report).walk():
        if item.value_type != "SCOORD":
            continue
        numbers = [float(value) for value in item.dataset.GraphicData]
        points = list(zip(numbers[::2], numbers[1::2], strict=True))
        if item.dataset.GraphicType == "POLYLINE" and item.name == IMAGE_REGION and points[0] != points[-1]:
            faults.append(f"region {item.path} is an open polyline")
        for child in item.children:
            referenced = child.dataset.get("ReferencedSOPSequence")
            uid = str(referenced[0].ReferencedSOPInstanceUID) if referenced else ""
            if uid not in sizes:
                faults.append(f"region {item.path} is selected from an image that is not given")
                continue
            width, height = sizes[uid]
            if not all(0 <= x <= width and 0 <= y <= height for x, y in points):
                faults.append(f"region {item.path} reaches out of its image of {width} × {height}")
    return faults


def evidence_faults(report: Dataset, known: Sequence[Dataset]) -> list[str]:
    """Check that the evidence of a report lists what its content refers to, truthfully (PS3.3 C.17.2.3).

    Args:
        report: A structured report.
        known: Source images and other results: everything that may be referenced.

    Returns:
        One line for each reference of the content that is not in evidence, each piece of evidence that is unknown or
        listed under a wrong study, series or SOP class, and each one listed as current though of another study.
    """
    really = {
        str(one.SOPInstanceUID): (str(one.StudyInstanceUID), str(one.SeriesInstanceUID), str(one.SOPClassUID))
        for one in known
    }
    faults = []
    listed: dict[str, str] = {}
    for keyword, current in (
        ("CurrentRequestedProcedureEvidenceSequence", True),
        ("PertinentOtherEvidenceSequence", False),
    ):
        for study_uid, series_uid, class_uid, uid in _listed(report, keyword):
            listed[uid] = class_uid
            if uid not in really:
                faults.append(f"evidence {uid} is not an instance that exists")
            elif really[uid] != (study_uid, series_uid, class_uid):
                faults.append(f"evidence {uid} is listed under another study, series or class than its own")
            if current != (study_uid == str(report.StudyInstanceUID)):
                faults.append(f"evidence {uid} stands in {keyword}, which is wrong for its study")
    for item in Item(report).walk():
        for reference in item.dataset.get("ReferencedSOPSequence") or []:
            uid, class_uid = str(reference.ReferencedSOPInstanceUID), str(reference.ReferencedSOPClassUID)
            if listed.get(uid) != class_uid:
                faults.append(f"item {item.path} refers to {uid}, which is not in evidence")
    return faults


def tracking_faults(report: Dataset, seg: Dataset) -> list[str]:
    """Check that report and segmentation track the same findings under the same identifiers.

    Args:
        report: A structured report with TID 1411 groups.
        seg: The segmentation it refers to.

    Returns:
        One line for each group whose segment is missing or tracked otherwise, and each segment no group refers to.
    """
    segments = {int(item.SegmentNumber): item for item in seg.SegmentSequence}
    faults = []
    referred = set()
    for group in groups_of(Item(report)):
        for item in group.named(REFERENCED_SEGMENT):
            reference = item.dataset.ReferencedSOPSequence[0]
            number = reference.get("ReferencedSegmentNumber")
            if str(reference.ReferencedSOPInstanceUID) != str(seg.SOPInstanceUID) or number not in segments:
                faults.append(f"group {group.path} refers to segment {number} of another segmentation, or to none")
                continue
            referred.add(number)
            segment = segments[number]
            for name, tracked in (
                (TRACKING_UID, segment.get("TrackingUID", "")),
                (TRACKING_IDENTIFIER, segment.get("TrackingID", "")),
            ):
                said = [child.text for child in group.named(name)]
                if said != [str(tracked)]:
                    faults.append(f"group {group.path} says {name.meaning} {said}, segment {number} says {tracked!r}")
    faults += [f"no group refers to segment {number}" for number in sorted(set(segments) - referred)]
    return faults


def identity_faults(result: Dataset, source: Dataset) -> list[str]:
    """Check that a result is about the same patient and study as its source.

    Args:
        result: A SEG, SR or secondary capture.
        source: An image of the study.

    Returns:
        One line per attribute that differs; text is compared after decoding, so character sets may differ.
    """
    keywords = (
        "PatientID",
        "IssuerOfPatientID",
        "PatientName",
        "PatientBirthDate",
        "PatientSex",
        "StudyInstanceUID",
        "StudyDate",
        "StudyTime",
        "StudyID",
        "AccessionNumber",
    )
    return [
        f"{keyword} is {str(result.get(keyword, ''))!r}, in the source {str(source.get(keyword, ''))!r}"
        for keyword in keywords
        if str(result.get(keyword, "")) != str(source.get(keyword, ""))
    ]


def _check_group(group: Item, *, algorithm_required: bool) -> list[str]:
    if group.template not in TEMPLATES:
        return [f"TID 1500 rows 7 to 9: group {group.path} names template {group.template!r}"]
    algorithm_present = any(name in {child.name for child in group.children} for name in _algorithm_names())
    rows = (*algorithm_rows(required=algorithm_required or algorithm_present), *TEMPLATES[group.template])
    where = f"TID {group.template}"
    return violations_below(group, rows, where=where) + _where_violations(group)


def _where_violations(group: Item) -> list[str]:
    """Check the rows that exclude each other: exactly one kind of place, and a source for a segment."""
    if group.template not in WHERE_NAMES:
        return []
    names = {child.name for child in group.children}
    kinds = [name for name in WHERE_NAMES[group.template] if name in names]
    violations = []
    if len(kinds) != 1:
        said = [name.meaning for name in kinds]
        violations.append(f"TID {group.template}: group {group.path} says where in {len(kinds)} ways {said}, not one")
    segmented = {REFERENCED_SEGMENT, REFERENCED_SEGMENTATION_FRAME} & names
    if segmented and len({SOURCE_IMAGE, SOURCE_SERIES} & names) != 1:
        violations.append(
            f"TID {group.template} row 12: group {group.path} needs either source images or the source series"
        )
    return violations


def _algorithm_names() -> set[Code]:
    return {name for row in algorithm_rows(required=False) for name in row.names}


def _listed(report: Dataset, keyword: str) -> list[tuple[str, str, str, str]]:
    return [
        (
            str(study.StudyInstanceUID),
            str(series.SeriesInstanceUID),
            str(instance.ReferencedSOPClassUID),
            str(instance.ReferencedSOPInstanceUID),
        )
        for study in report.get(keyword) or []
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    ]
