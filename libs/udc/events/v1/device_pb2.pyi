from udc.events.v1 import job_pb2 as _job_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DeviceRegistered(_message.Message):
    __slots__ = ("device", "version", "manifest_digest", "model_digest", "medical_device")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MEDICAL_DEVICE_FIELD_NUMBER: _ClassVar[int]
    device: str
    version: str
    manifest_digest: str
    model_digest: str
    medical_device: bool
    def __init__(self, device: _Optional[str] = ..., version: _Optional[str] = ..., manifest_digest: _Optional[str] = ..., model_digest: _Optional[str] = ..., medical_device: _Optional[bool] = ...) -> None: ...

class DeviceAttached(_message.Message):
    __slots__ = ("attachment", "revision", "device", "version", "mode")
    ATTACHMENT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    attachment: str
    revision: int
    device: str
    version: str
    mode: _job_pb2.Mode
    def __init__(self, attachment: _Optional[str] = ..., revision: _Optional[int] = ..., device: _Optional[str] = ..., version: _Optional[str] = ..., mode: _Optional[_Union[_job_pb2.Mode, str]] = ...) -> None: ...
