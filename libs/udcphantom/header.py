"""Attributes that every kind of synthetic image shares, and headers that are odd on purpose."""

from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as ItemSequence

from udcphantom.geometry import Geometry, Plane
from udcphantom.identity import Identity

PRIVATE_GROUP = 0x0009
PRIVATE_CREATOR = "UDC PHANTOM 1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyContext:
    """What all series of a study have in common.

    Args:
        identity: Patient and order.
        seed: Decides every UID and every random number.
        odd_headers: Add a private block, and write sequences with undefined length (PS3.5 7.5, 7.8).
    """

    identity: Identity = field(default_factory=Identity)
    seed: int = 1
    odd_headers: bool = False

    def uid(self, *parts: str | int) -> str:
        """Make a UID inside this study."""
        return self.identity.uid(self.seed, *parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesHeader:
    """What all images of one series say about it.

    Args:
        role: What the series is in its study; also its part in UIDs.
        number: Series Number (0020,0011).
        modality: Modality (0008,0060).
        description: Series Description (0008,103E).
        body_part: Body Part Examined (0018,0015).
        protocol: Protocol Name (0018,1030).
    """

    role: str
    number: int
    modality: str
    description: str
    body_part: str = "HEAD"
    protocol: str = "Синтетический протокол"


def new_image(context: StudyContext, series: SeriesHeader, *, sop_class: str, number: int) -> Dataset:
    """Start an instance: patient, study, series, equipment and SOP common (PS3.3 C.7.1 to C.7.5, C.12.1).

    Args:
        context: The study.
        series: The series.
        sop_class: SOP Class UID (0008,0016).
        number: Instance Number (0020,0013) and, with the series, the identity of the instance.

    Returns:
        A dataset without pixels.
    """
    identity = context.identity
    dataset = Dataset()
    identity.describe(dataset, context.seed)
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = context.uid(series.role, series.number, "instance", number)
    dataset.SeriesInstanceUID = context.uid(series.role, series.number)
    dataset.SeriesNumber = series.number
    dataset.SeriesDescription = identity.text(series.description)
    dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = identity.study_date
    dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = clock(identity, 60 * series.number)
    dataset.Modality = series.modality
    dataset.BodyPartExamined = series.body_part
    dataset.ProtocolName = identity.text(series.protocol)
    dataset.Manufacturer = "UDC Phantom"
    dataset.ManufacturerModelName = "Synthetic scanner"
    dataset.DeviceSerialNumber = "0"
    dataset.SoftwareVersions = "1"
    dataset.StationName = "PHANTOM"
    dataset.InstanceNumber = number
    dataset.PatientOrientation = ""
    # A code with Cyrillic meaning: nested text is where character sets go wrong first.
    procedure = Dataset()
    procedure.CodeValue = "SYN-1"
    procedure.CodingSchemeDesignator = "99UDCSYN"
    procedure.CodeMeaning = identity.text("Синтетическая процедура")
    dataset.ProcedureCodeSequence = [procedure]
    if context.odd_headers:
        _make_odd(dataset, identity)
    return dataset


def place(dataset: Dataset, plane: Plane, *, frame_of_reference: str) -> None:
    """Write where an image lies (PS3.3 C.7.4.1, C.7.6.2)."""
    dataset.FrameOfReferenceUID = frame_of_reference
    dataset.PositionReferenceIndicator = ""
    dataset.ImagePositionPatient = list(plane.position)
    dataset.ImageOrientationPatient = [*plane.row, *plane.column]
    dataset.PixelSpacing = list(plane.spacing)
    dataset.SliceThickness = plane.thickness


def position_patient(dataset: Dataset, geometry: Geometry) -> None:
    """Write how the patient lay and how the gantry stood."""
    dataset.PatientPosition = geometry.patient_position.value
    dataset.GantryDetectorTilt = geometry.tilt_deg


def clock(identity: Identity, seconds: int) -> str:
    """Give the time of day some seconds after the start of the study, as DICOM TM."""
    start = identity.study_time
    total = int(start[:2]) * 3600 + int(start[2:4]) * 60 + int(start[4:6]) + seconds
    return f"{total // 3600 % 24:02d}{total // 60 % 60:02d}{total % 60:02d}"


def _make_odd(dataset: Dataset, identity: Identity) -> None:
    block = dataset.private_block(PRIVATE_GROUP, PRIVATE_CREATOR, create=True)
    block.add_new(0x01, "LO", identity.text("Частное значение"))
    block.add_new(0x02, "OB", bytes(range(16)))
    request = Dataset()
    request.RequestedProcedureID = "SYN-RP1"
    request.RequestedProcedureDescription = identity.text("Синтетический заказ")
    request.ScheduledProcedureStepID = "SYN-SPS1"
    request.is_undefined_length_sequence_item = True
    dataset.RequestAttributesSequence = ItemSequence([request])
    dataset["RequestAttributesSequence"].is_undefined_length = True
