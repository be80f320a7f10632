"""Why a result cannot be archived, and who is at fault."""

from collections.abc import Mapping
from enum import StrEnum, unique
from types import MappingProxyType
from typing import ClassVar, Final

from udckit.errors import Kind, ServiceError
from udcmodel.vocabulary import ErrorCategory


@unique
class FailureReason(StrEnum):
    """What stops archiving for good; repeating cannot help."""

    PATIENT_CHANGED = "PATIENT_CHANGED"
    """The study now belongs to another patient than when the job was made."""
    RESULT_MISSING = "RESULT_MISSING"
    """The accepted result, or a description it needs, is no longer in the object store."""
    RESULT_INVALID = "RESULT_INVALID"
    """The accepted result contradicts itself or the job."""
    SOURCE_MISSING = "SOURCE_MISSING"
    """An instance that the result was made from is no longer in the archive."""
    SOURCE_ATTRIBUTE_MISSING = "SOURCE_ATTRIBUTE_MISSING"
    """A source lacks an attribute without which no valid object can be made."""
    SOURCE_TEXT_UNDECODABLE = "SOURCE_TEXT_UNDECODABLE"
    """An identifier of the source is not written in the character set it declares."""
    SOURCE_WITHOUT_GEOMETRY = "SOURCE_WITHOUT_GEOMETRY"
    """A segment lies on images that do not say where they are."""
    SOURCE_PIXELS_UNREADABLE = "SOURCE_PIXELS_UNREADABLE"
    """The key image cannot be decoded."""
    BUILD_FAILED = "BUILD_FAILED"
    """The objects could not be encoded."""
    ARCHIVE_UNKNOWN = "ARCHIVE_UNKNOWN"
    """The destination is not in the registry."""
    PROFILE_UNKNOWN = "PROFILE_UNKNOWN"
    """The destination asks for a set of objects that this archiver cannot make."""
    STORE_REFUSED = "STORE_REFUSED"
    """The archive said that it does not store an object."""
    STORE_NOT_CONFIRMED = "STORE_NOT_CONFIRMED"
    """The archive answered, but did not say that it stored the object."""
    NOT_STORED = "NOT_STORED"
    """The archive said that it stored the object, and does not have it."""
    STORED_DIFFERENTLY = "STORED_DIFFERENTLY"
    """The archive holds other content under the UID of our object."""
    DEADLINE_PASSED = "DEADLINE_PASSED"
    """The archive or the router was away until the deadline of the job."""


CATEGORY_OF: Final[Mapping[FailureReason, ErrorCategory]] = MappingProxyType(
    {
        FailureReason.PATIENT_CHANGED: ErrorCategory.TAG,
        FailureReason.RESULT_MISSING: ErrorCategory.OTHER,
        FailureReason.RESULT_INVALID: ErrorCategory.OTHER,
        FailureReason.SOURCE_MISSING: ErrorCategory.NUMBER_OF_IMAGES,
        FailureReason.SOURCE_ATTRIBUTE_MISSING: ErrorCategory.TAG,
        FailureReason.SOURCE_TEXT_UNDECODABLE: ErrorCategory.TAG,
        FailureReason.SOURCE_WITHOUT_GEOMETRY: ErrorCategory.TAG,
        FailureReason.SOURCE_PIXELS_UNREADABLE: ErrorCategory.IMAGES,
        FailureReason.BUILD_FAILED: ErrorCategory.OTHER,
        FailureReason.ARCHIVE_UNKNOWN: ErrorCategory.SERVER_UNAVAILABLE,
        FailureReason.PROFILE_UNKNOWN: ErrorCategory.OTHER,
        FailureReason.STORE_REFUSED: ErrorCategory.SERVER_UNAVAILABLE,
        FailureReason.STORE_NOT_CONFIRMED: ErrorCategory.SERVER_UNAVAILABLE,
        FailureReason.NOT_STORED: ErrorCategory.SERVER_UNAVAILABLE,
        FailureReason.STORED_DIFFERENTLY: ErrorCategory.SERVER_UNAVAILABLE,
        FailureReason.DEADLINE_PASSED: ErrorCategory.SERVER_UNAVAILABLE,
    }
)


class CannotArchiveError(ServiceError):
    """Archiving this result is over.

    Args:
        why: The reason that goes into the delivery and the event.
        detail: One sentence for people. Never patient data.
    """

    kind: ClassVar[Kind] = Kind.PRECONDITION
    reason: ClassVar[str] = "CANNOT_ARCHIVE"

    def __init__(self, why: FailureReason, detail: str) -> None:
        super().__init__(detail, why=why.value)
        self.why = why


class ArchiveBrokeError(ServiceError):
    """The archive failed while it worked on a request; whether the object is stored is unknown."""

    kind: ClassVar[Kind] = Kind.TIMED_OUT
    reason: ClassVar[str] = "ARCHIVE_BROKE"
