"""Why a run has no result: every reason with what follows from it, in one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final

from udcmodel.grant import Refused
from udcmodel.vocabulary import ErrorCategory


@unique
class Reason(StrEnum):
    """What went wrong."""

    # The images are not those that were matched, or cannot be used.
    INPUT_UNKNOWN = "INPUT_UNKNOWN"
    """The job names inputs that the manifest does not, or the other way round."""
    SERIES_GONE = "SERIES_GONE"
    FRAME_MISSING = "FRAME_MISSING"
    FRAME_REPEATED = "FRAME_REPEATED"
    FRAME_UNEXPECTED = "FRAME_UNEXPECTED"
    FRAME_CHANGED = "FRAME_CHANGED"
    PIXELS_UNREADABLE = "PIXELS_UNREADABLE"
    INPUT_UNSUITABLE = "INPUT_UNSUITABLE"
    INPUT_TOO_LARGE = "INPUT_TOO_LARGE"
    # The archive answered, but not with what was asked for.
    TRANSFER_TRUNCATED = "TRANSFER_TRUNCATED"
    TRANSFER_MALFORMED = "TRANSFER_MALFORMED"
    # The model.
    MODEL_CHANGED = "MODEL_CHANGED"
    MODEL_FORM = "MODEL_FORM"
    """Its tensors are not those of the manifest."""
    MODEL_NOT_READY = "MODEL_NOT_READY"
    MODEL_VERSION = "MODEL_VERSION"
    INFERENCE_FAILED = "INFERENCE_FAILED"
    INFERENCE_TIMED_OUT = "INFERENCE_TIMED_OUT"
    OUTPUT_MISSING = "OUTPUT_MISSING"
    OUTPUT_EMPTY = "OUTPUT_EMPTY"
    OUTPUT_SHAPE = "OUTPUT_SHAPE"
    OUTPUT_SIZE = "OUTPUT_SIZE"
    OUTPUT_DATATYPE = "OUTPUT_DATATYPE"
    OUTPUT_NOT_FINITE = "OUTPUT_NOT_FINITE"
    OUTPUT_OUT_OF_RANGE = "OUTPUT_OUT_OF_RANGE"
    RESULT_IMPOSSIBLE = "RESULT_IMPOSSIBLE"


@dataclass(frozen=True, slots=True)
class Consequence:
    """What follows from a failure.

    Attributes:
        category: Who is at fault, in the published words.
        is_insufficient: The input is unsuitable; no device could help.
        is_retryable: Another attempt may succeed.
    """

    category: ErrorCategory
    is_insufficient: bool = False
    is_retryable: bool = False


def _input(category: ErrorCategory) -> Consequence:
    return Consequence(category, is_insufficient=True)


_TRANSFER: Final = Consequence(ErrorCategory.SERVER_UNAVAILABLE, is_retryable=True)
_DEVICE: Final = Consequence(ErrorCategory.OTHER)
_DEVICE_MAY_RECOVER: Final = Consequence(ErrorCategory.OTHER, is_retryable=True)

CONSEQUENCES: Final[Mapping[Reason, Consequence]] = MappingProxyType(
    {
        Reason.INPUT_UNKNOWN: _DEVICE,
        Reason.SERIES_GONE: _input(ErrorCategory.NUMBER_OF_IMAGES),
        Reason.FRAME_MISSING: _input(ErrorCategory.NUMBER_OF_IMAGES),
        Reason.FRAME_REPEATED: _input(ErrorCategory.NUMBER_OF_IMAGES),
        Reason.FRAME_UNEXPECTED: _input(ErrorCategory.NUMBER_OF_IMAGES),
        Reason.FRAME_CHANGED: _input(ErrorCategory.TAG),
        Reason.PIXELS_UNREADABLE: _input(ErrorCategory.IMAGES),
        Reason.INPUT_UNSUITABLE: _input(ErrorCategory.IMAGES),
        Reason.INPUT_TOO_LARGE: _input(ErrorCategory.NUMBER_OF_IMAGES),
        Reason.TRANSFER_TRUNCATED: _TRANSFER,
        Reason.TRANSFER_MALFORMED: _TRANSFER,
        Reason.MODEL_CHANGED: _DEVICE,
        Reason.MODEL_FORM: _DEVICE,
        Reason.MODEL_NOT_READY: _DEVICE_MAY_RECOVER,
        Reason.MODEL_VERSION: _DEVICE_MAY_RECOVER,
        Reason.INFERENCE_FAILED: _DEVICE_MAY_RECOVER,
        Reason.INFERENCE_TIMED_OUT: _DEVICE_MAY_RECOVER,
        Reason.OUTPUT_MISSING: _DEVICE,
        Reason.OUTPUT_EMPTY: _DEVICE,
        Reason.OUTPUT_SHAPE: _DEVICE,
        Reason.OUTPUT_SIZE: _DEVICE,
        Reason.OUTPUT_DATATYPE: _DEVICE,
        Reason.OUTPUT_NOT_FINITE: _DEVICE,
        Reason.OUTPUT_OUT_OF_RANGE: _DEVICE,
        Reason.RESULT_IMPOSSIBLE: _DEVICE,
    }
)


class RunFailedError(Exception):
    """The run ends without a result, and everybody is told why.

    Args:
        reason: What went wrong.
        detail: One sentence for people, with the numbers. Never patient data.
        category: Who is at fault, where the table's answer can be made more precise.
    """

    def __init__(self, reason: Reason, detail: str, *, category: ErrorCategory | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.category = category


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The run has no result. ``reason`` is upper-case: a ``Reason``, or ``REFUSED_`` and a refusal."""

    reason: str
    detail: str
    consequence: Consequence


def failed(error: RunFailedError) -> Failed:
    """Return how a run ends that stopped with ``error``."""
    consequence = CONSEQUENCES[error.reason]
    if error.category is not None:
        consequence = Consequence(error.category, consequence.is_insufficient, consequence.is_retryable)
    return Failed(reason=error.reason.value, detail=error.detail, consequence=consequence)


def refused(refusal: Refused) -> Failed:
    """Return how a run ends whose device may not run."""
    return Failed(
        reason=f"REFUSED_{refusal.refusal}", detail=refusal.detail, consequence=Consequence(ErrorCategory.OTHER)
    )
