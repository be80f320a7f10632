"""A modality and an archive that say by DIMSE what they have done: the other side of the router's listener."""

import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made when the library is imported
    InstanceAvailabilityNotification,
    ModalityPerformedProcedureStep,
    Verification,
)

STUDY_TAG = 0x0020000D
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"

Series = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Modality:
    """Calls the listener at ``port``; every method is one association and returns the status, None for no answer."""

    port: int
    ae_title: str = "CT1"
    called: str = "UDC"
    tls: ssl.SSLContext | None = None

    def echo(self) -> int | None:
        with self.associated() as association:
            return status_of(association.send_c_echo()) if association.is_established else None

    def begin(self, step: str | None, *studies: str, **more: str) -> int | None:
        """N-CREATE of a step, with the names of a patient as modalities send them."""
        return self.create(begun(*studies, **more), step)

    def create(self, said: Dataset, step: str | None, sop_class: str = ModalityPerformedProcedureStep) -> int | None:
        with self.associated() as association:
            if not association.is_established:
                return None
            return status_of(association.send_n_create(said, sop_class, step)[0])

    def end(self, step: str, series: Series, *, status: str = "COMPLETED") -> int | None:
        """N-SET of a step."""
        said = Dataset()
        said.PerformedProcedureStepStatus = status
        said.PerformedProcedureStepEndDate, said.PerformedProcedureStepEndTime = "20260301", "120500"
        said.PerformedSeriesSequence = []
        for uid, images in series.items():
            item = Dataset()
            item.SeriesInstanceUID = uid
            item.ProtocolName = "Head"
            item.ReferencedImageSequence = [_reference(image) for image in images]
            said.PerformedSeriesSequence.append(item)
        with self.associated() as association:
            if not association.is_established:
                return None
            return status_of(association.send_n_set(said, ModalityPerformedProcedureStep, step)[0])

    def notify(self, notification: str | None, study: str, series: Series, *, of_step: str = "") -> int | None:
        """N-CREATE of an Instance Availability Notification."""
        said = Dataset()
        said.StudyInstanceUID = study
        said.ReferencedPerformedProcedureStepSequence = []
        if of_step:
            step = Dataset()
            step.ReferencedSOPClassUID = ModalityPerformedProcedureStep
            step.ReferencedSOPInstanceUID = of_step
            said.ReferencedPerformedProcedureStepSequence = [step]
        said.ReferencedSeriesSequence = []
        for uid, images in series.items():
            item = Dataset()
            item.SeriesInstanceUID = uid
            item.ReferencedSOPSequence = [_reference(image) for image in images]
            for reference in item.ReferencedSOPSequence:
                reference.InstanceAvailability = "ONLINE"
                reference.RetrieveAETitle = "PACS"
            said.ReferencedSeriesSequence.append(item)
        return self.create(said, notification, InstanceAvailabilityNotification)

    @contextmanager
    def associated(self) -> Iterator[Association]:
        entity = ApplicationEntity(ae_title=self.ae_title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
        for context in (Verification, ModalityPerformedProcedureStep, InstanceAvailabilityNotification):
            entity.add_requested_context(context)
        arguments = (self.tls, "127.0.0.1") if self.tls is not None else None
        association = entity.associate("127.0.0.1", self.port, ae_title=self.called, tls_args=arguments)
        try:
            yield association
        finally:
            if association.is_established:
                association.release()
            entity.shutdown()


def begun(*studies: str, patient: str = "Ivanov^Ivan", status: str = "IN PROGRESS") -> Dataset:
    """Return what a modality says at the beginning of a step (PS3.4 table F.7.2-1)."""
    said = Dataset()
    said.SpecificCharacterSet = "ISO_IR 192"
    said.PatientName = patient
    said.PatientID = "SECRET-7"
    said.PerformedProcedureStepID = "P1"
    said.PerformedStationAETitle = "CT1"
    said.PerformedProcedureStepStartDate, said.PerformedProcedureStepStartTime = "20260301", "120000"
    said.PerformedProcedureStepStatus = status
    said.Modality = "CT"
    said.PerformedSeriesSequence = []
    said.ScheduledStepAttributesSequence = []
    for study in studies:
        item = Dataset()
        item[STUDY_TAG] = DataElement(STUDY_TAG, "UI", study, validation_mode=config.IGNORE)
        item.RequestedProcedureDescription = "КТ головы"
        said.ScheduledStepAttributesSequence.append(item)
    return said


def status_of(answer: Dataset) -> int | None:
    """Return the status of an answer; None where the connection broke."""
    return int(answer.Status) if "Status" in answer else None


def _reference(image: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = CT_IMAGE
    item.ReferencedSOPInstanceUID = image
    return item
