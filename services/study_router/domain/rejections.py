"""Images that somebody rejected: they stay in the archive until it purges them, and are no input any more."""

from collections.abc import Iterable, Mapping, Sequence, Set

from study_router.domain.instances import REJECTION_TITLES, RETENTION_EXPIRED, InstanceClass
from study_router.domain.studies import StoredInstance


def rejections(instances: Iterable[StoredInstance]) -> Mapping[str, str]:
    """Return the rejected instances by SOP Instance UID, each with why and by whom.

    A note holds for every copy of an image, in whatever archive note and copy lie. A note that is rejected itself does
    not hold.

    Args:
        instances: Everything known of the study.
    """
    notes = {
        item.header.sop_instance_uid: item.header
        for item in instances
        if item.instance_class is InstanceClass.REJECTION_NOTE
    }
    void = {uid for note in notes.values() for uid in note.rejects}
    return {
        uid: f"{REJECTION_TITLES[note.document_title]}, says the note in series {_number(note.series_number)}"
        for name, note in sorted(notes.items())
        if name not in void
        for uid in note.rejects
    }


def has_notes(instances: Iterable[StoredInstance]) -> bool:
    """Say whether a rejection note is among them."""
    return any(item.instance_class is InstanceClass.REJECTION_NOTE for item in instances)


def changes_input(
    known: Sequence[StoredInstance], *, changed: Iterable[StoredInstance], before: Iterable[StoredInstance]
) -> bool:
    """Say whether what changed in a series takes images out of the input, or gives them back.

    The end of their retention does not: such images are no input any more, and what was made of them stays right.

    Args:
        known: Everything known of the study now.
        changed: What of it came or is different.
        before: What was known of that series before.
    """
    news = {(item.archive, item.header.sop_instance_uid) for item in changed}
    old = [item for item in known if (item.archive, item.header.sop_instance_uid) not in news]
    other = _faulty(known) ^ _faulty([*old, *before])
    return any(item.instance_class is InstanceClass.SOURCE and item.header.sop_instance_uid in other for item in known)


def _faulty(instances: Iterable[StoredInstance]) -> Set[str]:
    return rejections(item for item in instances if item.header.document_title != RETENTION_EXPIRED).keys()


def _number(series: int | None) -> str:
    return "?" if series is None else str(series)
