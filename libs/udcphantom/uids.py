"""Identifiers and random numbers that depend on a seed alone, so that a phantom is the same in every process."""

import hashlib
import uuid
from typing import Final

import numpy as np

NAMESPACE: Final = uuid.UUID("6b1f3f5e-6a0c-5f0e-9c39-2f6a4d2f8a11")
"""Name space of every UID made here; nothing else may use it."""

IMPLEMENTATION_CLASS_UID: Final = f"2.25.{uuid.uuid5(NAMESPACE, 'implementation').int}"
IMPLEMENTATION_VERSION: Final = "UDCPHANTOM 1"

Part = str | int


def derived_uid(*parts: Part) -> str:
    """Make a DICOM UID from what it names.

    Args:
        parts: The seed first, then the path to the thing, such as ``(7, "study", "series", 3)``.

    Returns:
        A UID under ``2.25`` (PS3.5 B.2), the same for the same parts.
    """
    return f"2.25.{uuid.uuid5(NAMESPACE, _joined(parts)).int}"


def generator(*parts: Part) -> np.random.Generator:
    """Make a random generator from what it is for.

    Args:
        parts: The seed first, then the path to the thing, as in :func:`derived_uid`.

    Returns:
        A generator whose sequence depends on the parts alone.
    """
    digest = hashlib.sha256(_joined(parts).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16])))


def _joined(parts: tuple[Part, ...]) -> str:
    return "|".join(str(part) for part in parts)
