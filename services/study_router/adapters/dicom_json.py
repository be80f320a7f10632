"""Values out of DICOM JSON (PS3.18 annex F). What is malformed is absent, never an error."""

import math
from collections.abc import Mapping
from typing import Any, Final

from udcmodel.stack import Vector

Json = Mapping[str, Any]

_WHOLE_NUMBERS: Final = range(-(2**31), 2**31)
"""Of value representation IS (PS3.5 6.2); databases take no more either."""


def text(dataset: Json, tag: str) -> str:
    """Return the first value of an attribute as text, stripped; empty when there is none."""
    found = values(dataset, tag)
    return _stripped(found[0]) if found and found[0] is not None else ""


def texts(dataset: Json, tag: str) -> tuple[str, ...]:
    """Return all values of an attribute as text, stripped."""
    return tuple(_stripped(value) for value in values(dataset, tag))


def integer(dataset: Json, tag: str) -> int | None:
    """Return the first value of an attribute as a whole number; None when it is none."""
    found = number(dataset, tag)
    return int(found) if found is not None and int(found) in _WHOLE_NUMBERS else None


def number(dataset: Json, tag: str) -> float | None:
    """Return the first value of an attribute as a finite number; None when it is none."""
    found = values(dataset, tag)
    return _float(found[0]) if found else None


def vector(dataset: Json, tag: str) -> Vector | None:
    """Return three numbers; None for anything else."""
    found = _numbers(dataset, tag, 3)
    return (found[0], found[1], found[2]) if found else None


def pair(dataset: Json, tag: str) -> tuple[float, float] | None:
    """Return two numbers; None for anything else."""
    found = _numbers(dataset, tag, 2)
    return (found[0], found[1]) if found else None


def directions(dataset: Json, tag: str) -> tuple[Vector | None, Vector | None]:
    """Return the two directions of an image plane; None twice for anything but six numbers."""
    found = _numbers(dataset, tag, 6)
    return ((found[0], found[1], found[2]), (found[3], found[4], found[5])) if found else (None, None)


def items(dataset: Json, tag: str) -> list[Json]:
    """Return the items of a sequence."""
    return [item for item in values(dataset, tag) if isinstance(item, Mapping)]


def first_item(dataset: Json, tag: str) -> Json:
    """Return the first item of a sequence; empty when there is none."""
    return next(iter(items(dataset, tag)), {})


def values(dataset: Json, tag: str) -> list[Any]:
    """Return the values of an attribute as they came; empty when there are none."""
    element = dataset.get(tag)
    if not isinstance(element, Mapping):
        return []
    found = element.get("Value")
    return found if isinstance(found, list) else []


def _stripped(value: object) -> str:
    # Neither NUL, with which some pad, nor half a surrogate pair is a character; PostgreSQL stores neither.
    return str(value).replace("\0", " ").encode("utf-8", "replace").decode("utf-8").strip()


def _numbers(dataset: Json, tag: str, count: int) -> list[float] | None:
    found = [_float(value) for value in values(dataset, tag)]
    known = [value for value in found if value is not None]
    return known if len(found) == count == len(known) else None


def _float(value: object) -> float | None:
    if not isinstance(value, str | int | float):
        return None
    try:
        converted = float(value)
    except (ValueError, OverflowError):
        return None
    return converted if math.isfinite(converted) else None
