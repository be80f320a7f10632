"""Which images are no input unless a device asks for them, and why."""

import re
from enum import StrEnum, unique
from typing import Final

from study_router.domain.instances import SLICES, Header


@unique
class Exclusion(StrEnum):
    """Why a stack is no input unless a device asks for it."""

    LOCALIZER = "LOCALIZER"
    REFORMATTED = "REFORMATTED"
    SECONDARY = "SECONDARY"
    BOLUS_MONITORING = "BOLUS_MONITORING"
    DOSE = "DOSE"
    BURNED_IN = "BURNED_IN"
    NO_PIXELS = "NO_PIXELS"
    MULTI_FRAME = "MULTI_FRAME"
    """Several frames in one object that does not say where each of them lies."""
    DERIVED_IMAGE = "DERIVED_IMAGE"
    """Made from other images, by a workstation or by another device."""
    COLOUR = "COLOUR"
    """Painted over: such a modality measures one value for each pixel."""
    DERIVED_OBJECT = "DERIVED_OBJECT"
    """A report, segmentation, presentation state or key object of somebody else."""
    REJECTED = "REJECTED"
    """A rejection note (IHE IOCM) names it."""


_REFORMATS: Final = frozenset(
    {"MPR", "MIP", "MINIP", "MNIP", "CPR", "VRT", "VR", "SSD", "REFORMATTED", "PROJECTION IMAGE", "THIN_MIP", "3D"}
    | {"RESAMPLED", "MAXIMUM", "MINIMUM"}
)
_BOLUS: Final = re.compile(
    r"monitoring|bolus|smart ?prep|sure ?start|tracker|болюс|мониторинг", re.IGNORECASE | re.UNICODE
)
_DOSE: Final = re.compile(r"dose (report|info)|patient protocol|screen ?save|отч[её]т о дозе|доза", re.IGNORECASE)
_LOCALIZER: Final = re.compile(
    r"\b(scout|topogra|surview|scanogra|localiz|локала?йз|топограм|сканограм|скаут)", re.IGNORECASE
)
"""Believed of slices only: in projection radiography a scout is an image like any other."""
_REFORMAT: Final = re.compile(r"\b(mpr|mip|minip|vrt|cpr|curved|мпр)\b|реформат", re.IGNORECASE)
"""Believed of derived images only: a scanner that makes thin slices for them says so in the name of the slices."""
_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"


def exclusion_of(header: Header) -> Exclusion | None:
    """Say why images like this one are no input, or None."""
    kinds = {value.upper() for value in header.image_type}
    text = f"{header.series_description} {header.protocol}"
    if header.rows == 0 or header.columns == 0:
        return Exclusion.NO_PIXELS
    is_slice = header.modality in SLICES
    if kinds & {"LOCALIZER", "SCOUT"} or (is_slice and _LOCALIZER.search(header.series_description)):
        return Exclusion.LOCALIZER
    if kinds & {"SCREEN SAVE", "DOSE", "DOSE_INFO"} or _DOSE.search(text):
        return Exclusion.DOSE
    if kinds & _REFORMATS or ("DERIVED" in kinds and _REFORMAT.search(header.series_description)):
        return Exclusion.REFORMATTED
    if "SECONDARY" in kinds or header.sop_class_uid.startswith(_SECONDARY_CAPTURE):
        return Exclusion.SECONDARY
    if header.modality == "CT" and _BOLUS.search(text):
        return Exclusion.BOLUS_MONITORING
    if header.modality == "CT" and "DERIVED" in kinds and header.is_made_from_images:
        return Exclusion.DERIVED_IMAGE
    if header.modality in {"CT", "MR"} and header.photometric and not header.photometric.startswith("MONOCHROME"):
        return Exclusion.COLOUR
    if header.burned_in.upper() == "YES":
        return Exclusion.BURNED_IN
    if header.number_of_frames > 1:
        return Exclusion.MULTI_FRAME
    return None
