"""Where image planes lie in the patient: regular, tilted, two spacings, oblique, and broken in known ways."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum, unique
from typing import Final

import numpy as np

from udcphantom.heads import HEAD_CENTRE
from udcphantom.solids import Array, Vector, rotation


@unique
class PatientPosition(StrEnum):
    """Patient Position (0018,5100)."""

    HEAD_FIRST_SUPINE = "HFS"
    HEAD_FIRST_PRONE = "HFP"
    FEET_FIRST_SUPINE = "FFS"
    FEET_FIRST_PRONE = "FFP"


_ROW_AND_COLUMN: Final[dict[PatientPosition, tuple[Vector, Vector]]] = {
    PatientPosition.HEAD_FIRST_SUPINE: ((1, 0, 0), (0, 1, 0)),
    PatientPosition.HEAD_FIRST_PRONE: ((-1, 0, 0), (0, -1, 0)),
    PatientPosition.FEET_FIRST_SUPINE: ((-1, 0, 0), (0, 1, 0)),
    PatientPosition.FEET_FIRST_PRONE: ((1, 0, 0), (0, -1, 0)),
}
"""The gantry's picture of the patient: rows and columns stay with the room, so they turn in the patient."""


@dataclass(frozen=True, slots=True)
class Plane:
    """One image plane.

    Args:
        position: Centre of the first pixel in LPS, mm; Image Position (Patient) (0020,0032).
        row: Direction of growing column index, unit length; first half of Image Orientation (0020,0037).
        column: Direction of growing row index, unit length; its second half.
        spacing: Distance between rows, then between columns, mm; Pixel Spacing (0028,0030).
        rows: Number of rows.
        columns: Number of columns.
        thickness: Extent along the normal, mm; Slice Thickness (0018,0050).
    """

    position: Vector
    row: Vector
    column: Vector
    spacing: tuple[float, float]
    rows: int
    columns: int
    thickness: float

    @property
    def normal(self) -> Array:
        """Unit normal: row × column."""
        return np.cross(self.row, self.column)

    def at(self, row_index: Array, column_index: Array) -> Array:
        """Turn zero-based row and column indices (pixel centres) into LPS, mm, shape ``(..., 3)``."""
        along_row = np.asarray(column_index)[..., None] * self.spacing[1] * np.asarray(self.row)
        along_column = np.asarray(row_index)[..., None] * self.spacing[0] * np.asarray(self.column)
        return np.asarray(self.position + along_row + along_column)


@dataclass(frozen=True, slots=True)
class Geometry:
    """The planes of one series, in the order in which they were scanned."""

    planes: tuple[Plane, ...]
    patient_position: PatientPosition = PatientPosition.HEAD_FIRST_SUPINE
    tilt_deg: float = 0.0

    def reversed(self) -> "Geometry":
        """Scan the same planes from the other end."""
        return replace(self, planes=self.planes[::-1])

    def without(self, index: int) -> "Geometry":
        """Lose one plane, which leaves a gap."""
        return replace(self, planes=self.planes[:index] + self.planes[index + 1 :])

    def repeating(self, index: int) -> "Geometry":
        """Scan one plane twice."""
        return replace(self, planes=self.planes[: index + 1] + self.planes[index:])


@dataclass(frozen=True, slots=True)
class Steps:
    """Distances of planes from the first one along the table, and their thicknesses, mm."""

    offsets: tuple[float, ...]
    thicknesses: tuple[float, ...]


def evenly(count: int, *, spacing: float, thickness: float | None = None) -> Steps:
    """Place planes at one spacing, mm; they touch unless another thickness is given."""
    return Steps(
        tuple(index * spacing for index in range(count)),
        (spacing if thickness is None else thickness,) * count,
    )


def in_groups(*groups: tuple[int, float]) -> Steps:
    """Place touching planes in groups of different thickness, as a routine sequential head CT does.

    Args:
        groups: Number of planes and their thickness in mm, from the first plane on; ``(8, 2.5), (10, 7.5)`` scans
            the posterior fossa thinly and the rest thickly.

    Returns:
        The steps; between groups the centres are half of both thicknesses apart.
    """
    thicknesses = tuple(thickness for count, thickness in groups for _ in range(count))
    middles = np.cumsum(thicknesses) - np.asarray(thicknesses) / 2
    return Steps(tuple((middles - middles[0]).tolist()), thicknesses)


def scan(
    steps: Steps,
    *,
    rows: int = 64,
    columns: int = 64,
    pixel_mm: tuple[float, float] = (3.6, 3.6),
    tilt_deg: float = 0.0,
    turned_deg: Vector = (0.0, 0.0, 0.0),
    patient_position: PatientPosition = PatientPosition.HEAD_FIRST_SUPINE,
    centre: Vector = HEAD_CENTRE,
) -> Geometry:
    """Lay planes through the patient.

    Args:
        steps: Where along the table, relative to the middle of the scan, which lies at ``centre``.
        rows: Rows of each plane.
        columns: Columns of each plane.
        pixel_mm: Distance between rows, then between columns, mm.
        tilt_deg: Gantry tilt about the patient's x axis, degrees. Planes are inclined while the table still moves
            along z, so the positions do not follow the normal and the distance between planes shrinks by its cosine.
        turned_deg: Turns planes and direction of movement together (an oblique scan), degrees about x, y and z.
        patient_position: How the patient lies.
        centre: Point in LPS through which the axis of the scan passes, mm.

    Returns:
        The geometry, its first plane nearest to the feet for a patient lying head first.
    """
    turned = rotation(turned_deg)
    row, column = (np.asarray(axis, dtype=np.float64) for axis in _ROW_AND_COLUMN[patient_position])
    table = np.cross(row, column)
    row, column = turned @ row, turned @ rotation((tilt_deg, 0, 0)) @ column
    middle = (steps.offsets[0] + steps.offsets[-1]) / 2
    corner = row * pixel_mm[1] * (columns - 1) / 2 + column * pixel_mm[0] * (rows - 1) / 2
    positions = [np.asarray(centre) + turned @ table * (offset - middle) - corner for offset in steps.offsets]
    planes = tuple(
        Plane(_vector(position), _vector(row), _vector(column), pixel_mm, rows, columns, thickness)
        for position, thickness in zip(positions, steps.thicknesses, strict=True)
    )
    return Geometry(planes, patient_position, tilt_deg)


def upright(
    offsets: Sequence[float],
    *,
    rows: int = 64,
    columns: int = 64,
    pixel_mm: float = 3.6,
    thickness: float = 5.0,
) -> Geometry:
    """Lay coronal planes through the head, as localizers and reformatted images do.

    Args:
        offsets: Distances behind the centre of the head, mm.
        rows: Rows of each plane.
        columns: Columns of each plane.
        pixel_mm: Distance between rows and between columns, mm.
        thickness: Thickness of each plane, mm.

    Returns:
        The geometry; the first row is uppermost.
    """
    x, y, z = HEAD_CENTRE
    return Geometry(
        tuple(
            Plane(
                (x - pixel_mm * (columns - 1) / 2, y + offset, z + pixel_mm * (rows - 1) / 2),
                (1.0, 0.0, 0.0),
                (0.0, 0.0, -1.0),
                (pixel_mm, pixel_mm),
                rows,
                columns,
                thickness,
            )
            for offset in offsets
        )
    )


def _vector(values: Array) -> Vector:
    # What a header can carry: a decimal string holds 16 characters, so ten decimals are the exact truth written.
    x, y, z = (round(float(value), 10) + 0.0 for value in values)
    return (x, y, z)
