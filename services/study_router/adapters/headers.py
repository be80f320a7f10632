"""From DICOM JSON (PS3.18 annex F) to what is kept of a header. What is malformed is absent, never an error."""

import math
from collections.abc import Mapping
from typing import Any

from study_router.domain.instances import Header
from study_router.domain.studies import Patient, SeenInstance
from udcmodel.stack import Vector

Json = Mapping[str, Any]


def seen_instance(dataset: Json) -> SeenInstance | None:
    """Return what an instance's metadata say; None without the UIDs that everything hangs on."""
    study, series, sop = (text(dataset, tag) for tag in ("0020000D", "0020000E", "00080018"))
    if not study or not series or not sop:
        return None
    return SeenInstance(
        study_instance_uid=study,
        patient=patient_of(dataset),
        age=text(dataset, "00101010"),
        study_date=text(dataset, "00080020"),
        study_description=text(dataset, "00081030"),
        header=_header(dataset, series=series, sop=sop),
    )


def patient_of(dataset: Json) -> Patient:
    """Return who an instance or a study is about."""
    return Patient(
        patient_id=text(dataset, "00100020"),
        issuer=text(dataset, "00100021"),
        birth_date=text(dataset, "00100030"),
        sex=text(dataset, "00100040"),
    )


def _header(dataset: Json, *, series: str, sop: str) -> Header:
    orientation = _numbers(dataset, "00200037", 6)
    # Imager Pixel Spacing (0018,1164) is no substitute: it holds at the detector, not in the patient.
    spacing = _numbers(dataset, "00280030", 2)
    return Header(
        sop_class_uid=text(dataset, "00080016"),
        sop_instance_uid=sop,
        series_instance_uid=series,
        modality=text(dataset, "00080060"),
        series_number=_integer(dataset, "00200011"),
        series_description=text(dataset, "0008103E"),
        body_part=text(dataset, "00180015"),
        protocol=text(dataset, "00181030"),
        image_type=tuple(str(value).strip() for value in _values(dataset, "00080008")),
        manufacturer=text(dataset, "00080070"),
        model=text(dataset, "00081090"),
        station=text(dataset, "00081010"),
        document_title=_code(dataset, "0040A043"),
        frame_of_reference_uid=text(dataset, "00200052"),
        position=_vector(_numbers(dataset, "00200032", 3)),
        row_direction=_vector(orientation[:3] if orientation else None),
        column_direction=_vector(orientation[3:] if orientation else None),
        pixel_spacing=(spacing[0], spacing[1]) if spacing else None,
        rows=_integer(dataset, "00280010") or 0,
        columns=_integer(dataset, "00280011") or 0,
        number_of_frames=_integer(dataset, "00280008") or 1,
        instance_number=_integer(dataset, "00200013"),
        acquisition_number=_integer(dataset, "00200012"),
        temporal_position=_integer(dataset, "00200100"),
        acquisition_time=text(dataset, "00080032"),
        b_value=_number(dataset, "00189087"),
        echo_time=_number(dataset, "00180081"),
        kvp=_number(dataset, "00180060"),
        kernel="\\".join(str(value).strip() for value in _values(dataset, "00181210")),
        slice_thickness=_number(dataset, "00180050"),
        contrast_agent=text(dataset, "00180010"),
        view_position=text(dataset, "00185101"),
        laterality=text(dataset, "00200062") or text(dataset, "00200060"),
        photometric=text(dataset, "00280004"),
        presentation_intent=text(dataset, "00080068"),
        burned_in=text(dataset, "00280301"),
    )


def text(dataset: Json, tag: str) -> str:
    """Return the first value of an attribute as text, stripped; empty when there is none."""
    values = _values(dataset, tag)
    return str(values[0]).strip() if values and values[0] is not None else ""


def integer(dataset: Json, tag: str) -> int | None:
    """Return the first value of an attribute as a whole number; None when it is none."""
    return _integer(dataset, tag)


def _values(dataset: Json, tag: str) -> list[Any]:
    element = dataset.get(tag)
    if not isinstance(element, Mapping):
        return []
    values = element.get("Value")
    return values if isinstance(values, list) else []


def _number(dataset: Json, tag: str) -> float | None:
    values = _values(dataset, tag)
    return _float(values[0]) if values else None


def _numbers(dataset: Json, tag: str, count: int) -> list[float] | None:
    numbers = [_float(value) for value in _values(dataset, tag)]
    known = [number for number in numbers if number is not None]
    return known if len(numbers) == count == len(known) else None


def _float(value: object) -> float | None:
    if not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _integer(dataset: Json, tag: str) -> int | None:
    number = _number(dataset, tag)
    return None if number is None else int(number)


def _vector(numbers: list[float] | None) -> Vector | None:
    return (numbers[0], numbers[1], numbers[2]) if numbers else None


def _code(dataset: Json, tag: str) -> str:
    items = _values(dataset, tag)
    return text(items[0], "00080100") if items and isinstance(items[0], Mapping) else ""
