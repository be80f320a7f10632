"""Images that somebody rejected: they stay in the archive until it purges them, and are no input any more."""

from collections.abc import Iterable, Mapping

from study_router.domain.instances import REJECTION_TITLES, InstanceClass
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


def _number(series: int | None) -> str:
    return "?" if series is None else str(series)
