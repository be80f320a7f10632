"""Computed tomography of a scene, one file per slice."""

from collections.abc import Sequence
from enum import StrEnum, unique

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from udcphantom.encoding import encode
from udcphantom.geometry import Geometry
from udcphantom.header import SeriesHeader, StudyContext, clock, new_image, place, position_patient
from udcphantom.identity import Identity
from udcphantom.pixels import PixelForm
from udcphantom.rendering import Image, render_plane
from udcphantom.scene import Phantom
from udcphantom.study import Instance, Series, Study, Truth
from udcphantom.uids import generator


@unique
class Kernel(StrEnum):
    """Convolution Kernel (0018,1210)."""

    SOFT = "SOFT"
    BONE = "BONE"
    """Sharper, so the noise is three times that of the soft kernel."""


@unique
class Numbering(StrEnum):
    """How Instance Number (0020,0013) runs along the scan."""

    ASCENDING = "ASCENDING"
    DESCENDING = "DESCENDING"
    SHUFFLED = "SHUFFLED"


SOFT_VOLUME = SeriesHeader(role="volume", number=2, modality="CT", description="Голова 5.0 мягкий")
BONE_VOLUME = SeriesHeader(role="bone", number=3, modality="CT", description="Голова 5.0 кость")


def render_ct(
    scene: Phantom,
    geometry: Geometry,
    *,
    identity: Identity | None = None,
    seed: int = 1,
    kernel: Kernel = Kernel.SOFT,
    noise_hu: float = 4.0,
    pixels: PixelForm | None = None,
    numbering: Numbering = Numbering.ASCENDING,
    temporal_positions: int = 1,
    transfer_syntax: str = ExplicitVRLittleEndian,
    odd_headers: bool = False,
) -> Study:
    """Make a CT study with one series.

    Args:
        scene: What is scanned.
        geometry: Where the slices lie.
        identity: Whom and when; an invented default patient if left out.
        seed: Decides UIDs and noise; the same seed and arguments give the same bytes.
        kernel: Convolution kernel.
        noise_hu: Standard deviation of the noise with a soft kernel, HU.
        pixels: How values are stored; 12 unsigned bits if left out.
        numbering: How Instance Number runs along the scan.
        temporal_positions: How often the whole geometry is scanned (4D when more than 1).
        transfer_syntax: One of ``udcphantom.encoding.TRANSFER_SYNTAXES``.
        odd_headers: Add a private block and sequences of undefined length.

    Returns:
        The study; its truth is the scene.
    """
    context = StudyContext(identity=identity or Identity(), seed=seed, odd_headers=odd_headers)
    series = ct_series(
        context,
        scene,
        geometry,
        header=SOFT_VOLUME if kernel is Kernel.SOFT else BONE_VOLUME,
        kernel=kernel,
        noise_hu=noise_hu,
        pixels=pixels,
        numbering=numbering,
        temporal_positions=temporal_positions,
        transfer_syntax=transfer_syntax,
    )
    return Study(context.uid("study"), context.identity.patient_id, (series,), Truth(scene))


def ct_series(
    context: StudyContext,
    scene: Phantom,
    geometry: Geometry,
    *,
    header: SeriesHeader = SOFT_VOLUME,
    kernel: Kernel = Kernel.SOFT,
    noise_hu: float = 4.0,
    pixels: PixelForm | None = None,
    numbering: Numbering = Numbering.ASCENDING,
    temporal_positions: int = 1,
    image_type: Sequence[str] = ("ORIGINAL", "PRIMARY", "AXIAL"),
    transfer_syntax: str = ExplicitVRLittleEndian,
) -> Series:
    """Make one CT series of a study; arguments as in :func:`render_ct`.

    Args:
        context: The study it belongs to.
        scene: What is scanned.
        geometry: Where the slices lie.
        header: Role, number and description of the series.
        kernel: Convolution kernel.
        noise_hu: Standard deviation of the noise with a soft kernel, HU.
        pixels: How values are stored; 12 unsigned bits if left out.
        numbering: How Instance Number runs along the scan.
        temporal_positions: How often the whole geometry is scanned.
        image_type: Image Type (0008,0008).
        transfer_syntax: One of ``udcphantom.encoding.TRANSFER_SYNTAXES``.

    Returns:
        The series.
    """
    pixels = pixels or PixelForm()
    total = len(geometry.planes) * temporal_positions
    numbers = _numbers(total, numbering, context.seed)
    clean = [render_plane(scene, plane) for plane in geometry.planes]
    instances: list[Instance] = []
    for time in range(temporal_positions):
        for index, plane in enumerate(geometry.planes):
            made = len(instances)
            dataset = new_image(context, header, sop_class=CTImageStorage, number=made + 1)
            dataset.InstanceNumber = numbers[made]
            dataset.ImageType = list(image_type)
            place(dataset, plane, frame_of_reference=context.uid("frame-of-reference"))
            position_patient(dataset, geometry)
            describe_scan(dataset, kernel=kernel, acquisition=time + 1)
            if temporal_positions > 1:
                dataset.AcquisitionTime = clock(context.identity, 60 * header.number + 20 * time)
                dataset.TemporalPositionIdentifier = time + 1
                dataset.NumberOfTemporalPositions = temporal_positions
            sigma = noise_hu * (3.0 if kernel is Kernel.BONE else 1.0)
            noisy = add_noise(clean[index], sigma, context.seed, header.role, header.number, made)
            pixels.write(dataset, noisy, index=index)
            instances.append(encode(dataset, transfer_syntax))
    return Series(context.uid(header.role, header.number), header.modality, header.role, tuple(instances))


def describe_scan(dataset: Dataset, *, kernel: Kernel, acquisition: int) -> None:
    """Write how the scanner was set (PS3.3 C.8.2.1)."""
    dataset.KVP = 120
    dataset.XRayTubeCurrent = 250
    dataset.ExposureTime = 1000
    dataset.ConvolutionKernel = kernel.value
    dataset.ScanOptions = "AXIAL MODE"
    dataset.AcquisitionNumber = acquisition


def add_noise(image: Image, sigma: float, *seed: int | str) -> Image:
    """Add Gaussian noise of standard deviation ``sigma`` that depends on the seed alone."""
    if sigma == 0.0:
        return image
    noise = generator(*seed).standard_normal(image.shape, dtype=np.float32)
    return image + noise * np.float32(sigma)


def _numbers(count: int, numbering: Numbering, seed: int) -> list[int]:
    ascending = list(range(1, count + 1))
    match numbering:
        case Numbering.ASCENDING:
            return ascending
        case Numbering.DESCENDING:
            return ascending[::-1]
        case Numbering.SHUFFLED:
            return [int(number) for number in generator(seed, "numbering").permutation(ascending)]
