"""Scenes: tissues and lesions in patient millimetres, and the truth that follows from them without any voxel."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum, unique

import numpy as np
from numpy.typing import NDArray

from udcphantom.solids import Array, Ellipsoid, Solid, Vector

AIR_HU = -1000.0


@unique
class Side(StrEnum):
    """The side of the patient, never of the screen."""

    LEFT = "LEFT"
    RIGHT = "RIGHT"


@dataclass(frozen=True, slots=True)
class Tissue:
    """A part of a scene with one value.

    Args:
        name: What it is, such as ``skull``.
        solid: Where it is.
        value: Its value: Hounsfield units in CT, signal in MR.
    """

    name: str
    solid: Solid
    value: float


@dataclass(frozen=True, slots=True)
class Lesion:
    """An ellipsoidal lesion of known size and place.

    Args:
        name: Label used in manifests and test messages.
        ellipsoid: Where it is, LPS, mm.
        value: Its value: Hounsfield units in CT, signal in MR.
    """

    name: str
    ellipsoid: Ellipsoid
    value: float

    @property
    def volume_ml(self) -> float:
        """Volume, ml."""
        return self.ellipsoid.volume_ml

    @property
    def centroid_mm(self) -> Vector:
        """Centroid in LPS, mm."""
        return self.ellipsoid.centre

    def inside(self, points_mm: Array) -> NDArray[np.bool_]:
        """Say which points (LPS, mm, shape ``(..., 3)``) lie in the lesion, shape ``(...)``."""
        return self.ellipsoid.inside(points_mm)


@dataclass(frozen=True, slots=True)
class Phantom:
    """A scene: tissues, each painted over those before it, then lesions over everything.

    Args:
        tissues: From the outermost to the innermost.
        lesions: Disjoint ellipsoids.
        midline_x: x of the plane between the patient's left (larger x) and right, mm.

    Raises:
        ValueError: Two lesions overlap, so that their volumes would not be the truth.
    """

    tissues: tuple[Tissue, ...]
    lesions: tuple[Lesion, ...] = ()
    midline_x: float = 0.0

    def __post_init__(self) -> None:
        for index, lesion in enumerate(self.lesions):
            points = lesion.ellipsoid.points_within(per_axis=24)
            for other in self.lesions[:index]:
                if other.inside(points).any():
                    raise ValueError(f"lesions {other.name!r} and {lesion.name!r} overlap")

    def painted(self) -> tuple[tuple[Solid, float], ...]:
        """List solids and values in painting order: a later one covers those before it."""
        tissues = ((tissue.solid, tissue.value) for tissue in self.tissues)
        lesions = ((lesion.ellipsoid, lesion.value) for lesion in self.lesions)
        return (*tissues, *lesions)

    def value_at(self, points_mm: Array, *, background: float = AIR_HU) -> Array:
        """Read the scene at points (LPS, mm, shape ``(..., 3)``); returns values of shape ``(...)``."""
        values = np.full(np.shape(points_mm)[:-1], background)
        for solid, value in self.painted():
            values[solid.inside(points_mm)] = value
        return values

    def inside(self, points_mm: Array) -> NDArray[np.bool_]:
        """Say which points (LPS, mm, shape ``(..., 3)``) lie in any lesion, shape ``(...)``."""
        inside = np.zeros(np.shape(points_mm)[:-1], dtype=np.bool_)
        for lesion in self.lesions:
            inside |= lesion.inside(points_mm)
        return inside

    def side_of(self, lesion: Lesion) -> Side:
        """Say on which side of the patient a lesion's centre lies."""
        return Side.LEFT if lesion.centroid_mm[0] > self.midline_x else Side.RIGHT

    def revalued(self, values: Mapping[str, float]) -> "Phantom":
        """Give tissues and lesions other values, by name; a name left out keeps its value."""
        return replace(
            self,
            tissues=tuple(replace(part, value=values.get(part.name, part.value)) for part in self.tissues),
            lesions=tuple(replace(part, value=values.get(part.name, part.value)) for part in self.lesions),
        )
