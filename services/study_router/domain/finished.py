"""What senders say about the end of their work. Said by them, or by what is declared about them; never by a count.

That our index equals the archive says that we have caught up. It says nothing about what is still to come, and so it is
not among the evidence here.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique
from typing import Final

from study_router.domain.facts import known_facts
from study_router.domain.instances import InstanceClass
from study_router.domain.sender_profiles import RegisteredProfile, View
from study_router.domain.stacks import Stack
from study_router.domain.studies import StoredInstance


@unique
class Kind(StrEnum):
    """By which service of DICOM something was said."""

    MPPS = "MPPS"
    """Modality Performed Procedure Step (PS3.4 annex F)."""
    IAN = "IAN"
    """Instance Availability Notification (PS3.4 annex R)."""


@unique
class Status(StrEnum):
    """What was said; the first three are those of (0040,0252)."""

    IN_PROGRESS = "IN PROGRESS"
    DISCONTINUED = "DISCONTINUED"
    """The work was broken off: a fact, and no sign that the study is finished."""
    COMPLETED = "COMPLETED"
    """Everything that belongs to the step is named."""
    AVAILABLE = "AVAILABLE"
    """These images can be had; whether they are all of a step is not said."""


FINAL: Final = frozenset({Status.DISCONTINUED, Status.COMPLETED, Status.AVAILABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What was said about the images of studies.

    Attributes:
        statement: SOP Instance UID of the procedure step or notification.
        study_instance_uids: Studies it is about (0020,000D).
        kind: By which service.
        status: What was said last.
        sender: Application entity title of who said it.
        series: Images that it names, by series; of a step that concerns several studies none, because it does not say
            which image belongs to which.
        began_at: When it was heard first.
        changed_at: When it was heard last.
    """

    statement: str
    study_instance_uids: tuple[str, ...]
    kind: Kind
    status: Status
    sender: str
    series: Mapping[str, tuple[str, ...]]
    began_at: datetime
    changed_at: datetime

    @property
    def label(self) -> str:
        """What it is called where people read it."""
        return f"{self.kind.value} {self.status.value}" if self.kind is Kind.MPPS else self.kind.value

    @property
    def images(self) -> frozenset[str]:
        """SOP Instance UIDs that it names."""
        return frozenset(uid for uids in self.series.values() for uid in uids)


@dataclass(frozen=True, slots=True)
class Finished:
    """What is known about an end beside silence.

    Attributes:
        evidence: Why nothing more is expected; empty where nobody said so.
        against: Why more is expected: silence has to last longer.
        remarks: What else was heard; it decides nothing.
    """

    evidence: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def is_certain(self) -> bool:
        """Whether it is finished without any silence."""
        return bool(self.evidence) and not self.against

    @property
    def lines(self) -> tuple[str, ...]:
        """Everything, for people."""
        return (*self.evidence, *self.against, *self.remarks)


def study_finished(
    instances: Sequence[StoredInstance],
    stacks: Sequence[Stack],
    *,
    statements: Sequence[Statement],
    profiles: Sequence[RegisteredProfile | None],
) -> Finished:
    """Say what is known about the end of a study.

    Args:
        instances: Everything known of it, in all archives.
        stacks: Its stacks, as sender profiles read them.
        statements: What was said about it.
        profiles: The profile of each of its senders; None for a sender without one.
    """
    said, views = _said(instances, statements), _views(stacks, profiles)
    return Finished(
        evidence=(*said.evidence, *views.evidence),
        against=said.against,
        remarks=(*said.remarks, *views.remarks),
    )


