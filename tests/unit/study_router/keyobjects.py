"""Key objects as workstations make them, written by a library that the product does not use for them."""

from collections.abc import Sequence
from io import BytesIO
from typing import Final

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

REJECTED_FOR_QUALITY: Final = codes.DCM.RejectedForQualityReasons
REJECTED_FOR_SAFETY: Final = codes.DCM.RejectedForPatientSafetyReasons


def rejection_note(images: Sequence[Dataset], *, title: Code) -> Dataset:
    """Return a key object that rejects images of one study (IHE IOCM)."""
    uid = f"{images[0].StudyInstanceUID}.900"
    document = KeyObjectSelectionDocument(
        evidence=images,
        content=KeyObjectSelection(document_title=title, referenced_objects=images),
        series_instance_uid=f"{uid}.1",
        series_number=900,
        sop_instance_uid=f"{uid}.2",
        instance_number=1,
        manufacturer="Synthetic workstation",
        institution_name="",
        institutional_department_name="",
    )
    encoded = BytesIO()
    document.save_as(encoded, enforce_file_format=True)
    encoded.seek(0)
    return dcmread(encoded)
