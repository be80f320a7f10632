from udc.events.v1 import job_pb2 as _job_pb2
from udc.router.v1 import registry_pb2 as _registry_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Device(_message.Message):
    __slots__ = ("device", "version", "title_ru", "title_en", "vendor", "manifest_digest", "model_digest", "medical_device", "suspended", "certificate", "golden_digest", "golden_cases")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TITLE_RU_FIELD_NUMBER: _ClassVar[int]
    TITLE_EN_FIELD_NUMBER: _ClassVar[int]
    VENDOR_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MEDICAL_DEVICE_FIELD_NUMBER: _ClassVar[int]
    SUSPENDED_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    GOLDEN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    GOLDEN_CASES_FIELD_NUMBER: _ClassVar[int]
    device: str
    version: str
    title_ru: str
    title_en: str
    vendor: str
    manifest_digest: str
    model_digest: str
    medical_device: bool
    suspended: bool
    certificate: _registry_pb2.Certificate
    golden_digest: str
    golden_cases: int
    def __init__(self, device: _Optional[str] = ..., version: _Optional[str] = ..., title_ru: _Optional[str] = ..., title_en: _Optional[str] = ..., vendor: _Optional[str] = ..., manifest_digest: _Optional[str] = ..., model_digest: _Optional[str] = ..., medical_device: _Optional[bool] = ..., suspended: _Optional[bool] = ..., certificate: _Optional[_Union[_registry_pb2.Certificate, _Mapping]] = ..., golden_digest: _Optional[str] = ..., golden_cases: _Optional[int] = ...) -> None: ...

class RegisterDeviceRequest(_message.Message):
    __slots__ = ("request_id", "manifest_yaml", "model_digest", "certificate", "golden_json")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_YAML_FIELD_NUMBER: _ClassVar[int]
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    GOLDEN_JSON_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    manifest_yaml: bytes
    model_digest: str
    certificate: _registry_pb2.Certificate
    golden_json: bytes
    def __init__(self, request_id: _Optional[str] = ..., manifest_yaml: _Optional[bytes] = ..., model_digest: _Optional[str] = ..., certificate: _Optional[_Union[_registry_pb2.Certificate, _Mapping]] = ..., golden_json: _Optional[bytes] = ...) -> None: ...

class PutCaseInputRequest(_message.Message):
    __slots__ = ("chunk",)
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    chunk: bytes
    def __init__(self, chunk: _Optional[bytes] = ...) -> None: ...

class PutCaseInputResponse(_message.Message):
    __slots__ = ("digest",)
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    digest: str
    def __init__(self, digest: _Optional[str] = ...) -> None: ...

class RegisterDeviceResponse(_message.Message):
    __slots__ = ("device", "created")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    device: Device
    created: bool
    def __init__(self, device: _Optional[_Union[Device, _Mapping]] = ..., created: _Optional[bool] = ...) -> None: ...

class ListDevicesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListDevicesResponse(_message.Message):
    __slots__ = ("devices",)
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    devices: _containers.RepeatedCompositeFieldContainer[Device]
    def __init__(self, devices: _Optional[_Iterable[_Union[Device, _Mapping]]] = ...) -> None: ...

class SuspendDeviceRequest(_message.Message):
    __slots__ = ("request_id", "device", "version", "reason")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    device: str
    version: str
    reason: str
    def __init__(self, request_id: _Optional[str] = ..., device: _Optional[str] = ..., version: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class SuspendDeviceResponse(_message.Message):
    __slots__ = ("device",)
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    device: Device
    def __init__(self, device: _Optional[_Union[Device, _Mapping]] = ...) -> None: ...

class ResumeDeviceRequest(_message.Message):
    __slots__ = ("request_id", "device", "version")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    device: str
    version: str
    def __init__(self, request_id: _Optional[str] = ..., device: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class ResumeDeviceResponse(_message.Message):
    __slots__ = ("device",)
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    device: Device
    def __init__(self, device: _Optional[_Union[Device, _Mapping]] = ...) -> None: ...

class Attachment(_message.Message):
    __slots__ = ("attachment", "revision", "device", "version", "mode", "organisations", "sources", "destinations", "rule", "pool", "priority", "deadline_s")
    ATTACHMENT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    ORGANISATIONS_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    DESTINATIONS_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_S_FIELD_NUMBER: _ClassVar[int]
    attachment: str
    revision: int
    device: str
    version: str
    mode: _job_pb2.Mode
    organisations: _containers.RepeatedScalarFieldContainer[str]
    sources: _containers.RepeatedScalarFieldContainer[str]
    destinations: _containers.RepeatedScalarFieldContainer[str]
    rule: str
    pool: str
    priority: _job_pb2.Priority
    deadline_s: int
    def __init__(self, attachment: _Optional[str] = ..., revision: _Optional[int] = ..., device: _Optional[str] = ..., version: _Optional[str] = ..., mode: _Optional[_Union[_job_pb2.Mode, str]] = ..., organisations: _Optional[_Iterable[str]] = ..., sources: _Optional[_Iterable[str]] = ..., destinations: _Optional[_Iterable[str]] = ..., rule: _Optional[str] = ..., pool: _Optional[str] = ..., priority: _Optional[_Union[_job_pb2.Priority, str]] = ..., deadline_s: _Optional[int] = ...) -> None: ...

class CreateAttachmentRequest(_message.Message):
    __slots__ = ("request_id", "attachment")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ATTACHMENT_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    attachment: Attachment
    def __init__(self, request_id: _Optional[str] = ..., attachment: _Optional[_Union[Attachment, _Mapping]] = ...) -> None: ...

class CreateAttachmentResponse(_message.Message):
    __slots__ = ("attachment", "created")
    ATTACHMENT_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    attachment: Attachment
    created: bool
    def __init__(self, attachment: _Optional[_Union[Attachment, _Mapping]] = ..., created: _Optional[bool] = ...) -> None: ...

class ListAttachmentsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListAttachmentsResponse(_message.Message):
    __slots__ = ("attachments",)
    ATTACHMENTS_FIELD_NUMBER: _ClassVar[int]
    attachments: _containers.RepeatedCompositeFieldContainer[Attachment]
    def __init__(self, attachments: _Optional[_Iterable[_Union[Attachment, _Mapping]]] = ...) -> None: ...