def _said(instances: Sequence[StoredInstance], statements: Sequence[Statement]) -> Finished:
    here = {item.header.sop_instance_uid for item in instances}
    sources = {
        item.header.sop_instance_uid: item.header.series_instance_uid
        for item in instances
        if item.instance_class is InstanceClass.SOURCE
    }
    evidence: list[str] = []
    against: list[str] = []
    remarks: list[str] = []
    named: set[str] = set()
    broken_off: set[str] = set()
    for statement in _in_order(statements):
        named |= statement.images
        match statement.status:
            case Status.IN_PROGRESS:
                against.append(statement.label)
            case Status.DISCONTINUED:
                # It need not name every image that was made until then.
                broken_off |= statement.series.keys()
                remarks.append(statement.label)
            case Status.COMPLETED | Status.AVAILABLE if not statement.images:
                remarks.append(f"{statement.label} names no images of this study alone")
            case Status.COMPLETED:
                is_whole, text = _compared(statement.label, statement.images, here)
                (evidence if is_whole else against).append(text)
            case Status.AVAILABLE:
                remarks.append(_compared(statement.label, statement.images, here)[1])
    unnamed = sum(uid not in named and series not in broken_off for uid, series in sources.items())
    if evidence and unnamed:
        # Another sender is at work who says nothing, or this one sends more than it said.
        return Finished((), tuple(against), (*evidence, *remarks, f"nobody names {unnamed} of {len(sources)} images"))
    return Finished(tuple(evidence), tuple(against), tuple(remarks))


def _in_order(statements: Iterable[Statement]) -> list[Statement]:
    return sorted(statements, key=lambda item: (item.began_at, item.statement))


def _compared(label: str, named: Collection[str], here: Collection[str]) -> tuple[bool, str]:
    found = sum(uid in here for uid in named)
    images = "1 image" if len(named) == 1 else f"{len(named)} images"
    if found == len(named):
        return True, f"{label} names {images}, all are here"
    return False, f"{label} names {images}, {found} {'is' if found == 1 else 'are'} here"


def _views(stacks: Sequence[Stack], profiles: Sequence[RegisteredProfile | None]) -> Finished:
    evidence: list[str] = []
    remarks: list[str] = []
    for profile in profiles:
        if profile is None or not profile.content.views:
            continue
        own = [stack for stack in stacks if stack.first.profile == str(profile) and stack.exclusion is None]
        wanted = profile.content.views
        absent = [str(view) for view in wanted if not any(_shows(stack, view) for stack in own)]
        if absent:
            remarks.append(f"of the views of sender profile {profile} {', '.join(absent)} is not here")
        else:
            evidence.append(f"all {len(wanted)} views of sender profile {profile} are here")
    if len(evidence) < len(profiles):
        # A sender whose views are not declared may send more.
        return Finished(remarks=(*evidence, *remarks))
    return Finished(tuple(evidence), (), tuple(remarks))


def _shows(stack: Stack, view: View) -> bool:
    known = {name: told.value for name, told in known_facts(stack.first).items()}
    return (
        known.get("view") == view.view
        and view.laterality in {None, known.get("laterality")}
        and view.presentation_intent in {None, known.get("presentation_intent")}
    )


def stack_finished(stack: Stack, instances: Sequence[StoredInstance], statements: Sequence[Statement]) -> Finished:
    """Say what is known about the end of a stack: whether the series is whole of which it is a part.

    Args:
        stack: The stack.
        instances: Everything known of its study.
        statements: What was said about its study.
    """
    here = {
        item.header.sop_instance_uid
        for item in instances
        if (item.archive, item.header.series_instance_uid) == (stack.archive, stack.series_instance_uid)
    }
    evidence: list[str] = []
    against: list[str] = []
    all_named: set[str] = set()
    for statement in _in_order(statements):
        named = frozenset(statement.series.get(stack.series_instance_uid, ()))
        all_named |= named
        if named and statement.status in {Status.COMPLETED, Status.AVAILABLE}:
            is_whole, text = _compared(statement.label, named, here)
            (evidence if is_whole else against).append(f"{text} in the series")
    if evidence and here - all_named:
        # More was sent than was said, and more may come.
        evidence.clear()
    if not evidence and not against and _is_whole_acquisition(stack):
        evidence.append(f"Images in Acquisition says {stack.first.images_in_acquisition}, all are here")
    return Finished(tuple(evidence), tuple(against))


def _is_whole_acquisition(stack: Stack) -> bool:
    """Say whether Images in Acquisition (0020,1002) is given for a stack of one acquisition and reached exactly.

    Sequential scanners number every slice as an acquisition of one image, which says nothing about the stack.
    """
    expected = {header.images_in_acquisition for header in stack.headers}
    acquisitions = {header.acquisition_number for header in stack.headers}
    images = {header.sop_instance_uid for header in stack.headers}
    return len(expected) == 1 == len(acquisitions) and len(images) > 1 and expected == {len(images)}
