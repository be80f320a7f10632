"""Distances between planes: which are the same, which stand out, and how far positions leave a straight line."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_SAME_SPACING_MM: Final = 0.101
"""Positions are often written with one decimal, so equal distances come out a tenth apart."""
_SAME_SPACING_RATIO: Final = 0.05
_GAP_RATIO: Final = 1.5
_LONGEST_GAP_RUN: Final = 2
"""Three equal distances in a row are a block of its own spacing, not frames that got lost."""


def missing(gaps_mm: NDArray[np.float64]) -> tuple[int, ...]:
    """Find where planes are missing: distances at least 1.5 times those beside them, on both sides.

    Blocks of different spacing are no gap, nor is the single distance between a block of thin and a block of thick
    slices: it is in between, and stands out from one side only.

    Args:
        gaps_mm: Distances between neighbouring planes, mm, in order.

    Returns:
        Indices into ``gaps_mm``, rising.
    """
    runs: list[list[int]] = []
    for index, gap in enumerate(gaps_mm):
        if runs and _is_same(gap, gaps_mm[runs[-1][0]]):
            runs[-1].append(index)
        else:
            runs.append([index])
    spacings = [float(np.median(gaps_mm[run])) for run in runs]
    found: list[int] = []
    for number, run in enumerate(runs):
        beside = spacings[max(number - 1, 0) : number] + spacings[number + 1 : number + 2]
        if beside and len(run) <= _LONGEST_GAP_RUN and spacings[number] >= _GAP_RATIO * max(beside):
            found.extend(run)
    return tuple(found)


def different(gaps_mm: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the different distances among ``gaps_mm``, mm, rising; what rounding explains counts as one."""
    kinds: list[list[float]] = []
    for gap in sorted(gaps_mm.tolist()):
        if kinds and _is_same(gap, kinds[-1][0]):
            kinds[-1].append(gap)
        else:
            kinds.append([gap])
    return tuple(float(np.median(kind)) for kind in kinds)


def tilt_and_drift(positions: NDArray[np.float64], *, normal: NDArray[np.float64]) -> tuple[float, float]:
    """Fit a straight line through positions.

    Args:
        positions: Positions of parallel planes in LPS, mm, shape ``(planes, 3)``, no two at one level.
        normal: Unit normal of the planes, shape ``(3,)``.

    Returns:
        The angle between the normal and the line, degrees, 0 to 90; the largest distance of a position from the line,
        measured in its plane, mm.
    """
    if len(positions) < 2:
        return 0.0, 0.0
    levels = positions @ normal
    in_plane = positions - np.outer(levels, normal)
    along, across = levels - levels.mean(), in_plane - in_plane.mean(axis=0)
    slope = along @ across / (along @ along)
    drift = np.linalg.norm(across - np.outer(along, slope), axis=1).max()
    return float(np.degrees(np.arctan(np.linalg.norm(slope)))), float(drift)


def _is_same(one: float, other: float) -> bool:
    return abs(one - other) <= max(_SAME_SPACING_MM, _SAME_SPACING_RATIO * other)
