"""Chest radiographs with or without an opacity: CR, DX and fluorography-like DX."""

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)

from udcphantom.ct import add_noise
from udcphantom.encoding import encode, set_pixels
from udcphantom.header import SeriesHeader, StudyContext, new_image
from udcphantom.identity import Identity
from udcphantom.rendering import Image
from udcphantom.study import Opacity, Series, Study, Truth


@unique
class Detector(StrEnum):
    """What took the picture; decides the SOP class."""

    CR = "CR"
    DX = "DX"
    FLUOROGRAPHY = "FLUOROGRAPHY"
    """A digital screening unit: DX, described as fluorography."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """An opacity to be drawn, as fractions of the picture so that it fits every size.

    Args:
        name: Label.
        centre: Column and row of the centre, 0 to 1.
        radii: Half lengths along columns and rows, 0 to 1; at this distance it has half its strength.
        strength: Added brightness in the middle, as a fraction of full scale.
        softness: Width of the blurred edge relative to the radii.
    """

    name: str
    centre: tuple[float, float]
    radii: tuple[float, float]
    strength: float = 0.22
    softness: float = 0.12

    def opacity(self, rows: int, columns: int) -> Opacity:
        """Give the box round the half-strength contour, in pixels of a picture of this size."""
        (x, y), (rx, ry) = self.centre, self.radii
        return Opacity(self.name, ((x - rx) * columns, (y - ry) * rows, (x + rx) * columns, (y + ry) * rows))


RIGHT_UPPER: Final = Shadow("right-upper", centre=(0.31, 0.33), radii=(0.055, 0.07))
"""In the patient's right lung, which is on the left of a frontal radiograph."""

LEFT_LOWER: Final = Shadow("left-lower", centre=(0.68, 0.62), radii=(0.075, 0.05))

_HEADERS: Final = {
    Detector.CR: SeriesHeader(
        role="chest", number=1, modality="CR", description="ОГК прямая", body_part="CHEST", protocol="Грудь ПЗ"
    ),
    Detector.DX: SeriesHeader(
        role="chest", number=1, modality="DX", description="ОГК прямая", body_part="CHEST", protocol="Грудь ПЗ"
    ),
    Detector.FLUOROGRAPHY: SeriesHeader(
        role="chest", number=1, modality="DX", description="Флюорография", body_part="CHEST", protocol="ФЛГ"
    ),
}


def render_chest(
    shadows: tuple[Shadow, ...] = (RIGHT_UPPER,),
    *,
    detector: Detector = Detector.CR,
    rows: int = 128,
    columns: int = 120,
    identity: Identity | None = None,
    seed: int = 1,
    noise: float = 0.01,
    inverted: bool = False,
    transfer_syntax: str = ExplicitVRLittleEndian,
) -> Study:
    """Make a study with one postero-anterior chest radiograph.

    Args:
        shadows: Opacities; empty for a clear chest.
        detector: What took the picture.
        rows: Rows of the picture, which shows 430 mm from top to bottom.
        columns: Columns of the picture.
        identity: Whom and when; an invented default patient if left out.
        seed: Decides UIDs and noise.
        noise: Standard deviation of the noise as a fraction of full scale.
        inverted: Store MONOCHROME1: dense tissue has low stored values and is still shown bright.
        transfer_syntax: One of ``udcphantom.encoding.TRANSFER_SYNTAXES``.

    Returns:
        The study; its truth holds the boxes of the opacities.
    """
    context = StudyContext(identity=identity or Identity(), seed=seed)
    header = _HEADERS[detector]
    cr = detector is Detector.CR
    dataset = new_image(
        context,
        header,
        sop_class=ComputedRadiographyImageStorage if cr else DigitalXRayImageStorageForPresentation,
        number=1,
    )
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.ViewPosition = "PA"
    dataset.PatientOrientation = ["L", "F"]
    dataset.KVP = 120
    dataset.Exposure = 4
    dataset.ImagerPixelSpacing = [round(430.0 / rows, 6)] * 2
    if not cr:
        _describe_digital(dataset, inverted=inverted)
    dataset.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    bright = np.clip(add_noise(draw_chest(shadows, rows, columns), noise, seed, "chest", detector.value), 0, 1)
    full = np.rint((1.0 - bright if inverted else bright) * 4095).astype(np.int32)
    set_pixels(dataset, full)
    series = Series(
        context.uid(header.role, header.number),
        header.modality,
        header.role,
        (encode(dataset, transfer_syntax),),
    )
    truth = Truth(opacities=tuple(shadow.opacity(rows, columns) for shadow in shadows))
    return Study(context.uid("study"), context.identity.patient_id, (series,), truth)


def draw_chest(shadows: tuple[Shadow, ...], rows: int, columns: int) -> Image:
    """Draw brightness (0 black, 1 white), shape ``(rows, columns)``, float32, without noise."""
    y, x = np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij")
    picture = 0.06 + 0.50 * _soft_ellipse(x, y, (0.5, 0.62), (0.44, 0.60), 0.04)
    for centre, radii in (((0.31, 0.47), (0.145, 0.31)), ((0.69, 0.47), (0.14, 0.31))):
        picture -= 0.34 * _soft_ellipse(x, y, centre, radii, 0.06)
    picture += 0.18 * _soft_ellipse(x, y, (0.54, 0.60), (0.12, 0.15), 0.10)  # heart, mostly to the patient's left
    picture += 0.10 * _soft_ellipse(x, y, (0.5, 0.5), (0.045, 0.6), 0.2)  # spine
    for number in range(7):
        curve = 0.20 + 0.085 * number + 0.25 * (x - 0.5) ** 2
        picture += 0.035 * np.exp(-(((y - curve) / 0.010) ** 2))  # ribs
    for shadow in shadows:
        picture += shadow.strength * _soft_ellipse(x, y, shadow.centre, shadow.radii, shadow.softness)
    return picture.astype(np.float32)


def _soft_ellipse(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    centre: tuple[float, float],
    radii: tuple[float, float],
    softness: float,
) -> NDArray[np.float64]:
    """Draw an ellipse that is 1 inside, 0 outside and exactly ½ on its rim."""
    distance = np.hypot((x - centre[0]) / radii[0], (y - centre[1]) / radii[1])
    return np.asarray(1.0 / (1.0 + np.exp(np.clip((distance - 1.0) / softness * 4.0, -60, 60))))


def _describe_digital(dataset: Dataset, *, inverted: bool) -> None:
    """Write what the DX modules demand of an image for presentation (PS3.3 C.8.11)."""
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", ""]
    dataset.ImageLaterality = "U"
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "816094009", "SCT", "Chest"
    dataset.AnatomicRegionSequence = [region]
    view = Dataset()
    view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = "272479007", "SCT", "postero-anterior"
    view.ViewModifierCodeSequence = []
    dataset.ViewCodeSequence = [view]
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = -1 if inverted else 1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    dataset.LossyImageCompression = "00"
    dataset.BurnedInAnnotation = "NO"
    dataset.DetectorType = "DIRECT"
    dataset.DetectorID = "SYNTHETIC"
    dataset.PositionerType = "NONE"
    dataset.AcquisitionContextSequence = []
