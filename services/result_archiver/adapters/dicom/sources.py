"""Source images as highdicom needs them: text decoded, required attributes there, geometry consistent."""

import copy
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from functools import cached_property
from typing import Final

import numpy as np
import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian

from result_archiver.adapters.dicom.functional_groups import share_geometry
from result_archiver.adapters.dicom.text import decoded
from result_archiver.domain.failure import CannotArchiveError, FailureReason
from result_archiver.domain.objects import BuildOrder, DicomJson

UTF_8: Final = "ISO_IR 192"

_PATIENT_AND_STUDY: Final = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianName",
    "ProcedureCodeSequence",
    "TimezoneOffsetFromUTC",
)
"""What every object of the result copies from the study."""

_TAGS_OF_STUDY: Final = frozenset(f"{tag_for_keyword(name):08X}" for name in _PATIENT_AND_STUDY)

_IDENTIFIERS: Final = frozenset({"PatientID", "IssuerOfPatientID", "StudyID", "AccessionNumber"})

_EMPTY_WHEN_UNKNOWN: Final = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
"""Type 2 attributes (PS3.3 C.7.1.1, C.7.2.1): present in every valid object, empty when unknown."""

_REQUIRED: Final = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns")

_ORIENTATION_TOLERANCE: Final = 1e-3
"""Direction cosines of one stack that differ by less come from rounding in the scanner."""

_PUNCTUATED_DATE: Final = re.compile(r"^(\d{4})\.(\d{2})\.(\d{2})$")
_PUNCTUATED_TIME: Final = re.compile(r"^(\d{2}):(\d{2}):(\d{2}(\.\d{1,6})?)$")
_OFFSET: Final = re.compile(r"^([+-])(\d{2})(\d{2})$")


@dataclass(frozen=True)
class Sources:
    """The images of the study that a result was made from.

    Attributes:
        images: Without pixels, in the order of ``AiResult.sources``. They share the elements of patient and study, and
            highdicom shares those with what it builds: hand it ``lent`` images.
        key_files: Complete images that are shown, by SOP Instance UID.
        undecodable: Keywords of text that was left out because it is not in the declared character set.
        when: The time of the result as it is written: local, naive.
    """

    images: tuple[Dataset, ...]
    key_files: dict[str, Dataset]
    undecodable: tuple[str, ...]
    when: datetime

    @cached_property
    def by_uid(self) -> dict[str, Dataset]:
        """The images by SOP Instance UID."""
        return {str(image.SOPInstanceUID): image for image in self.images}

    @property
    def has_frame_of_reference(self) -> bool:
        """Whether every image says where it is in the patient."""
        return all(is_placed(image) for image in self.images)


def read_sources(order: BuildOrder) -> Sources:
    """Make the sources of a build order fit for building.

    Raises:
        CannotArchiveError: an attribute is missing, an identifier does not decode, or a key image is no DICOM file.
    """
    key_files = {uid: _file(content) for uid, content in order.snapshot.key_images.items()}
    common = decoded(next(iter(key_files.values())), _PATIENT_AND_STUDY)
    lost = sorted(_IDENTIFIERS.intersection(common.undecodable))
    if lost:
        raise CannotArchiveError(
            FailureReason.SOURCE_TEXT_UNDECODABLE, f"{lost[0]} of the study is not in the character set it declares"
        )
    study = common.dataset
    _complete(study)
    images = tuple(_image(header, study) for header in order.snapshot.headers)
    _check_sizes(images, order)
    _align(images)
    return Sources(images, key_files, common.undecodable, _local(order, study))


def lent(images: Sequence[Dataset]) -> list[Dataset]:
    """Return images that highdicom may take elements from: it takes those of patient and study from the first."""
    return [copy.deepcopy(images[0]), *images[1:]]


