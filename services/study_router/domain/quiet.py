"""How long the senders of images usually pause, and so how long silence must last before it means anything.

A scanner that reconstructs for half a minute in the middle of a stack is not finished after 15 seconds of silence. What
counts is the longest pause of each study, not every gap: a thousand slices without a pause say nothing about the one
pause that follows them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, Literal

from study_router.domain.readiness import Quiet
from study_router.domain.sender_profiles import RegisteredProfile
from study_router.domain.stacks import Stack

MIN_STUDIES: Final = 50
"""From fewer studies nothing is learnt about a sender, and the setting rules."""
KEPT_STUDIES: Final = 200
"""Older studies than so many are forgotten: a sender may be repaired."""
_SHARE: Final = 0.99
_MARGIN: Final = 1.25
"""Pauses vary, and they are seen only as finely as series are read: silence has to last a little longer."""


@dataclass(frozen=True, slots=True, order=True)
class Sender:
    """A station (0008,1010; empty where it is not sent) whose images reach an archive."""

    archive: str
    station: str

    def __str__(self) -> str:
        return f"{self.station or 'an unnamed station'} in archive {self.archive}"


@dataclass(frozen=True, slots=True)
class Pauses:
    """The longest pause inside a stack, and between stacks, of one study or more.

    None where there was nothing to pause between.
    """

    stack: timedelta | None
    study: timedelta | None


def pauses_of(stacks: Iterable[Stack], *, longest: Quiet) -> Mapping[Sender, Pauses]:
    """Return how long each sender of a study paused.

    Args:
        stacks: The stacks of the study.
        longest: What lasted longer was no pause: images that are sent again next day say nothing about today.
    """
    by_sender: dict[Sender, list[Stack]] = {}
    for stack in stacks:
        by_sender.setdefault(sender_of(stack), []).append(stack)
    return {
        sender: Pauses(
            stack=_longest_up_to(longest.stack, [gap for stack in own for gap in _gaps_inside(stack.arrivals)]),
            study=_longest_up_to(longest.study, _gaps_between([stack.arrivals for stack in own])),
        )
        for sender, own in by_sender.items()
    }


def sender_of(stack: Stack) -> Sender:
    """Return who sent a stack."""
    return Sender(stack.archive, stack.first.station)


def _gaps_inside(arrivals: Sequence[datetime]) -> list[timedelta]:
    return [later - earlier for earlier, later in pairwise(arrivals)]


def _gaps_between(stacks: Sequence[Sequence[datetime]]) -> list[timedelta]:
    """Return the silence before each stack; stacks that come at the same time have none between them."""
    gaps: list[timedelta] = []
    quiet_since: datetime | None = None
    for arrivals in sorted(stacks, key=lambda arrivals: (arrivals[0], arrivals[-1])):
        if quiet_since is not None:
            gaps.append(max(arrivals[0] - quiet_since, timedelta(0)))
        quiet_since = arrivals[-1] if quiet_since is None else max(quiet_since, arrivals[-1])
    return gaps


def _longest_up_to(limit: timedelta, gaps: Sequence[timedelta]) -> timedelta | None:
    return max((gap for gap in gaps if gap <= limit), default=None)


def usual(pauses: Sequence[timedelta]) -> timedelta:
    """Return the pause that 99 of 100 do not exceed: the nearest rank, and so one that was seen.

    Args:
        pauses: At least one.
    """
    ordered = sorted(pauses)
    # Of whole numbers, because 0.99 * 100 is not 99 for every compiler.
    rank = -(-len(ordered) * round(_SHARE * 100) // 100)
    return ordered[rank - 1]


def learnt_quiet(known: Mapping[Sender, Sequence[Pauses]], *, setting: Quiet, longest: Quiet) -> Quiet:
    """Return how long a study must be silent, by what is known of its senders; the slowest of them decides.

    Args:
        known: The pauses of the latest studies of each sender of the study.
        setting: Never less than this, and this while too little is known.
        longest: Never more than this, unless the setting is more.
    """
    stack, stack_why = setting.stack, setting.stack_why
    study, study_why = setting.study, setting.study_why
    for sender in sorted(known):
        inside = [item.stack for item in known[sender] if item.stack is not None]
        between = [item.study for item in known[sender] if item.study is not None]
        wait = _learnt(inside, at_most=longest.stack)
        if wait is not None and wait > stack:
            stack, stack_why = wait, _why(wait, inside, sender)
        wait = _learnt(between, at_most=longest.study)
        if wait is not None and wait > study:
            study, study_why = wait, _why(wait, between, sender)
    return Quiet(stack=stack, study=study, stack_why=stack_why, study_why=study_why)


def declared_quiet(profiles: Sequence[RegisteredProfile | None], *, setting: Quiet) -> Quiet:
    """Return how long a study must be silent as its senders' profiles say; the slowest sender decides.

    Args:
        profiles: That of every sender of the study, None for a sender without one.
        setting: For senders without a profile, and for what a profile leaves out.
    """
    if not profiles:
        return setting
    stack, stack_why = max(_declared(profile, "input_s", setting.stack) for profile in profiles)
    study, study_why = max(_declared(profile, "study_s", setting.study) for profile in profiles)
    return Quiet(stack=stack, study=study, stack_why=stack_why, study_why=study_why)


def _declared(
    profile: RegisteredProfile | None, name: Literal["input_s", "study_s"], setting: timedelta
) -> tuple[timedelta, str]:
    told: float | None = None if profile is None else getattr(profile.content.quiet, name)
    if told is None:
        return setting, ""
    return timedelta(seconds=told), f"{told:g} s as sender profile {profile} says"


def _learnt(pauses: Sequence[timedelta], *, at_most: timedelta) -> timedelta | None:
    return min(usual(pauses) * _MARGIN, at_most) if len(pauses) >= MIN_STUDIES else None


def _why(wait: timedelta, pauses: Sequence[timedelta], sender: Sender) -> str:
    return f"{wait.total_seconds():g} s as learnt from {len(pauses)} studies of {sender}"
