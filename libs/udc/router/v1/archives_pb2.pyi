from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FeedKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FEED_KIND_UNSPECIFIED: _ClassVar[FeedKind]
    FEED_KIND_ORTHANC: _ClassVar[FeedKind]
    FEED_KIND_DICOMWEB: _ClassVar[FeedKind]
    FEED_KIND_NONE: _ClassVar[FeedKind]
FEED_KIND_UNSPECIFIED: FeedKind
FEED_KIND_ORTHANC: FeedKind
FEED_KIND_DICOMWEB: FeedKind
FEED_KIND_NONE: FeedKind

class Archive(_message.Message):
    __slots__ = ("archive", "organisation", "feed", "dicomweb_url", "orthanc_url", "credentials", "profile")
    ARCHIVE_FIELD_NUMBER: _ClassVar[int]
    ORGANISATION_FIELD_NUMBER: _ClassVar[int]
    FEED_FIELD_NUMBER: _ClassVar[int]
    DICOMWEB_URL_FIELD_NUMBER: _ClassVar[int]
    ORTHANC_URL_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    archive: str
    organisation: str
    feed: FeedKind
    dicomweb_url: str
    orthanc_url: str
    credentials: str
    profile: str
    def __init__(self, archive: _Optional[str] = ..., organisation: _Optional[str] = ..., feed: _Optional[_Union[FeedKind, str]] = ..., dicomweb_url: _Optional[str] = ..., orthanc_url: _Optional[str] = ..., credentials: _Optional[str] = ..., profile: _Optional[str] = ...) -> None: ...

class AddArchiveRequest(_message.Message):
    __slots__ = ("request_id", "archive")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ARCHIVE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    archive: Archive
    def __init__(self, request_id: _Optional[str] = ..., archive: _Optional[_Union[Archive, _Mapping]] = ...) -> None: ...

class AddArchiveResponse(_message.Message):
    __slots__ = ("archive", "created")
    ARCHIVE_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    archive: Archive
    created: bool
    def __init__(self, archive: _Optional[_Union[Archive, _Mapping]] = ..., created: _Optional[bool] = ...) -> None: ...

class ListArchivesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListArchivesResponse(_message.Message):
    __slots__ = ("archives",)
    ARCHIVES_FIELD_NUMBER: _ClassVar[int]
    archives: _containers.RepeatedCompositeFieldContainer[Archive]
    def __init__(self, archives: _Optional[_Iterable[_Union[Archive, _Mapping]]] = ...) -> None: ...

class CheckArchiveRequest(_message.Message):
    __slots__ = ("archive",)
    ARCHIVE_FIELD_NUMBER: _ClassVar[int]
    archive: str
    def __init__(self, archive: _Optional[str] = ...) -> None: ...

class CheckArchiveResponse(_message.Message):
    __slots__ = ("steps",)
    class Step(_message.Message):
        __slots__ = ("name", "ok", "detail")
        NAME_FIELD_NUMBER: _ClassVar[int]
        OK_FIELD_NUMBER: _ClassVar[int]
        DETAIL_FIELD_NUMBER: _ClassVar[int]
        name: str
        ok: bool
        detail: str
        def __init__(self, name: _Optional[str] = ..., ok: _Optional[bool] = ..., detail: _Optional[str] = ...) -> None: ...
    STEPS_FIELD_NUMBER: _ClassVar[int]
    steps: _containers.RepeatedCompositeFieldContainer[CheckArchiveResponse.Step]
    def __init__(self, steps: _Optional[_Iterable[_Union[CheckArchiveResponse.Step, _Mapping]]] = ...) -> None: ...
