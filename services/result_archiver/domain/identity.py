"""Who the patient of an instance is, so far as the archive says."""

from dataclasses import dataclass, field
from typing import Final

from result_archiver.domain.objects import DicomJson
from udcmodel.ids import patient_fingerprint

_PATIENT_ID: Final = "00100020"
_ISSUER: Final = "00100021"
_BIRTH_DATE: Final = "00100030"
_SEX: Final = "00100040"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientIdentity:
    """What tells patients apart. Never shown: ``repr`` is empty."""

    patient_id: str = field(repr=False)
    issuer: str = field(repr=False)
    birth_date: str = field(repr=False)
    sex: str = field(repr=False)

    def fingerprint(self, key: bytes) -> str:
        """Return the keyed hash by which the router named this patient when it made the job."""
        return patient_fingerprint(
            key, patient_id=self.patient_id, issuer=self.issuer, birth_date=self.birth_date, sex=self.sex
        )


def identity_of(header: DicomJson) -> PatientIdentity:
    """Read the patient from an instance in the DICOM JSON model; what is absent is empty."""
    return PatientIdentity(
        patient_id=text_of(header, _PATIENT_ID),
        issuer=text_of(header, _ISSUER),
        birth_date=text_of(header, _BIRTH_DATE),
        sex=text_of(header, _SEX),
    )


def text_of(header: DicomJson, tag: str) -> str:
    """Return the first value of a textual attribute, or an empty string."""
    values = header.get(tag, {}).get("Value") or [""]
    return "" if values[0] is None else str(values[0])
