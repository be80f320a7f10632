"""Whom a synthetic study is about, and in which character set its text is written."""

from dataclasses import dataclass
from enum import StrEnum, unique

from pydicom.dataset import Dataset

from udcphantom.uids import derived_uid


@unique
class Charset(StrEnum):
    """How Cyrillic text reaches the file."""

    UTF_8 = "ISO_IR 192"
    CYRILLIC = "ISO_IR 144"
    CYRILLIC_EXTENDED = "\\ISO 2022 IR 144"
    """Empty first value: code extensions with the default repertoire first."""
    UNDECLARED_CP1251 = ""
    """Bytes of Windows-1251 without any Specific Character Set (0008,0005): wrong, and common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The patient, the order and the place. Every value is invented and says so.

    Args:
        patient_name: Patient's Name (0010,0010).
        patient_id: Patient ID (0010,0020).
        issuer: Issuer of Patient ID (0010,0021); empty leaves it out.
        birth_date: Patient's Birth Date (0010,0030).
        sex: Patient's Sex (0010,0040).
        study_date: Study Date (0008,0020).
        study_time: Study Time (0008,0030).
        accession_number: Accession Number (0008,0050).
        institution: Institution Name (0008,0080).
        study_description: Study Description (0008,1030).
        charset: How text is written.
    """

    patient_name: str = "Фантомов^Синтет^Тестович"
    patient_id: str = "PHANTOM-0001"
    issuer: str = "UDC-SYNTHETIC"
    birth_date: str = "19600229"
    sex: str = "M"
    study_date: str = "20240315"
    study_time: str = "101500"
    accession_number: str = "SYN0001"
    institution: str = "Вымышленная больница"
    study_description: str = "Синтетическое исследование"
    charset: Charset = Charset.UTF_8

    @property
    def age(self) -> str:
        """Patient's Age (0010,1010) on the day of the study, in whole years."""
        passed = self.study_date[4:] >= self.birth_date[4:]
        return f"{int(self.study_date[:4]) - int(self.birth_date[:4]) - (0 if passed else 1):03d}Y"

    def uid(self, seed: int, *parts: str | int) -> str:
        """Make the UID of a thing in this patient's study; see :func:`udcphantom.uids.derived_uid`."""
        return derived_uid(seed, self.patient_id, self.issuer, self.accession_number, *parts)

    def text(self, text: str) -> str:
        """Turn text into what must be handed to the writer so that the right bytes reach the file."""
        if self.charset is Charset.UNDECLARED_CP1251:
            # Without a declared set the writer uses Latin-1, which passes every byte through unchanged.
            return text.encode("cp1251").decode("latin-1")
        return text

    def describe(self, dataset: Dataset, seed: int) -> None:
        """Write the patient, study and institution into a dataset (PS3.3 C.7.1.1, C.7.2.1, C.7.5.1)."""
        if self.charset is not Charset.UNDECLARED_CP1251:
            dataset.SpecificCharacterSet = self.charset.value.split("\\")
        dataset.PatientName = self.text(self.patient_name)
        dataset.PatientID = self.patient_id
        if self.issuer:
            dataset.IssuerOfPatientID = self.issuer
        dataset.PatientBirthDate = self.birth_date
        dataset.PatientSex = self.sex
        dataset.PatientAge = self.age
        dataset.StudyInstanceUID = self.uid(seed, "study")
        dataset.StudyDate = self.study_date
        dataset.StudyTime = self.study_time
        dataset.StudyID = "1"
        dataset.AccessionNumber = self.accession_number
        dataset.ReferringPhysicianName = ""
        dataset.StudyDescription = self.text(self.study_description)
        dataset.InstitutionName = self.text(self.institution)
