"""Words that several services share: modes, priorities, outcomes, error categories."""

from enum import StrEnum, unique
from typing import Final


@unique
class Mode(StrEnum):
    """How far the result of an attachment may go."""

    SHADOW = "SHADOW"
    """It runs and is kept; nobody sees it."""
    PILOT = "PILOT"
    """It is shown, marked as a pilot."""
    LIVE = "LIVE"
    """It is shown."""


@unique
class Priority(StrEnum):
    """Who goes first."""

    URGENT = "URGENT"
    ROUTINE = "ROUTINE"
    BATCH = "BATCH"


@unique
class InputKind(StrEnum):
    """What an input of a job is."""

    STACK = "STACK"
    PRIOR_STACK = "PRIOR_STACK"
    WAVEFORM = "WAVEFORM"
    FEATURES = "FEATURES"
    RESULT = "RESULT"


@unique
class Outcome(StrEnum):
    """What became of a study revision for an attachment; exactly one is current."""

    ARCHIVED = "ARCHIVED"
    """The result is in the archive and was read back."""
    KEPT = "KEPT"
    """Shadow mode: the result is kept and shown to nobody."""
    NOT_ELIGIBLE = "NOT_ELIGIBLE"
    """The study is not what the device is for."""
    REFUSED = "REFUSED"
    """The device may not run here now."""
    INSUFFICIENT = "INSUFFICIENT"
    """The input is unsuitable or missing."""
    FAILED = "FAILED"
    """The device or the platform failed."""
    EXPIRED = "EXPIRED"
    """The deadline passed."""
    CANCELED = "CANCELED"
    """A person stopped it."""
    SUPERSEDED = "SUPERSEDED"
    """A newer revision has its own job."""
    WITHDRAWN = "WITHDRAWN"
    """It was archived and is no longer."""


ERRORS: Final = frozenset({Outcome.FAILED, Outcome.EXPIRED})
"""The only outcomes that count as errors."""


@unique
class ErrorCategory(StrEnum):
    """Who is at fault when there is no result; the values are the published strings (clause 3.5, table 1)."""

    SERVER_UNAVAILABLE = "Server unavailable"
    NUMBER_OF_IMAGES = "Incorrect number of images"
    MODALITY = "Modality error"
    SERIES = "Series error"
    TAG = "Tag error"
    BODY_PART = "Body part error"
    IMAGES = "Images error"
    OTHER = "Other"

    @property
    def is_fault_of_device(self) -> bool:
        """Say whether the AI device, not the sender or the network, is at fault."""
        return self is ErrorCategory.OTHER


@unique
class Presence(StrEnum):
    """What a device says about a finding."""

    PRESENT = "PRESENT"
    ABSENT = "ABSENT"
    UNDETERMINED = "UNDETERMINED"