def is_placed(image: Dataset) -> bool:
    """Say whether an image, or each frame of a multi-frame image, has a place in a frame of reference."""
    if not image.get("FrameOfReferenceUID"):
        return False
    if "PerFrameFunctionalGroupsSequence" in image:
        return True
    return all(image.get(name) for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"))


def minimal_source(*, study: str, series: str, instance: str, sop_class: str) -> Dataset:
    """Make what evidence needs to know of an image of another study."""
    image = Dataset()
    image.StudyInstanceUID = study
    image.SeriesInstanceUID = series
    image.SOPInstanceUID = instance
    image.SOPClassUID = sop_class
    return image


def _file(content: bytes) -> Dataset:
    try:
        return pydicom.dcmread(io.BytesIO(content))
    except (InvalidDicomError, EOFError, ValueError) as error:
        raise CannotArchiveError(
            FailureReason.SOURCE_PIXELS_UNREADABLE, "the archive returned a key image that is no DICOM file"
        ) from error


def _image(header: DicomJson, study: Dataset) -> Dataset:
    # The archive's JSON has been through the archive's own decoding; the file itself has not.
    image = Dataset.from_json({tag: element for tag, element in header.items() if tag not in _TAGS_OF_STUDY})
    for name in _REQUIRED:
        if not image.get(name):
            raise CannotArchiveError(FailureReason.SOURCE_ATTRIBUTE_MISSING, f"a source image has no {name}")
    for element in study:
        image.add(element)
    share_geometry(image)
    image.SpecificCharacterSet = UTF_8
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return image


def _complete(study: Dataset) -> None:
    for name in _EMPTY_WHEN_UNKNOWN:
        if name not in study:
            setattr(study, name, "")
    if study.PatientSex not in ("M", "F", "O"):
        study.PatientSex = ""
    for name in ("PatientBirthDate", "StudyDate"):
        # ACR-NEMA's forms with dots and colons are to be understood, not written (PS3.5 6.2).
        setattr(study, name, _valid(_PUNCTUATED_DATE.sub(r"\1\2\3", str(study.get(name) or "")), "%Y%m%d"))
    written = _PUNCTUATED_TIME.sub(r"\1\2\3", str(study.StudyTime or ""))
    study.StudyTime = written if re.fullmatch(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?", written) else ""


def _valid(written: str, form: str) -> str:
    try:
        datetime.strptime(written, form)  # noqa: DTZ007 a date of DICOM has no zone
    except ValueError:
        return ""
    return written


def _check_sizes(images: Sequence[Dataset], order: BuildOrder) -> None:
    sizes = {str(image.SOPInstanceUID): (image.Rows, image.Columns) for image in images}
    for segment in order.result.segments:
        for frame in segment.frames:
            size = sizes.get(frame.sop_instance_uid)
            if size is not None and size != (segment.rows, segment.columns):
                raise CannotArchiveError(
                    FailureReason.RESULT_INVALID,
                    f"segment {segment.number} has {segment.rows} x {segment.columns} voxels in a plane of "
                    f"{size[0]} x {size[1]}",
                )


def _align(images: Iterable[Dataset]) -> None:
    """Give images of one series whose directions differ by rounding the same direction; fill in a missing thickness."""
    by_series: dict[str, list[Dataset]] = {}
    for image in images:
        if image.get("ImageOrientationPatient") and image.get("ImagePositionPatient"):
            by_series.setdefault(str(image.SeriesInstanceUID), []).append(image)
    for members in by_series.values():
        first = [float(value) for value in members[0].ImageOrientationPatient]
        for image in members:
            directions = [float(value) for value in image.ImageOrientationPatient]
            if np.allclose(directions, first, atol=_ORIENTATION_TOLERANCE):
                image.ImageOrientationPatient = list(members[0].ImageOrientationPatient)
        thickness = _typical_gap(members, first)
        for image in members:
            if not image.get("SliceThickness") and thickness is not None:
                image.SliceThickness = thickness


def _typical_gap(images: Sequence[Dataset], orientation: Sequence[float]) -> float | None:
    normal = np.cross(orientation[:3], orientation[3:])
    depths = sorted(float(np.dot(normal, [float(v) for v in image.ImagePositionPatient])) for image in images)
    return round(float(np.median(np.diff(depths))), 4) if len(depths) > 1 else None


def _local(order: BuildOrder, study: Dataset) -> datetime:
    """Return the time of acceptance in the offset the study declares, else in the zone of the region."""
    offset = _OFFSET.match(str(study.get("TimezoneOffsetFromUTC", "")))
    if offset is None:
        return order.accepted_at.astimezone(order.zone).replace(tzinfo=None)
    sign, hours, minutes = offset.groups()
    shift = timedelta(hours=int(hours), minutes=int(minutes))
    return order.accepted_at.astimezone(timezone(-shift if sign == "-" else shift)).replace(tzinfo=None)


def date_and_time(when: datetime) -> tuple[date, time]:
    """Split a time as it is written into its date and its time of day."""
    return when.date(), when.time()
