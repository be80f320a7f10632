"""A study as the router keeps it: one identity, however many archives hold copies of it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum, unique
from typing import Final

from study_router.domain.instances import Header, InstanceClass

TWO_PATIENTS: Final = "TWO_PATIENTS"
"""Reason of the quarantine of a StudyInstanceUID that two patients share."""


@unique
class StudyState(StrEnum):
    """Whether more is expected."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"
    QUARANTINED = "QUARANTINED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Who a study is about, as the header says. Stays in this service; kept out of ``repr`` and so out of logs."""

    patient_id: str = field(repr=False)
    issuer: str = field(repr=False)
    birth_date: str = field(repr=False)
    sex: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study.

    Attributes:
        study: Internal id.
        study_instance_uid: (0020,000D).
        patient: From the first instance seen.
        age: Patient's Age (0010,1010) as sent.
        study_date: Study Date (0008,0020) as sent.
        description: Study Description (0008,1030).
        organisation: FRMO OID of the organisation whose archive showed it first.
        state: Whether more is expected.
        revision: 1, and more with every source instance that comes after completion.
        version: Rises with every change of content.
        is_forced: A person said that nothing more comes.
        reason: Why it is quarantined.
        first_seen_at: When its first instance reached an archive.
        last_arrival_at: When its latest source instance did.
        due_at: When it has to be looked at next; None for never.
        trace: W3C trace context of the revision's root span.
        closed_at: When this revision was closed first; None while it was never.
    """

    study: str
    study_instance_uid: str
    patient: Patient
    age: str
    study_date: str
    description: str
    organisation: str
    state: StudyState
    revision: int
    version: int
    first_seen_at: datetime
    last_arrival_at: datetime
    due_at: datetime | None
    is_forced: bool = False
    reason: str = ""
    trace: str = ""
    closed_at: datetime | None = None

    def is_quiet(self, *, now: datetime, quiet: timedelta) -> bool:
        """Say whether no source instance has come for at least ``quiet``."""
        return now - self.last_arrival_at >= quiet


@unique
class StudyEvent(StrEnum):
    """What happens to a study as a whole."""

    COMPLETED = "COMPLETED"
    REVISED = "REVISED"
    DECLARED_COMPLETE = "DECLARED_COMPLETE"
    """A person said that nothing more comes."""
    QUARANTINED = "QUARANTINED"
    RELEASED = "RELEASED"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyEntry:
    """Something that happened to a study, in which revision it is since then, and why."""

    at: datetime
    event: StudyEvent
    revision: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInstance:
    """An instance that an archive holds."""

    archive: str
    instance_class: InstanceClass
    header: Header
    arrived_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenInstance:
    """An instance as an archive's metadata show it now."""

    study_instance_uid: str
    patient: Patient
    age: str
    study_date: str
    study_description: str
    header: Header


@dataclass(frozen=True, slots=True)
class Touched:
    """A series of an archive in which something changed."""

    study_instance_uid: str
    series_instance_uid: str
    arrived_at: datetime
