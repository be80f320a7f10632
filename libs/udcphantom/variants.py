"""Named small studies, one for each way in which real studies differ."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from udcphantom.companions import all_companions
from udcphantom.ct import BONE_VOLUME, Kernel, Numbering, ct_series, render_ct
from udcphantom.enhanced import render_enhanced_ct
from udcphantom.geometry import Geometry, PatientPosition, Steps, evenly, in_groups, scan
from udcphantom.header import StudyContext
from udcphantom.heads import head
from udcphantom.identity import Charset, Identity
from udcphantom.mr import render_mr
from udcphantom.pixels import PixelForm
from udcphantom.radiograph import Detector, render_chest
from udcphantom.study import Study

Builder = Callable[[int], Study]
"""Makes a study from a seed."""

REGULAR: Final = evenly(30, spacing=5.0)
TWO_SPACINGS: Final = in_groups((16, 2.5), (16, 7.5))
"""Thin slices through the posterior fossa, thick ones above, as routine sequential head CT has them."""


def _ct(
    geometry: Geometry | None = None,
    *,
    prone: bool = False,
    kernel: Kernel = Kernel.SOFT,
    pixels: PixelForm | None = None,
    numbering: Numbering = Numbering.ASCENDING,
    temporal_positions: int = 1,
    transfer_syntax: str = ExplicitVRLittleEndian,
    charset: Charset = Charset.UTF_8,
    odd_headers: bool = False,
) -> Builder:
    def build(seed: int) -> Study:
        return render_ct(
            head(prone=prone),
            geometry or scan(REGULAR),
            identity=Identity(charset=charset),
            seed=seed,
            kernel=kernel,
            pixels=pixels,
            numbering=numbering,
            temporal_positions=temporal_positions,
            odd_headers=odd_headers,
            transfer_syntax=transfer_syntax,
        )

    return build


def _scan(
    steps: Steps = REGULAR, *, tilt_deg: float = 0.0, position: PatientPosition = PatientPosition.HEAD_FIRST_SUPINE
) -> Geometry:
    return scan(steps, tilt_deg=tilt_deg, patient_position=position)


def healthy_ct(seed: int) -> Study:
    """Make a regular CT without any lesion."""
    return render_ct(head([]), scan(REGULAR), seed=seed)


def routine_head_ct(seed: int) -> Study:
    """Make what a head CT usually is: soft and bone volumes with localizer, MPR, bolus monitoring and dose."""
    study = render_ct(head(), scan(REGULAR), seed=seed)
    context = StudyContext(seed=seed)
    bone = ct_series(context, head(), scan(REGULAR), header=BONE_VOLUME, kernel=Kernel.BONE)
    return study.with_series(bone, *all_companions(context, head()))


def enhanced_ct(seed: int) -> Study:
    """Make an Enhanced CT multi-frame file."""
    return render_enhanced_ct(head(), scan(REGULAR), seed=seed)


def mr_brain(seed: int) -> Study:
    """Make an MR of the brain, which nothing should want."""
    return render_mr(head(), scan(REGULAR), seed=seed)


def _chest(detector: Detector, *, clear: bool = False, inverted: bool = False) -> Builder:
    def build(seed: int) -> Study:
        if clear:
            return render_chest((), detector=detector, inverted=inverted, seed=seed)
        return render_chest(detector=detector, inverted=inverted, seed=seed)

    return build


GEOMETRIES: Final[Mapping[str, Geometry]] = MappingProxyType(
    {
        "axial": _scan(),
        "tilt-plus-25": _scan(tilt_deg=25.0),
        "tilt-minus-25": _scan(tilt_deg=-25.0),
        "two-spacings": _scan(TWO_SPACINGS),
        "tilted-two-spacings": _scan(TWO_SPACINGS, tilt_deg=20.0),
        "oblique": scan(REGULAR, turned_deg=(12.0, -9.0, 17.0)),
        "reversed": _scan().reversed(),
        "anisotropic": scan(evenly(20, spacing=8.0), rows=128, columns=128, pixel_mm=(1.8, 1.8)),
        "non-square-pixels": scan(REGULAR, rows=80, columns=56, pixel_mm=(3.0, 4.2)),
        "prone": _scan(position=PatientPosition.HEAD_FIRST_PRONE),
        "feet-first": _scan(position=PatientPosition.FEET_FIRST_SUPINE),
        "feet-first-prone": _scan(position=PatientPosition.FEET_FIRST_PRONE),
        "gap": _scan().without(14),
        "duplicate-position": _scan().repeating(14),
        "overlapping-slices": _scan(replace(REGULAR, thicknesses=(8.0,) * len(REGULAR.offsets))),
    }
)
"""Where slices lie, by the name of the study that has them."""

VARIANTS: Final[Mapping[str, Builder]] = MappingProxyType(
    {
        **{name: _ct(geometry, prone="prone" in name) for name, geometry in GEOMETRIES.items()},
        "shuffled-numbers": _ct(numbering=Numbering.SHUFFLED),
        "descending-numbers": _ct(numbering=Numbering.DESCENDING),
        "four-dimensional": _ct(temporal_positions=2),
        "bone-kernel": _ct(kernel=Kernel.BONE),
        "signed-16": _ct(pixels=PixelForm(bits_stored=16, signed=True, intercept=0.0)),
        "signed-12": _ct(pixels=PixelForm(signed=True, intercept=0.0)),
        "rescale-varies": _ct(pixels=PixelForm(rescale_varies=True)),
        "padding-signed": _ct(pixels=PixelForm(bits_stored=16, signed=True, intercept=0.0, padding=-2000)),
        "padding-unsigned": _ct(pixels=PixelForm(bits_stored=16, padding=63536)),
        "overlay-bits": _ct(pixels=PixelForm(overlay=True)),
        "monochrome1": _ct(pixels=PixelForm(inverted=True)),
        "voi-lut": _ct(pixels=PixelForm(voi_lut=True)),
        "implicit": _ct(transfer_syntax=ImplicitVRLittleEndian),
        "big-endian": _ct(transfer_syntax=ExplicitVRBigEndian),
        "deflated": _ct(transfer_syntax=DeflatedExplicitVRLittleEndian),
        "rle": _ct(transfer_syntax=RLELossless),
        "jpeg-2000": _ct(transfer_syntax=JPEG2000Lossless),
        "jpeg-ls": _ct(transfer_syntax=JPEGLSLossless),
        "jpeg-lossless": _ct(transfer_syntax=JPEGLosslessSV1),
        "charset-cyrillic": _ct(charset=Charset.CYRILLIC),
        "charset-cyrillic-extended": _ct(charset=Charset.CYRILLIC_EXTENDED),
        "charset-undeclared": _ct(charset=Charset.UNDECLARED_CP1251),
        "odd-headers": _ct(odd_headers=True),
        "odd-headers-implicit": _ct(odd_headers=True, transfer_syntax=ImplicitVRLittleEndian),
        "healthy": healthy_ct,
        "routine": routine_head_ct,
        "enhanced": enhanced_ct,
        "mr": mr_brain,
        "cr": _chest(Detector.CR),
        "cr-clear": _chest(Detector.CR, clear=True),
        "cr-monochrome1": _chest(Detector.CR, inverted=True),
        "dx": _chest(Detector.DX),
        "dx-monochrome1": _chest(Detector.DX, inverted=True),
        "fluorography": _chest(Detector.FLUOROGRAPHY),
        "fluorography-clear": _chest(Detector.FLUOROGRAPHY, clear=True),
    }
)
"""Every variant, by name."""


def variant(name: str, *, seed: int = 1) -> Study:
    """Make a variant.

    Args:
        name: A key of ``VARIANTS``.
        seed: Decides UIDs and noise.

    Returns:
        The study.

    Raises:
        KeyError: There is no variant of that name.
    """
    return VARIANTS[name](seed)
