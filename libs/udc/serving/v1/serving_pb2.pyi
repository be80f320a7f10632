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
    __slots__ = ("device", "version", "model", "ready", "canary")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    device: str
    version: str
    model: str
    ready: bool
    canary: str
    def __init__(self, device: _Optional[str] = ..., version: _Optional[str] = ..., model: _Optional[str] = ..., ready: _Optional[bool] = ..., canary: _Optional[str] = ...) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("replica", "pool", "slots", "busy", "models", "processing_version")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    BUSY_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    PROCESSING_VERSION_FIELD_NUMBER: _ClassVar[int]
    replica: str
    pool: str
    slots: int
    busy: int
    models: _containers.RepeatedCompositeFieldContainer[LoadedModel]
    processing_version: str
    def __init__(self, replica: _Optional[str] = ..., pool: _Optional[str] = ..., slots: _Optional[int] = ..., busy: _Optional[int] = ..., models: _Optional[_Iterable[_Union[LoadedModel, _Mapping]]] = ..., processing_version: _Optional[str] = ...) -> None: ...
