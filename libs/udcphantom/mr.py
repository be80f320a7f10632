"""Magnetic resonance of a head: a study no CT or radiograph device should want."""

import numpy as np
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from udcphantom.ct import add_noise
from udcphantom.encoding import encode, set_pixels
from udcphantom.geometry import Geometry
from udcphantom.header import SeriesHeader, StudyContext, new_image, place
from udcphantom.identity import Identity
from udcphantom.rendering import render_plane
from udcphantom.scene import Phantom
from udcphantom.study import Instance, Series, Study, Truth

T2_BRAIN = SeriesHeader(role="t2", number=2, modality="MR", description="T2 аксиальные", body_part="BRAIN")

T2_SIGNAL = {
    "table": 0.0,
    "headrest": 0.0,
    "headrest-hollow": 0.0,
    "scalp": 500.0,
    "skull": 40.0,
    "csf": 1500.0,
    "brain": 600.0,
    "ventricle": 1500.0,
}
"""Signal of the tissues of a head in a T2-weighted image, arbitrary units; air gives 0."""


def render_mr(
    scene: Phantom,
    geometry: Geometry,
    *,
    identity: Identity | None = None,
    seed: int = 1,
    noise: float = 12.0,
    transfer_syntax: str = ExplicitVRLittleEndian,
) -> Study:
    """Make a T2-weighted MR study with one series.

    Args:
        scene: A head; its Hounsfield units are replaced by signals, its lesions keep their number as signal.
        geometry: Where the slices lie.
        identity: Whom and when; an invented default patient if left out.
        seed: Decides UIDs and noise.
        noise: Standard deviation of the noise, in units of signal.
        transfer_syntax: One of ``udcphantom.encoding.TRANSFER_SYNTAXES``.

    Returns:
        The study; its truth is the scene with signals for values.
    """
    context = StudyContext(identity=identity or Identity(), seed=seed)
    scene = scene.revalued(T2_SIGNAL)
    instances: list[Instance] = []
    for index, plane in enumerate(geometry.planes):
        dataset = new_image(context, T2_BRAIN, sop_class=MRImageStorage, number=index + 1)
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "SE"]
        place(dataset, plane, frame_of_reference=context.uid("frame-of-reference"))
        dataset.PatientPosition = geometry.patient_position.value
        dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "SE", "SK", ""
        dataset.MRAcquisitionType = "2D"
        dataset.RepetitionTime, dataset.EchoTime, dataset.EchoTrainLength = 4000, 90, 16
        dataset.MagneticFieldStrength = 1.5
        dataset.AcquisitionNumber = 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
        dataset.PixelRepresentation = 0
        dataset.WindowCenter, dataset.WindowWidth = 800, 1600
        clean = render_plane(scene, plane, background=0.0)
        noisy = add_noise(clean, noise, seed, T2_BRAIN.role, index)
        set_pixels(dataset, np.clip(np.rint(noisy), 0, 4095).astype(np.int32))
        instances.append(encode(dataset, transfer_syntax))
    series = Series(context.uid(T2_BRAIN.role, T2_BRAIN.number), "MR", T2_BRAIN.role, tuple(instances))
    return Study(context.uid("study"), context.identity.patient_id, (series,), Truth(scene))
