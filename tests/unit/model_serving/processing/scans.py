"""Scans of one ellipsoid whose volume, centre and size follow from a formula, by scanners that stand in many ways."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_serving.domain.pixels import PixelDescription
from udcmodel.manifest import Manifest, parse
from udcmodel.stack import StackFrame

INSIDE_HU, OUTSIDE_HU = 70, -1000
EXAMPLES = Path(__file__).parents[4] / "examples" / "devices"

CT = PixelDescription(
    modality="CT",
    photometric="MONOCHROME2",
    bits_allocated=16,
    bits_stored=16,
    high_bit=15,
    is_signed=True,
    slope=1.0,
    intercept=0.0,
)
RADIOGRAPH = PixelDescription(
    modality="DX", photometric="MONOCHROME2", bits_allocated=16, bits_stored=16, high_bit=15, is_signed=False
)


def head_device() -> Manifest:
    return parse((EXAMPLES / "ct-brain-hyperdensity" / "manifest.yaml").read_bytes())


def chest_device() -> Manifest:
    return parse((EXAMPLES / "cxr-opacity" / "manifest.yaml").read_bytes())


@dataclass(frozen=True)
class Ellipsoid:
    """Along the axes of the patient, LPS, mm."""

    centre: tuple[float, float, float] = (7.3, -4.1, 3.7)
    semi_axes: tuple[float, float, float] = (32.0, 27.0, 36.0)

    @property
    def volume_ml(self) -> float:
        return 4 / 3 * math.pi * math.prod(self.semi_axes) / 1000

    def holds(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = (((points - self.centre) / self.semi_axes) ** 2).sum(axis=-1) <= 1.0
        return inside


def evenly(count: int, spacing: float) -> list[float]:
    return [(index - (count - 1) / 2) * spacing for index in range(count)]


def two_spacings() -> list[float]:
    """Fourteen slices of 2.5 mm, then twelve of 7.5: touching, as a sequential head CT makes them."""
    thicknesses = [2.5] * 14 + [7.5] * 12
    middles = np.cumsum(thicknesses) - np.array(thicknesses) / 2
    return [float(middle) - 55.0 for middle in middles]


def turn(about_x: float = 0, about_y: float = 0, about_z: float = 0) -> NDArray[np.float64]:
    x, y, z = map(math.radians, (about_x, about_y, about_z))
    turn_x = np.array([[1, 0, 0], [0, math.cos(x), -math.sin(x)], [0, math.sin(x), math.cos(x)]])
    turn_y = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    turn_z = np.array([[math.cos(z), -math.sin(z), 0], [math.sin(z), math.cos(z), 0], [0, 0, 1]])
    return np.asarray(turn_z @ turn_y @ turn_x)


def scan(
    offsets: Sequence[float],
    *,
    row: Sequence[float] = (1, 0, 0),
    column: Sequence[float] = (0, 1, 0),
    table: Sequence[float] = (0, 0, 1),
    pixel_mm: tuple[float, float] = (1.0, 1.0),
    matrix: tuple[int, int] = (110, 100),
    turned: NDArray[np.float64] | None = None,
) -> list[StackFrame]:
    """Lay planes whose middles lie ``offsets`` along ``table`` from the origin."""
    rotation = np.eye(3) if turned is None else turned
    along_row, along_column, along_table = (rotation @ np.asarray(axis, float) for axis in (row, column, table))
    corner = along_row * pixel_mm[1] * (matrix[1] - 1) / 2 + along_column * pixel_mm[0] * (matrix[0] - 1) / 2

    def vector(values: NDArray[np.float64]) -> tuple[float, float, float]:
        x, y, z = (float(value) for value in values)
        return x, y, z

    return [
        StackFrame(
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            sop_instance_uid=f"2.25.{1000 + index}",
            rows=matrix[0],
            columns=matrix[1],
            position=vector(along_table * offset - corner),
            row_direction=vector(along_row),
            column_direction=vector(along_column),
            pixel_spacing=pixel_mm,
        )
        for index, offset in enumerate(offsets)
    ]


def tilted(offsets: Sequence[float], degrees: float) -> list[StackFrame]:
    """A gantry tilted about x; the table still moves along z."""
    return scan(
        offsets, column=(0, math.cos(math.radians(degrees)), math.sin(math.radians(degrees))), matrix=(130, 100)
    )


def pixel_centres(frame: StackFrame) -> NDArray[np.float64]:
    """Centres of all pixels in LPS, by the equation of PS3.3 C.7.6.2.1.1; shape (rows, columns, 3)."""
    assert frame.position is not None
    assert frame.row_direction is not None
    assert frame.column_direction is not None
    assert frame.pixel_spacing is not None
    i, j = np.meshgrid(np.arange(frame.columns), np.arange(frame.rows))
    return np.stack(
        [
            frame.position[axis]
            + frame.row_direction[axis] * frame.pixel_spacing[1] * i
            + frame.column_direction[axis] * frame.pixel_spacing[0] * j
            for axis in range(3)
        ],
        axis=-1,
    )


def picture(frame: StackFrame, body: Ellipsoid) -> NDArray[np.int16]:
    return np.where(body.holds(pixel_centres(frame)), INSIDE_HU, OUTSIDE_HU).astype(np.int16)


SCANS: dict[str, Callable[[], list[StackFrame]]] = {
    "axial": lambda: scan(evenly(30, 4.0)),
    "isotropic": lambda: scan(evenly(100, 1.0)),
    "fine pixels": lambda: scan(evenly(30, 4.0), pixel_mm=(0.5, 0.5), matrix=(200, 180)),
    "scanned from head to feet": lambda: scan(evenly(30, -4.0)),
    "pixels that are not square": lambda: scan(evenly(30, 4.0), pixel_mm=(0.7, 1.1), matrix=(150, 90)),
    "tilted by 25 degrees": lambda: tilted(evenly(36, 4.0), 25),
    "tilted by -25 degrees": lambda: tilted(evenly(36, 4.0), -25),
    "two spacings": lambda: scan(two_spacings()),
    "two spacings, tilted by 20 degrees": lambda: tilted(two_spacings(), 20),
    "prone": lambda: scan(evenly(30, 4.0), row=(-1, 0, 0), column=(0, -1, 0)),
    "feet first": lambda: scan(evenly(30, 4.0), row=(-1, 0, 0), column=(0, 1, 0), table=(0, 0, -1)),
    "feet first, prone": lambda: scan(evenly(30, 4.0), row=(1, 0, 0), column=(0, -1, 0), table=(0, 0, -1)),
    "turned in the plane": lambda: scan(evenly(30, 4.0), turned=turn(about_z=15)),
    "oblique": lambda: scan(evenly(30, 4.0), turned=turn(20, 15, 10), matrix=(120, 120)),
    "coronal": lambda: scan(evenly(26, 4.0), column=(0, 0, -1), table=(0, 1, 0), matrix=(120, 100)),
    "sagittal": lambda: scan(evenly(26, 4.0), row=(0, 1, 0), column=(0, 0, -1), table=(1, 0, 0), matrix=(120, 100)),
}
