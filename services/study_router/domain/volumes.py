"""Several scans of one place inside one series, told apart.

What counts is what the scans cover. The same positions covered twice are two volumes, in whatever attribute the scanner
says so; positions that follow each other are one volume, even where every slice or every block is an acquisition of its
own, as in a sequential scan of the head.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from study_router.domain.instances import Header

_SAME_PLACE_MM: Final = 0.05
"""How near to each other planes lie that count as one place."""
_EVEN_MM: Final = 0.1
"""How far distances between planes that follow each other evenly may differ."""

_KEYS: Final[tuple[Callable[[Header], Any], ...]] = (
    lambda header: header.temporal_position,
    lambda header: header.acquisition_uid,
    lambda header: header.acquisition_number,
    lambda header: header.acquisition_time,
    lambda header: header.contrast_agent,
)
"""What may tell the scans of a series apart; of those that do it equally well the first is believed."""


@dataclass(slots=True)
class _Scan:
    """Images with the levels of their planes along the common normal, in mm."""

    headers: list[Header] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    places: set[int] = field(default_factory=set)

    def add(self, other: "_Scan") -> None:
        self.headers += other.headers
        self.levels += other.levels
        self.places |= other.places

    def repeats(self, other: "_Scan") -> bool:
        """Say whether both have a plane at one place."""
        return any(place + step in self.places for place in other.places for step in (-1, 0, 1))

    def surplus(self) -> int:
        """Return how many images lie where another one does already."""
        return len(self.levels) - len(_distinct(self.levels))

    def covers(self, other: "_Scan") -> bool:
        """Say whether at least a quarter of the shorter lies within the longer; neighbouring blocks share less."""
        top, bottom = min(max(self.levels), max(other.levels)), max(min(self.levels), min(other.levels))
        shorter = min(max(scan.levels) - min(scan.levels) for scan in (self, other))
        return top - bottom >= max(shorter / 4, -_SAME_PLACE_MM)

    def lies_between(self, other: "_Scan") -> bool:
        """Say whether both cover one place with planes at other levels, and do not make up one even volume."""
        if min(len(self.levels), len(other.levels)) == 1 or not self.covers(other):
            return False
        gaps = [upper - lower for lower, upper in pairwise(_distinct([*self.levels, *other.levels]))]
        return max(gaps) - min(gaps) > _EVEN_MM


def volumes_of(headers: Sequence[Header]) -> list[list[Header]]:
    """Return the volumes of parallel images of one kind; all in one where nothing tells them apart.

    Where no attribute tells all repeated positions apart, the one that leaves the fewest is believed; what it leaves is
    for the geometry to judge.
    """
    whole = _scan(headers)
    if whole is None:
        return [list(headers)]
    best, fewest = [whole], whole.surplus()
    for read in _KEYS:
        volumes = _volumes(whole, read)
        left = sum(volume.surplus() for volume in volumes)
        if left < fewest or (left == fewest and len(volumes) > 1 == len(best)):
            best, fewest = volumes, left
    return [volume.headers for volume in best]


def _scan(headers: Sequence[Header]) -> _Scan | None:
    """Return images with their levels; None where one is not placed."""
    row, column = headers[0].row_direction, headers[0].column_direction
    if row is None or column is None:
        return None
    normal = (
        row[1] * column[2] - row[2] * column[1],
        row[2] * column[0] - row[0] * column[2],
        row[0] * column[1] - row[1] * column[0],
    )
    scan = _Scan()
    for header in headers:
        if header.position is None:
            return None
        level = sum(a * b for a, b in zip(header.position, normal, strict=True))
        scan.add(_one(header, level))
    return scan


def _one(header: Header, level: float) -> _Scan:
    return _Scan([header], [level], {round(level / _SAME_PLACE_MM)})


def _volumes(whole: _Scan, read: Callable[[Header], Any]) -> list[_Scan]:
    """Join the acquisitions that ``read`` names, in the order in which they were made."""
    acquisitions: dict[Any, _Scan] = {}
    for header, level in zip(whole.headers, whole.levels, strict=True):
        acquisitions.setdefault(read(header), _Scan()).add(_one(header, level))
    ordered = [acquisitions[value] for value in sorted(acquisitions, key=_absent_first)]
    passes = _joined(ordered, is_other=lambda last, new: last.repeats(new) or last.lies_between(new))
    return _joined(passes, is_other=_Scan.covers)


def _absent_first(value: Any) -> tuple[bool, Any]:
    is_known = value not in {None, ""}
    return (is_known, value if is_known else 0)


def _joined(scans: Iterable[_Scan], *, is_other: Callable[[_Scan, _Scan], bool]) -> list[_Scan]:
    """Join each scan to the one before it unless it is another one: a volume is scanned before the next is begun."""
    joined: list[_Scan] = []
    for scan in scans:
        if joined and not is_other(joined[-1], scan):
            joined[-1].add(scan)
        else:
            copy = _Scan()
            copy.add(scan)
            joined.append(copy)
    return joined


def _distinct(levels: Iterable[float]) -> list[float]:
    found: list[float] = []
    for level in sorted(levels):
        if not found or level - found[-1] > _SAME_PLACE_MM:
            found.append(level)
    return found
