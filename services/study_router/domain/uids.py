"""DICOM unique identifiers."""

import re
from typing import Final

_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
LONGEST_UID: Final = 64


def is_uid(text: str) -> bool:
    """Say whether ``text`` is a UID (PS3.5 9.1), leading zeros forgiven; nothing else may become part of an address."""
    return len(text) <= LONGEST_UID and _UID.fullmatch(text) is not None
