"""Synthetic DICOM studies whose truth is known from the scene, never from the pixels.

A :class:`Phantom` is a scene in patient millimetres (LPS). ``render_ct``, ``render_enhanced_ct``, ``render_mr`` and
``render_chest`` turn scenes into a :class:`Study` of finished DICOM files; ``variant(name)`` makes small ready-made
studies, and ``write_demo`` the set the demonstration uses. Everything depends on a seed alone, and nothing here is
shared with the code that is tested against it.
"""

from udcphantom.ct import Kernel, Numbering, ct_series, render_ct
from udcphantom.demo import REALISTIC, SMALL, write_demo
from udcphantom.encoding import TRANSFER_SYNTAXES
from udcphantom.enhanced import render_enhanced_ct
from udcphantom.geometry import Geometry, PatientPosition, Plane, Steps, evenly, in_groups, scan
from udcphantom.header import StudyContext
from udcphantom.heads import HEAD_CENTRE, LEFT_BLEED, RIGHT_BLEED, head, lesion
from udcphantom.identity import Charset, Identity
from udcphantom.mr import render_mr
from udcphantom.pixels import PixelForm
from udcphantom.radiograph import LEFT_LOWER, RIGHT_UPPER, Detector, Shadow, render_chest
from udcphantom.scene import Lesion, Phantom, Side, Tissue
from udcphantom.study import Instance, Opacity, Series, Study, Truth
from udcphantom.variants import GEOMETRIES, VARIANTS, variant

__all__ = [
    "GEOMETRIES",
    "HEAD_CENTRE",
    "LEFT_BLEED",
    "LEFT_LOWER",
    "REALISTIC",
    "RIGHT_BLEED",
    "RIGHT_UPPER",
    "SMALL",
    "TRANSFER_SYNTAXES",
    "VARIANTS",
    "Charset",
    "Detector",
    "Geometry",
    "Identity",
    "Instance",
    "Kernel",
    "Lesion",
    "Numbering",
    "Opacity",
    "PatientPosition",
    "Phantom",
    "PixelForm",
    "Plane",
    "Series",
    "Shadow",
    "Side",
    "Steps",
    "Study",
    "StudyContext",
    "Tissue",
    "Truth",
    "ct_series",
    "evenly",
    "head",
    "in_groups",
    "lesion",
    "render_chest",
    "render_ct",
    "render_enhanced_ct",
    "render_mr",
    "scan",
    "variant",
    "write_demo",
]
