"""What an instance in the archive is to us, decided when it arrives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum, unique
from typing import Final

from udcmodel.stack import Vector


@unique
class InstanceClass(StrEnum):
    """Only SOURCE opens, reopens or completes a study, and only SOURCE can be an input."""

    SOURCE = "SOURCE"
    OWN_RESULT = "OWN_RESULT"
    """The archiver announced it before it stored it."""
    FOREIGN_DERIVED = "FOREIGN_DERIVED"
    """A report, segmentation, presentation state or key object of somebody else.

    Derived *images* stay SOURCE: whether one may be an input is decided per stack.
    """
    REJECTION_NOTE = "REJECTION_NOTE"
    """A key object that rejects others (IHE IOCM)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What a multi-frame image says about one frame, or about all of them; None where it says nothing."""

    position: Vector | None = None
    row_direction: Vector | None = None
    column_direction: Vector | None = None
    pixel_spacing: tuple[float, float] | None = None
    slice_thickness: float | None = None
    image_type: tuple[str, ...] | None = None
    kernel: str | None = None
    kvp: float | None = None
    echo_time: float | None = None
    b_value: float | None = None
    stack_id: str | None = None
    temporal_position: int | None = None
    acquisition_number: int | None = None
    acquisition_time: str | None = None

    def over(self, header: "Header") -> "Header":
        """Return ``header`` with what is said here in place of what it says."""
        said = {item.name: value for item in fields(self) if (value := getattr(self, item.name)) is not None}
        return replace(header, **said) if said else header


@dataclass(frozen=True, slots=True)
class Told:
    """A fact: as sent, as understood, and who says so."""

    name: str
    raw: str
    value: str | bool
    source: str = "header"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What is kept of an instance's header. Absent attributes are None or empty; values are as sent, stripped.

    Patient identity is not part of it: it belongs to the study. Of a multi-frame image it holds what all frames share;
    ``frames`` holds what differs, one for each frame. ``rejects`` holds the instances that a rejection note names.
    ``told`` and ``profile`` are never stored: they say which facts come from an order or a sender profile, and then the
    fields hold those.
    """

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    modality: str = ""
    series_number: int | None = None
    series_description: str = ""
    body_part: str = ""
    protocol: str = ""
    image_type: tuple[str, ...] = ()
    manufacturer: str = ""
    model: str = ""
    station: str = ""
    document_title: str = ""
    rejects: tuple[str, ...] = ()
    frame_of_reference_uid: str = ""
    position: Vector | None = None
    row_direction: Vector | None = None
    column_direction: Vector | None = None
    pixel_spacing: tuple[float, float] | None = None
    rows: int = 0
    columns: int = 0
    number_of_frames: int = 1
    instance_number: int | None = None
    acquisition_uid: str = ""
    acquisition_number: int | None = None
    temporal_position: int | None = None
    acquisition_time: str = ""
    b_value: float | None = None
    echo_time: float | None = None
    kvp: float | None = None
    energy_kev: float | None = None
    kernel: str = ""
    slice_thickness: float | None = None
    contrast_agent: str = ""
    view_position: str = ""
    laterality: str = ""
    photometric: str = ""
    presentation_intent: str = ""
    burned_in: str = ""
    is_made_from_images: bool = False
    stack_id: str = ""
    frame_number: int = 1
    frames: tuple[Frame, ...] = ()
    ae_title: str = ""
    institution: str = ""
    charset: str = ""
    order_code: str = ""
    order_text: str = ""
    procedure_code: str = ""
    images_in_acquisition: int | None = None
    told: tuple[Told, ...] = ()
    profile: str = ""

    def images(self) -> tuple["Header", ...]:
        """Return one header for each frame; only this one where the frames have no place of their own."""
        if len(self.frames) != self.number_of_frames or any(frame.position is None for frame in self.frames):
            return (self,)
        whole = replace(self, frames=(), number_of_frames=1)
        return tuple(
            replace(frame.over(whole), frame_number=number) for number, frame in enumerate(self.frames, start=1)
        )


SLICES: Final = frozenset({"CT", "MR", "PT"})
"""Modalities whose images are slices of a volume: without a position they are not views, but slices that are lost."""

STRUCTURED_REPORT_ROOT: Final = "1.2.840.10008.5.1.4.1.1.88."
"""Common root of the structured report storage classes, key object selection included."""

KEY_OBJECT_SELECTION: Final = "1.2.840.10008.5.1.4.1.1.88.59"
PRESENTATION_STATE_ROOT: Final = "1.2.840.10008.5.1.4.1.1.11."
SEGMENTATION_CLASSES: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.66.4",
        "1.2.840.10008.5.1.4.1.1.66.5",
        "1.2.840.10008.5.1.4.1.1.66.7",
        "1.2.840.10008.5.1.4.1.1.481.3",
    }
)
"""Segmentation, surface segmentation, label map segmentation, RT structure set."""

DERIVED_MODALITIES: Final = frozenset({"SR", "SEG", "PR", "KO", "RTSTRUCT", "DOC"})

RETENTION_EXPIRED: Final = "113039"

REJECTION_TITLES: Final[Mapping[str, str]] = {
    "113001": "Rejected for Quality Reasons",
    "113037": "Rejected for Patient Safety Reasons",
    "113038": "Incorrect Modality Worklist Entry",
    RETENTION_EXPIRED: "Data Retention Policy Expired",
}
"""Titles of key objects that reject what they name (PS3.16 CID 7011)."""


def is_rejection_note(sop_class_uid: str, document_title: str) -> bool:
    """Say whether an object rejects what it names (IHE IOCM)."""
    return sop_class_uid == KEY_OBJECT_SELECTION and document_title in REJECTION_TITLES


def classify(header: Header, *, is_own: Callable[[str], bool]) -> InstanceClass:
    """Return what an instance is to us.

    Args:
        header: Its header.
        is_own: Says whether a SOP Instance UID was announced by our archiver.
    """
    if is_own(header.sop_instance_uid):
        return InstanceClass.OWN_RESULT
    if is_rejection_note(header.sop_class_uid, header.document_title):
        return InstanceClass.REJECTION_NOTE
    is_derived = (
        header.sop_class_uid.startswith((STRUCTURED_REPORT_ROOT, PRESENTATION_STATE_ROOT))
        or header.sop_class_uid in SEGMENTATION_CLASSES
        or header.modality in DERIVED_MODALITIES
    )
    return InstanceClass.FOREIGN_DERIVED if is_derived else InstanceClass.SOURCE
