from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SenderProfile(_message.Message):
    __slots__ = ("profile", "organisation", "revision", "profile_yaml")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    ORGANISATION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PROFILE_YAML_FIELD_NUMBER: _ClassVar[int]
    profile: str
    organisation: str
    revision: int
    profile_yaml: bytes
    def __init__(self, profile: _Optional[str] = ..., organisation: _Optional[str] = ..., revision: _Optional[int] = ..., profile_yaml: _Optional[bytes] = ...) -> None: ...

class PutSenderProfileRequest(_message.Message):
    __slots__ = ("request_id", "organisation", "profile_yaml")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANISATION_FIELD_NUMBER: _ClassVar[int]
    PROFILE_YAML_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    organisation: str
    profile_yaml: bytes
    def __init__(self, request_id: _Optional[str] = ..., organisation: _Optional[str] = ..., profile_yaml: _Optional[bytes] = ...) -> None: ...

class PutSenderProfileResponse(_message.Message):
    __slots__ = ("profile", "changed")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    profile: SenderProfile
    changed: bool
    def __init__(self, profile: _Optional[_Union[SenderProfile, _Mapping]] = ..., changed: _Optional[bool] = ...) -> None: ...

class ListSenderProfilesRequest(_message.Message):
    __slots__ = ("organisation",)
    ORGANISATION_FIELD_NUMBER: _ClassVar[int]
    organisation: str
    def __init__(self, organisation: _Optional[str] = ...) -> None: ...

class ListSenderProfilesResponse(_message.Message):
    __slots__ = ("profiles",)
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    profiles: _containers.RepeatedCompositeFieldContainer[SenderProfile]
    def __init__(self, profiles: _Optional[_Iterable[_Union[SenderProfile, _Mapping]]] = ...) -> None: ...

class RemoveSenderProfileRequest(_message.Message):
    __slots__ = ("request_id", "organisation", "profile")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANISATION_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    organisation: str
    profile: str
    def __init__(self, request_id: _Optional[str] = ..., organisation: _Optional[str] = ..., profile: _Optional[str] = ...) -> None: ...

class RemoveSenderProfileResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
