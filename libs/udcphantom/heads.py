"""A head with lesions of known volume, lying on a table."""

from collections.abc import Sequence
from typing import Final

from udcphantom.scene import Lesion, Phantom, Tissue
from udcphantom.solids import Box, Common, Ellipsoid, Vector

HEAD_CENTRE: Final[Vector] = (4.0, -13.0, 37.0)
"""Deliberately not the origin of the patient's coordinates, so that a mix-up of the two shows."""

BLEED_HU: Final = 72.0
BRAIN_HU: Final = 35.0


def lesion(name: str, *, at: Vector, semi_axes: Vector, turned_deg: Vector = (0, 0, 0), hu: float = BLEED_HU) -> Lesion:
    """Describe a lesion.

    Args:
        name: Label.
        at: Centre relative to the centre of the head, mm; +x is the patient's left.
        semi_axes: Half lengths, mm.
        turned_deg: Rotations about x, y and z, degrees.
        hu: Hounsfield units, 65 to 80 for fresh blood.

    Returns:
        The lesion in patient coordinates.
    """
    x, y, z = (origin + offset for origin, offset in zip(HEAD_CENTRE, at, strict=True))
    return Lesion(name, Ellipsoid((x, y, z), semi_axes, turned_deg), hu)


LEFT_BLEED: Final = lesion("left-deep", at=(27, 8, -6), semi_axes=(14, 20, 16), turned_deg=(12, -18, 30))
"""A large deep bleed on the left, turned in all three directions."""

RIGHT_BLEED: Final = lesion("right-frontal", at=(-26, -38, 20), semi_axes=(9, 12, 8), turned_deg=(0, 25, -40), hu=66.0)
"""A smaller, paler bleed on the right, higher and further forward than the left one."""


def head(lesions: Sequence[Lesion] = (LEFT_BLEED, RIGHT_BLEED), *, prone: bool = False) -> Phantom:
    """Build a head: skull, cerebrospinal fluid, brain, ventricles, lesions, and the table it lies on.

    Args:
        lesions: What is wrong with it; empty for a healthy head.
        prone: The patient lies face down, so the table is in front of the face.

    Returns:
        The scene; it reaches 72 mm to the sides, 92 mm to front and back, 80 mm up and down from ``HEAD_CENTRE``.
    """
    x, y, z = HEAD_CENTRE
    behind = -1.0 if prone else 1.0
    rest = Common(
        Ellipsoid((x, y, z), (84, 104, 400)),
        Box((x, y + behind * 85, z), (60, 25, 90)),
    )
    tissues = (
        Tissue("table", Box((x, y + behind * 118, z), (95, 6, 400)), -120.0),
        Tissue("headrest", rest, 60.0),
        Tissue("headrest-hollow", Ellipsoid((x, y, z), (80, 100, 400)), -1000.0),
        Tissue("scalp", Ellipsoid((x, y, z), (76, 96, 84)), 45.0),
        Tissue("skull", Ellipsoid((x, y, z), (72, 92, 80)), 1000.0),
        Tissue("csf", Ellipsoid((x, y, z), (66, 86, 74)), 8.0),
        Tissue("brain", Ellipsoid((x, y, z), (63, 83, 71)), BRAIN_HU),
        Tissue("ventricle", Ellipsoid((x + 9, y - 4, z + 12), (4, 24, 8), (-10, 0, -8)), 5.0),
        Tissue("ventricle", Ellipsoid((x - 9, y - 4, z + 12), (4, 24, 8), (-10, 0, 8)), 5.0),
    )
    return Phantom(tissues, tuple(lesions), midline_x=x)
