"""The image input of a job as it was matched: which frames, where they lie."""

from dataclasses import dataclass

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFrame:
    """One image plane, in the patient coordinate system (LPS), millimetres.

    Attributes:
        sop_class_uid: (0008,0016).
        sop_instance_uid: (0008,0018).
        frame_number: From 1; 1 for a single-frame image.
        position: Image Position (Patient) (0020,0032): centre of the first pixel; None for a projection image.
        row_direction: First half of Image Orientation (Patient) (0020,0037): direction along a row (rising column).
        column_direction: Second half: direction along a column (rising row).
        pixel_spacing: (0028,0030): between rows, between columns; None when uncalibrated.
        rows: (0028,0010).
        columns: (0028,0011).
    """

    sop_class_uid: str
    sop_instance_uid: str
    rows: int
    columns: int
    frame_number: int = 1
    position: Vector | None = None
    row_direction: Vector | None = None
    column_direction: Vector | None = None
    pixel_spacing: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StackDescriptor:
    """A stack: frames that belong together, ordered along their normal (or one projection image)."""

    archive: str
    study_instance_uid: str
    series_instance_uid: str
    modality: str
    frame_of_reference_uid: str
    frames: tuple[StackFrame, ...]
    instance_count: int
