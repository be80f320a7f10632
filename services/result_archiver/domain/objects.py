"""What is built, and from what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum, unique
from typing import Any, Final
from zoneinfo import ZoneInfo

from udcmodel.ids import digest_of
from udcmodel.result import AiResult, Code
from udcmodel.vocabulary import Mode

DicomJson = Mapping[str, Any]
"""One instance in the DICOM JSON model (PS3.18 annex F): tag of eight hexadecimal digits to ``{"vr", "Value"}``."""


@unique
class ObjectKind(StrEnum):
    """What an object of a result is."""

    SEG = "SEG"
    SC = "SC"
    SR = "SR"


STORE_ORDER: Final = (ObjectKind.SEG, ObjectKind.SC, ObjectKind.SR)
"""The report goes last: whoever finds it finds what it refers to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedObject:
    """A DICOM file as it is sent, every time.

    Attributes:
        kind: What it is.
        sop_class_uid: (0008,0016).
        sop_instance_uid: (0008,0018).
        series_instance_uid: (0020,000E).
        content: The file (PS3.10). Kept out of ``repr``: it holds patient data.
    """

    kind: ObjectKind
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    content: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of the file."""
        return digest_of(self.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDescription:
    """How the device is called where people read it.

    Attributes:
        device: Registered name.
        version: Registered version.
        title: Title in the language of the reader.
        manufacturer: Name of the vendor.
        model_digest: Digest of the model's content; the serial number of what ran.
        finding_titles: Title of each target finding by its code.
    """

    device: str
    version: str
    title: str
    manufacturer: str
    model_digest: str
    finding_titles: Mapping[Code, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The sources as the archive had them when the objects were built.

    Attributes:
        headers: One per source instance of the study, in the order of ``AiResult.sources``, without pixels.
        key_images: Complete files (PS3.10) of the images that are shown, by SOP Instance UID. Never empty.
    """

    headers: tuple[DicomJson, ...] = field(repr=False)
    key_images: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOrder:
    """Everything that decides the bytes of the objects: the same order gives the same bytes.

    Attributes:
        study: Internal id of the study.
        study_instance_uid: (0020,000D).
        job: Id of the job.
        result_digest: Digest of ``result``.
        result: What the device said.
        device: Who said it.
        mode: PILOT is marked.
        issue: 1 for the first result of a study and attachment.
        accepted_at: The only time that is written, aware.
        zone: Where the objects are read.
        snapshot: What the archive said about the sources.
    """

    study: str
    study_instance_uid: str
    job: str
    result_digest: str
    result: AiResult
    device: DeviceDescription
    mode: Mode
    issue: int
    accepted_at: datetime
    zone: ZoneInfo
    snapshot: Snapshot
