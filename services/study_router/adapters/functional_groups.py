"""What a multi-frame image says about its frames (PS3.3 C.7.6.16): functional groups, shared and per frame."""

from collections.abc import Mapping
from typing import Final

from study_router.adapters.dicom_json import (
    Json,
    directions,
    first_item,
    integer,
    items,
    number,
    pair,
    text,
    texts,
    vector,
)
from study_router.domain.instances import Frame

_SHARED: Final = "52009229"
_PER_FRAME: Final = "52009230"

_REGIONS: Final[Mapping[str, str]] = {
    "69536005": "HEAD",
    "T-D1100": "HEAD",
    "12738006": "BRAIN",
    "T-A0100": "BRAIN",
    "89546000": "SKULL",
    "T-11100": "SKULL",
    "45048000": "NECK",
    "T-D1600": "NECK",
    "51185008": "CHEST",
    "T-D3000": "CHEST",
    "818981001": "ABDOMEN",
    "T-D4000": "ABDOMEN",
}
"""Anatomic regions (PS3.16 CID 4) in the terms of Body Part Examined (PS3.16 annex L), by SNOMED code."""


def shared_frame(dataset: Json) -> Frame:
    """Return what all frames share; nothing for a single-frame image."""
    return _frame(first_item(dataset, _SHARED))


def frames_of(dataset: Json) -> tuple[Frame, ...]:
    """Return what is said about each frame alone, in the order of frame numbers."""
    return tuple(_frame(groups) for groups in items(dataset, _PER_FRAME))


def region_of(dataset: Json) -> str:
    """Return the anatomic region that all frames share, in the terms of Body Part Examined; empty when not known."""
    anatomy = first_item(first_item(dataset, _SHARED), "00209071")
    return _REGIONS.get(text(first_item(anatomy, "00082218"), "00080100"), "")


def _frame(groups: Json) -> Frame:
    row, column = directions(first_item(groups, "00209116"), "00200037")
    measures = first_item(groups, "00289110")
    content = first_item(groups, "00209111")
    reconstruction = first_item(groups, "00189314")
    kind = first_item(groups, "00189329") or first_item(groups, "00189226")
    return Frame(
        position=vector(first_item(groups, "00209113"), "00200032"),
        row_direction=row,
        column_direction=column,
        pixel_spacing=pair(measures, "00280030"),
        slice_thickness=number(measures, "00180050"),
        image_type=texts(kind, "00089007") or None,
        kernel="\\".join(texts(reconstruction, "00181210")) or None,
        kvp=number(first_item(groups, "00189325"), "00180060"),
        echo_time=number(first_item(groups, "00189114"), "00189082"),
        b_value=number(first_item(groups, "00189117"), "00189087"),
        stack_id=text(content, "00209056") or None,
        temporal_position=integer(content, "00209128"),
        acquisition_number=integer(content, "00209156"),
        acquisition_time=text(content, "00189074") or None,
    )
