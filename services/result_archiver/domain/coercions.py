"""What an archive may change in an object without it being another object.

Everything else is a difference: an archive that edits a result is an archive nobody can prove anything with.
"""

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final


@unique
class Change(StrEnum):
    """How an element differs between what was sent and what came back."""

    ADDED = "ADDED"
    CHANGED = "CHANGED"
    REMOVED = "REMOVED"


@unique
class Scope(StrEnum):
    """Which elements a row is about."""

    TAG = "TAG"
    GROUP = "GROUP"
    GROUP_LENGTHS = "GROUP_LENGTHS"
    PRIVATE = "PRIVATE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coercion:
    """A difference that is allowed, and why.

    Attributes:
        scope: What the row is about.
        tag: The tag for ``TAG``, the group times 0x10000 for ``GROUP``, else 0.
        changes: How it may differ.
        reason: Why the object is still the same.
    """

    scope: Scope
    tag: int
    changes: frozenset[Change]
    reason: str


_ANY: Final = frozenset(Change)
_ADDED: Final = frozenset({Change.ADDED})

COERCIONS: Final = (
    Coercion(
        scope=Scope.GROUP,
        tag=0x00020000,
        changes=_ANY,
        reason="file meta information belongs to the file, and who writes the file writes it (PS3.10 7.1)",
    ),
    Coercion(
        scope=Scope.GROUP_LENGTHS, tag=0, changes=_ANY, reason="retired, and derived from the elements (PS3.5 7.2)"
    ),
    Coercion(
        scope=Scope.TAG, tag=0xFFFCFFFC, changes=_ANY, reason="Data Set Trailing Padding carries nothing (PS3.10 7.2)"
    ),
    Coercion(
        scope=Scope.TAG,
        tag=0x00080054,
        changes=_ADDED,
        reason="Retrieve AE Title says where the archive offers the object (PS3.4 C.4.1)",
    ),
    Coercion(
        scope=Scope.TAG,
        tag=0x00080056,
        changes=_ADDED,
        reason="Instance Availability is the archive's own statement (PS3.4 C.4.1)",
    ),
    Coercion(
        scope=Scope.TAG,
        tag=0x00081190,
        changes=_ADDED,
        reason="Retrieve URL says where the archive offers the object (PS3.18)",
    ),
    Coercion(
        scope=Scope.TAG,
        tag=0x01000410,
        changes=_ADDED,
        reason="SOP Instance Status is the archive's own statement (PS3.3 C.12.1)",
    ),
    Coercion(
        scope=Scope.PRIVATE, tag=0, changes=_ADDED, reason="archives leave notes of their own in private elements"
    ),
)
"""Every allowed difference. Patient and study attributes are not among them: a new identity is a new object."""


def is_allowed(tag: int, change: Change) -> bool:
    """Say whether an element that differs in this way is the archive's to change."""
    return any(change in row.changes and _is_about(row, tag) for row in COERCIONS)


def _is_about(row: Coercion, tag: int) -> bool:
    match row.scope:
        case Scope.TAG:
            return tag == row.tag
        case Scope.GROUP:
            return tag >> 16 == row.tag >> 16
        case Scope.GROUP_LENGTHS:
            return tag & 0xFFFF == 0
        case Scope.PRIVATE:
            return bool(tag >> 16 & 1)
