from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LoadedModel(_message.Message):
    __slots__ = ("device", "version", "model", "ready", "canary", "golden", "activated")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    GOLDEN_FIELD_NUMBER: _ClassVar[int]
    ACTIVATED_FIELD_NUMBER: _ClassVar[int]
    device: str
    version: str
    model: str
    ready: bool
    canary: str
    golden: str
    activated: bool
    def __init__(self, device: _Optional[str] = ..., version: _Optional[str] = ..., model: _Optional[str] = ..., ready: _Optional[bool] = ..., canary: _Optional[str] = ..., golden: _Optional[str] = ..., activated: _Optional[bool] = ...) -> None: ...

class ArchiveAway(_message.Message):
    __slots__ = ("archive", "reason")
    ARCHIVE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    archive: str
    reason: str
    def __init__(self, archive: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("replica", "pool", "slots", "busy", "models", "processing_version", "processing_build", "archives_away")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    BUSY_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    PROCESSING_VERSION_FIELD_NUMBER: _ClassVar[int]
    PROCESSING_BUILD_FIELD_NUMBER: _ClassVar[int]
    ARCHIVES_AWAY_FIELD_NUMBER: _ClassVar[int]
    replica: str
    pool: str
    slots: int
    busy: int
    models: _containers.RepeatedCompositeFieldContainer[LoadedModel]
    processing_version: str
    processing_build: str
    archives_away: _containers.RepeatedCompositeFieldContainer[ArchiveAway]
    def __init__(self, replica: _Optional[str] = ..., pool: _Optional[str] = ..., slots: _Optional[int] = ..., busy: _Optional[int] = ..., models: _Optional[_Iterable[_Union[LoadedModel, _Mapping]]] = ..., processing_version: _Optional[str] = ..., processing_build: _Optional[str] = ..., archives_away: _Optional[_Iterable[_Union[ArchiveAway, _Mapping]]] = ...) -> None: ...

class CheckDeviceRequest(_message.Message):
    __slots__ = ("device", "version")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    device: str
    version: str
    def __init__(self, device: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class GoldenCheck(_message.Message):
    __slots__ = ("what", "expected", "got", "passed")
    WHAT_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    GOT_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    what: str
    expected: str
    got: str
    passed: bool
    def __init__(self, what: _Optional[str] = ..., expected: _Optional[str] = ..., got: _Optional[str] = ..., passed: _Optional[bool] = ...) -> None: ...

class CheckDeviceResponse(_message.Message):
    __slots__ = ("case", "picture", "passed", "checks")
    CASE_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    case: str
    picture: str
    passed: bool
    checks: _containers.RepeatedCompositeFieldContainer[GoldenCheck]
    def __init__(self, case: _Optional[str] = ..., picture: _Optional[str] = ..., passed: _Optional[bool] = ..., checks: _Optional[_Iterable[_Union[GoldenCheck, _Mapping]]] = ...) -> None: ...

class LoadDeviceRequest(_message.Message):
    __slots__ = ("device", "version")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    device: str
    version: str
    def __init__(self, device: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class LoadDeviceResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: LoadedModel
    def __init__(self, model: _Optional[_Union[LoadedModel, _Mapping]] = ...) -> None: ...

class UnloadDeviceRequest(_message.Message):
    __slots__ = ("device", "version")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    device: str
    version: str
    def __init__(self, device: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class UnloadDeviceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
