"""Studies as they should not be, each broken in one way, and some that only look unusual."""

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEG2000Lossless

from udcphantom import Charset, Identity, Instance, Series, Study, evenly, head, render_ct, scan
from udcphantom.geometry import Geometry
from udcphantom.pixels import PixelForm

REGULAR: Final = scan(evenly(20, spacing=8.0))
MIDDLE: Final = 10
CYRILLIC_NAME: Final = "Ёлкин^Щедрослав^Юрьевич"

Change = Callable[[int, Dataset], None]
"""Changes the image with this zero-based index in its study."""


def _person(name: str, *, birth_date: str = "19600229", charset: Charset = Charset.UTF_8) -> Identity:
    return Identity(
        patient_name=CYRILLIC_NAME,
        patient_id=f"BAD-{name.upper()}",
        birth_date=birth_date,
        accession_number=name.upper()[:16],
        charset=charset,
    )


def _ct(
    name: str,
    *,
    geometry: Geometry = REGULAR,
    birth_date: str = "19600229",
    charset: Charset = Charset.UTF_8,
    temporal_positions: int = 1,
    pixels: PixelForm | None = None,
) -> Study:
    return render_ct(
        head(),
        geometry,
        identity=_person(name, birth_date=birth_date, charset=charset),
        temporal_positions=temporal_positions,
        pixels=pixels,
    )


def changed(study: Study, change: Change) -> Study:
    """Return the study with ``change`` made to every image; the transfer syntax stays."""
    number = 0
    series: list[Series] = []
    for old in study.series:
        instances: list[Instance] = []
        for instance in old.instances:
            dataset = instance.read()
            change(number, dataset)
            number += 1
            target = io.BytesIO()
            dataset.save_as(target, enforce_file_format=True)
            instances.append(replace(instance, encoded=target.getvalue()))
        series.append(replace(old, instances=tuple(instances)))
    return replace(study, uid=str(dataset.StudyInstanceUID), series=tuple(series))


def _setting(**values: object) -> Change:
    def change(_: int, dataset: Dataset) -> None:
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return change


def _without(*keywords: str) -> Change:
    def change(_: int, dataset: Dataset) -> None:
        for keyword in keywords:
            delattr(dataset, keyword)

    return change


def _short_pixels(number: int, dataset: Dataset) -> None:
    if number == MIDDLE:
        dataset.PixelData = dataset.PixelData[:-1000]


def _no_pixels(number: int, dataset: Dataset) -> None:
    if number == MIDDLE:
        dataset.PixelData = b""


def _compressed(name: str) -> Study:
    return render_ct(head(), REGULAR, identity=_person(name), transfer_syntax=JPEG2000Lossless)


def _cut_codestream() -> Study:
    def cut(number: int, dataset: Dataset) -> None:
        if number == MIDDLE:
            frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
            dataset.PixelData = encapsulate([frame[: len(frame) // 2]])

    return changed(_compressed("cut-codestream"), cut)


def _unmarked() -> Study:
    """Make a study scanned twice at every place whose images do not tell one time from the other."""
    return changed(
        _ct("unmarked-times", temporal_positions=2), _without("TemporalPositionIdentifier", "NumberOfTemporalPositions")
    )


def _second_patient() -> Study:
    return changed(_ct("second-patient"), _setting(StudyInstanceUID=_ct("first-patient").uid))


STUDIES: Final[Mapping[str, Callable[[], Study]]] = MappingProxyType(
    {
        "good": lambda: _ct("good"),
        "short-pixels": lambda: changed(_ct("short-pixels"), _short_pixels),
        "cut-codestream": _cut_codestream,
        "no-pixels": lambda: changed(_ct("no-pixels"), _no_pixels),
        "eight-bits": lambda: changed(_ct("eight-bits"), _setting(BitsAllocated=8, BitsStored=8, HighBit=7)),
        "eight-bits-compressed": lambda: changed(
            _compressed("eight-bits-compressed"), _setting(BitsAllocated=8, BitsStored=8, HighBit=7)
        ),
        "thirty-two-bits": lambda: changed(_ct("thirty-two-bits"), _setting(BitsAllocated=32)),
        "no-geometry": lambda: changed(_ct("no-geometry"), _without("ImagePositionPatient", "ImageOrientationPatient")),
        "gap": lambda: _ct("gap", geometry=REGULAR.without(MIDDLE)),
        "repeated-position": lambda: _ct("repeated-position", geometry=REGULAR.repeating(MIDDLE)),
        "two-times": lambda: _ct("two-times", temporal_positions=2),
        "unmarked-times": lambda: changed(_unmarked(), _setting(AcquisitionNumber=1, AcquisitionTime="101500")),
        "placeholder-birth-date": lambda: _ct("placeholder-birth-date", birth_date="19000101"),
        "no-birth-date": lambda: changed(_ct("no-birth-date"), _setting(PatientBirthDate="", PatientAge="")),
        "child": lambda: _ct("child", birth_date="20140101"),
        "wrong-part": lambda: changed(_ct("wrong-part"), _setting(BodyPartExamined="CHEST")),
        "no-part": lambda: changed(_ct("no-part"), _setting(BodyPartExamined="")),
        "iso-ir-144": lambda: _ct("iso-ir-144", charset=Charset.CYRILLIC),
        "iso-2022": lambda: _ct("iso-2022", charset=Charset.CYRILLIC_EXTENDED),
        "undeclared": lambda: _ct("undeclared", charset=Charset.UNDECLARED_CP1251),
        "first-patient": lambda: _ct("first-patient"),
        "second-patient": _second_patient,
    }
)
"""Every study by name. ``first-patient`` and ``second-patient`` share one Study Instance UID."""
