"""Solids in patient millimetres: which points they hold, and where a straight line enters and leaves them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Vector = tuple[float, float, float]


class Solid(Protocol):
    """A convex body: every line meets it in at most one piece."""

    def inside(self, points: Array) -> NDArray[np.bool_]:
        """Say which points lie in the solid.

        Args:
            points: Patient coordinates (LPS), shape ``(..., 3)``, mm.

        Returns:
            Booleans, shape ``(...)``.
        """
        ...

    def chords(self, origins: Array, direction: Array) -> tuple[Array, Array]:
        """Cut lines with the solid.

        Args:
            origins: A point of each line, shape ``(n, 3)``, mm.
            direction: The direction of all lines, unit length, shape ``(3,)``.

        Returns:
            Signed distances from the origin, mm, at which each line enters and leaves, each of shape ``(n,)``.
            A line that misses the solid has both 0.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """An ellipsoid, turned about its centre.

    Args:
        centre: Centre in LPS, mm.
        semi_axes: Half lengths along its own axes, mm.
        turned_deg: Rotations about the patient's x, y and z axis, applied in this order, degrees.
    """

    centre: Vector
    semi_axes: Vector
    turned_deg: Vector = (0.0, 0.0, 0.0)

    @property
    def volume_ml(self) -> float:
        """Volume, ml."""
        return float(4.0 / 3.0 * np.pi * np.prod(self.semi_axes) / 1000.0)

    def inside(self, points: Array) -> NDArray[np.bool_]:
        """Say which points lie in the ellipsoid; see :class:`Solid`."""
        unit = (np.asarray(points, dtype=np.float64) - self.centre) @ self._to_unit_sphere().T
        inside: NDArray[np.bool_] = np.einsum("...i,...i->...", unit, unit) <= 1.0
        return inside

    def chords(self, origins: Array, direction: Array) -> tuple[Array, Array]:
        """Cut lines with the ellipsoid; see :class:`Solid`."""
        to_unit = self._to_unit_sphere()
        start = (origins - self.centre) @ to_unit.T
        step = to_unit @ direction
        squared = float(step @ step)
        middle = -(start @ step) / squared
        discriminant = middle**2 - (np.einsum("ni,ni->n", start, start) - 1.0) / squared
        half = np.sqrt(np.maximum(discriminant, 0.0))
        hit = discriminant > 0.0
        return np.where(hit, middle - half, 0.0), np.where(hit, middle + half, 0.0)

    def points_within(self, *, per_axis: int) -> Array:
        """Spread a regular lattice of points over the ellipsoid, shape ``(n, 3)``, mm."""
        ticks = (np.arange(per_axis) + 0.5) / per_axis * 2.0 - 1.0
        lattice = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 3)
        ball = lattice[np.einsum("ni,ni->n", lattice, lattice) <= 1.0]
        return np.asarray((ball * self.semi_axes) @ rotation(self.turned_deg).T + self.centre)

    def _to_unit_sphere(self) -> Array:
        return np.asarray(rotation(self.turned_deg).T / np.asarray(self.semi_axes)[:, None])


@dataclass(frozen=True, slots=True)
class Box:
    """A box along the patient's axes.

    Args:
        centre: Centre in LPS, mm.
        half_sizes: Half lengths along x, y and z, mm.
    """

    centre: Vector
    half_sizes: Vector

    def inside(self, points: Array) -> NDArray[np.bool_]:
        """Say which points lie in the box; see :class:`Solid`."""
        inside: NDArray[np.bool_] = np.all(np.abs(points - np.asarray(self.centre)) <= self.half_sizes, axis=-1)
        return inside

    def chords(self, origins: Array, direction: Array) -> tuple[Array, Array]:
        """Cut lines with the box; see :class:`Solid`."""
        # A line parallel to a side never meets its planes: a tiny slope puts the crossing far away instead.
        slope = np.where(np.abs(direction) < 1e-12, 1e-12, direction)
        low = (np.asarray(self.centre) - self.half_sizes - origins) / slope
        high = (np.asarray(self.centre) + self.half_sizes - origins) / slope
        return _emptied(np.minimum(low, high).max(axis=1), np.maximum(low, high).min(axis=1))


@dataclass(frozen=True, slots=True)
class Common:
    """What two solids have in common."""

    first: Solid
    second: Solid

    def inside(self, points: Array) -> NDArray[np.bool_]:
        """Say which points lie in both; see :class:`Solid`."""
        return self.first.inside(points) & self.second.inside(points)

    def chords(self, origins: Array, direction: Array) -> tuple[Array, Array]:
        """Cut lines with both; see :class:`Solid`."""
        first, second = self.first.chords(origins, direction), self.second.chords(origins, direction)
        return _emptied(np.maximum(first[0], second[0]), np.minimum(first[1], second[1]))


def rotation(turned_deg: Vector) -> Array:
    """Make the matrix that turns about x, then y, then z, shape ``(3, 3)``."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.deg2rad(turned_deg)), np.sin(np.deg2rad(turned_deg))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x, dtype=np.float64)


def _emptied(enter: Array, leave: Array) -> tuple[Array, Array]:
    hit = leave > enter
    return np.where(hit, enter, 0.0), np.where(hit, leave, 0.0)
