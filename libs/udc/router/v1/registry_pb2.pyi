import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from udc.events.v1 import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Certificate(_message.Message):
    __slots__ = ("number", "valid_from", "valid_until", "versions", "holder", "source", "checked_at")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    CHECKED_AT_FIELD_NUMBER: _ClassVar[int]
    number: str
    valid_from: _timestamp_pb2.Timestamp
    valid_until: _timestamp_pb2.Timestamp
    versions: _containers.RepeatedScalarFieldContainer[str]
    holder: str
    source: str
    checked_at: _timestamp_pb2.Timestamp
    def __init__(self, number: _Optional[str] = ..., valid_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., valid_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., versions: _Optional[_Iterable[str]] = ..., holder: _Optional[str] = ..., source: _Optional[str] = ..., checked_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DeviceVersionRecord(_message.Message):
    __slots__ = ("device", "version", "manifest_digest", "model_digest", "medical_device", "suspended", "suspension_reason", "certificate", "golden_digest")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MEDICAL_DEVICE_FIELD_NUMBER: _ClassVar[int]
    SUSPENDED_FIELD_NUMBER: _ClassVar[int]
    SUSPENSION_REASON_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    GOLDEN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    device: str
    version: str
    manifest_digest: str
    model_digest: str
    medical_device: bool
    suspended: bool
    suspension_reason: str
    certificate: Certificate
    golden_digest: str
    def __init__(self, device: _Optional[str] = ..., version: _Optional[str] = ..., manifest_digest: _Optional[str] = ..., model_digest: _Optional[str] = ..., medical_device: _Optional[bool] = ..., suspended: _Optional[bool] = ..., suspension_reason: _Optional[str] = ..., certificate: _Optional[_Union[Certificate, _Mapping]] = ..., golden_digest: _Optional[str] = ...) -> None: ...

class AttachmentRecord(_message.Message):
    __slots__ = ("attachment", "revision", "device", "version", "mode", "suspended", "organisations")
    ATTACHMENT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    SUSPENDED_FIELD_NUMBER: _ClassVar[int]
    ORGANISATIONS_FIELD_NUMBER: _ClassVar[int]
    attachment: str
    revision: int
    device: str
    version: str
    mode: _job_pb2.Mode
    suspended: bool
    organisations: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, attachment: _Optional[str] = ..., revision: _Optional[int] = ..., device: _Optional[str] = ..., version: _Optional[str] = ..., mode: _Optional[_Union[_job_pb2.Mode, str]] = ..., suspended: _Optional[bool] = ..., organisations: _Optional[_Iterable[str]] = ...) -> None: ...

class ArchiveRecord(_message.Message):
    __slots__ = ("archive", "dicomweb_url", "credentials", "profile")
    ARCHIVE_FIELD_NUMBER: _ClassVar[int]
    DICOMWEB_URL_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    archive: str
    dicomweb_url: str
    credentials: str
    profile: str
    def __init__(self, archive: _Optional[str] = ..., dicomweb_url: _Optional[str] = ..., credentials: _Optional[str] = ..., profile: _Optional[str] = ...) -> None: ...

class RegistryRecord(_message.Message):
    __slots__ = ("revision", "device_version", "attachment", "archive")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DEVICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    ATTACHMENT_FIELD_NUMBER: _ClassVar[int]
    ARCHIVE_FIELD_NUMBER: _ClassVar[int]
    revision: int
    device_version: DeviceVersionRecord
    attachment: AttachmentRecord
    archive: ArchiveRecord
    def __init__(self, revision: _Optional[int] = ..., device_version: _Optional[_Union[DeviceVersionRecord, _Mapping]] = ..., attachment: _Optional[_Union[AttachmentRecord, _Mapping]] = ..., archive: _Optional[_Union[ArchiveRecord, _Mapping]] = ...) -> None: ...

class PoolSlots(_message.Message):
    __slots__ = ("replica", "pool", "slots", "archives_away", "not_activated", "waiting_for")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    ARCHIVES_AWAY_FIELD_NUMBER: _ClassVar[int]
    NOT_ACTIVATED_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_FIELD_NUMBER: _ClassVar[int]
    replica: str
    pool: str
    slots: int
    archives_away: _containers.RepeatedScalarFieldContainer[str]
    not_activated: _containers.RepeatedCompositeFieldContainer[DeviceVersionName]
    waiting_for: str
    def __init__(self, replica: _Optional[str] = ..., pool: _Optional[str] = ..., slots: _Optional[int] = ..., archives_away: _Optional[_Iterable[str]] = ..., not_activated: _Optional[_Iterable[_Union[DeviceVersionName, _Mapping]]] = ..., waiting_for: _Optional[str] = ...) -> None: ...

class DeviceVersionName(_message.Message):
    __slots__ = ("device", "version")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    device: str
    version: str
    def __init__(self, device: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...
