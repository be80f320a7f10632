"""Which attributes of a source go into the snapshot: those that objects are made from, and no others."""

from typing import Final

from result_archiver.domain.objects import DicomJson

KEPT_TAGS: Final = frozenset(
    {
        "00080005",  # Specific Character Set
        "00080008",  # Image Type
        "00080016",  # SOP Class UID
        "00080018",  # SOP Instance UID
        "00080020",  # Study Date
        "00080030",  # Study Time
        "00080050",  # Accession Number
        "00080051",  # Issuer of Accession Number Sequence
        "00080060",  # Modality
        "00080090",  # Referring Physician's Name
        "00080201",  # Timezone Offset From UTC
        "00081030",  # Study Description
        "00081032",  # Procedure Code Sequence
        "00100010",  # Patient's Name
        "00100020",  # Patient ID
        "00100021",  # Issuer of Patient ID
        "00100030",  # Patient's Birth Date
        "00100040",  # Patient's Sex
        "00101010",  # Patient's Age
        "00180015",  # Body Part Examined
        "00180050",  # Slice Thickness
        "0020000D",  # Study Instance UID
        "0020000E",  # Series Instance UID
        "00200010",  # Study ID
        "00200011",  # Series Number
        "00200013",  # Instance Number
        "00200020",  # Patient Orientation
        "00200032",  # Image Position (Patient)
        "00200037",  # Image Orientation (Patient)
        "00200052",  # Frame of Reference UID
        "00200060",  # Laterality
        "00200062",  # Image Laterality
        "00201040",  # Position Reference Indicator
        "00209221",  # Dimension Organization Sequence
        "00280002",  # Samples per Pixel
        "00280004",  # Photometric Interpretation
        "00280008",  # Number of Frames
        "00280010",  # Rows
        "00280011",  # Columns
        "00280030",  # Pixel Spacing
        "52009229",  # Shared Functional Groups Sequence
        "52009230",  # Per-Frame Functional Groups Sequence
    }
)


def kept(header: DicomJson) -> DicomJson:
    """Return ``header`` without what no object is made from."""
    return {tag: header[tag] for tag in sorted(header) if tag in KEPT_TAGS}
