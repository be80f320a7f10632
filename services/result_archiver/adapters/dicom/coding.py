"""Coded concepts of the objects; context groups are named where the standard has one."""

from typing import Final

from pydicom.sr.coding import Code as DicomCode

from udcmodel.result import Code
from udcmodel.vocabulary import Presence

RUSSIAN: Final = DicomCode("ru", "RFC5646", "Russian")
"""CID 5000 Language."""
ENGLISH: Final = DicomCode("en", "RFC5646", "English")

LANGUAGES: Final = {"ru": RUSSIAN, "en": ENGLISH}

DEVICE: Final = DicomCode("121007", "DCM", "Device")
"""CID 270 Observer Type."""

ARTIFICIAL_INTELLIGENCE: Final = DicomCode("123110", "DCM", "Artificial Intelligence")
"""CID 7162 Surface Processing Algorithm Family."""

PROBABILITY: Final = DicomCode("111012", "DCM", "Certainty of Finding")
"""CID 6048; a number keeps what a word would lose."""
PERCENT: Final = DicomCode("%", "UCUM", "Percent")

FINDINGS: Final = DicomCode("121070", "DCM", "Findings")
CONCLUSION: Final = DicomCode("121077", "DCM", "Conclusion")
RECOMMENDATION: Final = DicomCode("121075", "DCM", "Recommendation")
COMMENT: Final = DicomCode("121106", "DCM", "Comment")

QUALITATIVE_EVALUATIONS: Final = DicomCode("C0034375", "UMLS", "Qualitative Evaluations")
"""Name of the container of TID 1500 row 12, the only place of that template where text may stand."""

SOURCE_IMAGE: Final = DicomCode("121322", "DCM", "Source image for image processing operation")
"""CID 7202 Source Image Purposes of Reference."""
PROCESSING_EQUIPMENT: Final = DicomCode("109102", "DCM", "Processing Equipment")
"""CID 7005 Contributing Equipment Purposes of Reference."""

PRESENCES: Final = {
    Presence.PRESENT: DicomCode("52101004", "SCT", "Present"),
    Presence.ABSENT: DicomCode("272519000", "SCT", "Absent"),
    Presence.UNDETERMINED: DicomCode("373068000", "SCT", "Undetermined"),
}
"""CID 240 Present-Absent-Undetermined."""

PROCEDURES: Final = {
    "CT": DicomCode("25045-6", "LN", "CT unspecified body region"),
    "MR": DicomCode("25056-3", "LN", "MRI unspecified body region"),
    "CR": DicomCode("43468-8", "LN", "XR unspecified body region"),
    "DX": DicomCode("43468-8", "LN", "XR unspecified body region"),
    "RF": DicomCode("43468-8", "LN", "XR unspecified body region"),
}
"""CID 100 Quantitative Diagnostic Imaging Procedures, by Modality (0008,0060)."""
ANY_PROCEDURE: Final = DicomCode("363679005", "SCT", "Imaging procedure")


def dicom_code(code: Code) -> DicomCode:
    """Return a code of a result as DICOM writes it."""
    return DicomCode(code.value, code.scheme, code.meaning)


def optional_dicom_code(code: Code | None) -> DicomCode | None:
    """Return a code, or None for None."""
    return None if code is None else dicom_code(code)
