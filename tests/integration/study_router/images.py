"""Images that arrive beside or after a study."""

from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ComprehensiveSRStorage, CTImageStorage, ExplicitVRLittleEndian

from udcphantom.study import Study


def write_some(study: Study, directory: Path, *, first: int = 0, last: int | None = None) -> list[Path]:
    """Write some instances of a study, counted from 0."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, instance in list(enumerate(study.instances))[first:last]:
        path = directory / f"{number:04d}.dcm"
        path.write_bytes(instance.encoded)
        paths.append(path)
    return paths


def write_report(study: Study, path: Path, *, sop_instance_uid: str) -> Path:
    """Write a structured report about a study, as an archiver stores one."""
    source = next(study.datasets())
    report = Dataset()
    report.file_meta = FileMetaDataset()
    report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    report.file_meta.MediaStorageSOPClassUID = ComprehensiveSRStorage
    report.file_meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    for name in ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID"):
        setattr(report, name, source[name].value)
    report.SpecificCharacterSet = "ISO_IR 192"
    report.SOPClassUID = ComprehensiveSRStorage
    report.SOPInstanceUID = sop_instance_uid
    report.SeriesInstanceUID = f"{sop_instance_uid}.1"
    report.Modality = "SR"
    report.StudyDate = source.StudyDate
    report.save_as(path, enforce_file_format=True)
    return path


def write_as_other_patient(study: Study, directory: Path) -> list[Path]:
    """Write a study again under the same UIDs of study and series, for another patient."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, dataset in enumerate(study.datasets()):
        dataset.PatientID = "PHANTOM-OTHER"
        dataset.SOPInstanceUID = f"{dataset.SOPInstanceUID}.9"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        path = directory / f"{number:04d}.dcm"
        dataset.save_as(path)
        paths.append(path)
    return paths


def write_image(path: Path, *, study: str, series: str, day: str, time: str) -> Path:
    """Write an image without pixels, named as its file."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = CTImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = UID(path.stem)
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, path.stem
    image.PatientID, image.PatientName = "PHANTOM-1", "Phantom"
    image.StudyInstanceUID, image.SeriesInstanceUID = study, series
    image.StudyDate, image.StudyTime, image.Modality = day, time, "CT"
    image.save_as(path, enforce_file_format=True)
    return path
