"""Compares what the archive holds with what was sent."""

import io

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from result_archiver.domain.coercions import Change, is_allowed

_MOST_NAMED = 5


def difference(sent: bytes, held: bytes) -> str | None:
    """Say how an object in the archive differs from the one sent, or None if it is the same.

    Equal bytes are the same object. Otherwise elements are compared one by one, so that another transfer syntax without
    compression is the same object too; differences of ``domain.coercions`` do not count.

    Args:
        sent: The file as it was sent.
        held: The file as the archive returns it.

    Returns:
        A sentence that names tags and never values.
    """
    if sent == held:
        return None
    try:
        ours, theirs = pydicom.dcmread(io.BytesIO(sent)), pydicom.dcmread(io.BytesIO(held))
    except (InvalidDicomError, EOFError, ValueError):
        return "the archive returned something that is no DICOM file"
    if theirs.file_meta.TransferSyntaxUID.is_compressed != ours.file_meta.TransferSyntaxUID.is_compressed:
        return "the archive compressed the object"
    tags = _differing(ours, theirs)
    if not tags:
        return None
    more = f" and {len(tags) - _MOST_NAMED} more" if len(tags) > _MOST_NAMED else ""
    return f"the archive holds another {', '.join(tags[:_MOST_NAMED])}{more}"


def _differing(ours: Dataset, theirs: Dataset) -> list[str]:
    differing = []
    for tag in sorted(set(ours.keys()) | set(theirs.keys())):
        if tag not in theirs:
            change = Change.REMOVED
        elif tag not in ours:
            change = Change.ADDED
        elif ours[tag] != theirs[tag]:
            change = Change.CHANGED
        else:
            continue
        if not is_allowed(int(tag), change):
            differing.append(str(tag))
    return differing
