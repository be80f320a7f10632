"""What every object says about where it comes from, and the last touch that makes its bytes reproducible."""

import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from highdicom import ContributingEquipment
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID
from pydicom.valuerep import DA, DT, TM

from result_archiver.adapters.dicom.coding import PROCESSING_EQUIPMENT
from result_archiver.adapters.dicom.sources import UTF_8, Sources, date_and_time
from result_archiver.domain.objects import BuildOrder, EncodedObject, ObjectKind
from udcmodel.ids import derive, result_uid, uid_from
from udcmodel.vocabulary import Mode

BUILDER_VERSION: Final = "1"
"""Rises with every change that gives other bytes for the same order."""

IMPLEMENTATION_CLASS_UID: Final = UID(uid_from(derive("implementation", "result-archiver")))
IMPLEMENTATION_VERSION: Final = f"UDC_ARCHIVER_{BUILDER_VERSION}"

MADE_BY_AI: Final = "Сформировано медицинским изделием с технологией искусственного интеллекта"

SERIES_NUMBERS: Final[Mapping[ObjectKind, int]] = {ObjectKind.SEG: 9001, ObjectKind.SC: 9002, ObjectKind.SR: 9003}
"""High, so that viewers list results after the images."""


def det_uid(order: BuildOrder, kind: str, index: int = 0) -> str:
    """Return the UID of a thing of this result; always the same for the same accepted result and issue."""
    return result_uid(
        study=order.study,
        job=order.job,
        result_digest=order.result_digest,
        kind=kind,
        index=index,
        issue=order.issue,
    )


def series_uid(order: BuildOrder, kind: ObjectKind) -> str:
    """Return the Series Instance UID of the new series for objects of ``kind``."""
    return det_uid(order, f"{kind.lower()}-series")


def object_uid(order: BuildOrder, kind: ObjectKind, index: int = 0) -> str:
    """Return the SOP Instance UID of an object."""
    return det_uid(order, kind.lower(), index)


def series_description(order: BuildOrder) -> str:
    """Return "ИИ: <device> <version>", marked in a pilot, at most 64 characters (LO)."""
    pilot = " ПИЛОТ" if order.mode is Mode.PILOT else ""
    return (
        f"ИИ: {order.device.device}"[: 63 - len(pilot) - len(order.device.version)] + f" {order.device.version}{pilot}"
    )


def common_arguments(order: BuildOrder, sources: Sources, kind: ObjectKind, index: int = 0) -> dict[str, Any]:
    """Return the keyword arguments that the constructors of all kinds of object share."""
    day, clock = date_and_time(sources.when)
    return {
        "series_instance_uid": series_uid(order, kind),
        "series_number": SERIES_NUMBERS[kind],
        "sop_instance_uid": object_uid(order, kind, index),
        "instance_number": index + 1,
        "series_description": series_description(order),
        "series_date": day,
        "series_time": clock,
        "content_date": day,
        "content_time": clock,
        "specific_character_set": UTF_8,
        "manufacturer": order.device.manufacturer[:64],
        "manufacturer_model_name": order.device.device[:64],
        "software_versions": order.device.version,
        "device_serial_number": serial_number(order),
        "contributing_equipment": [_equipment(order, sources)],
    }


def serial_number(order: BuildOrder) -> str:
    """Return what tells two installations of the device apart: the digest of the model that ran, 64 characters."""
    return order.device.model_digest.removeprefix("sha256:")[:64]


def _equipment(order: BuildOrder, sources: Sources) -> ContributingEquipment:
    return ContributingEquipment(
        manufacturer=order.device.manufacturer[:64],
        purpose_of_reference=PROCESSING_EQUIPMENT,
        manufacturer_model_name=order.device.device[:64],
        software_versions=order.device.version,
        device_serial_number=serial_number(order),
        contribution_datetime=sources.when,
        contribution_description=MADE_BY_AI,
    )


def finish(dataset: Dataset, order: BuildOrder, when: datetime) -> None:
    """Replace what the constructors stamp with the present time, at random, or as their own."""
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = DA(when.date()), TM(when.time())
    if "DateOfSecondaryCapture" in dataset:
        dataset.DateOfSecondaryCapture, dataset.TimeOfSecondaryCapture = DA(when.date()), TM(when.time())
    for item in dataset.get("ContributingEquipmentSequence", []):
        item.ContributionDateTime = DT(when)
    if "DimensionOrganizationSequence" in dataset:
        uid = det_uid(order, "dimensions")
        dataset.DimensionOrganizationSequence[0].DimensionOrganizationUID = uid
        for item in dataset.get("DimensionIndexSequence", []):
            item.DimensionOrganizationUID = uid
    dataset.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    dataset.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION


def encoded(dataset: Dataset, kind: ObjectKind) -> EncodedObject:
    """Write a finished object as a file (PS3.10)."""
    target = io.BytesIO()
    dcmwrite(target, dataset, enforce_file_format=True)
    return EncodedObject(
        kind=kind,
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
        content=target.getvalue(),
    )
