"""Datasets to files: file meta information, transfer syntaxes and compressed pixels."""

import io
from typing import Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from udcphantom.study import Instance
from udcphantom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION

UNCOMPRESSED: Final = frozenset(
    {ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
)
COMPRESSED: Final = frozenset({RLELossless, JPEG2000Lossless, JPEGLSLossless, JPEGLosslessSV1})
TRANSFER_SYNTAXES: Final = tuple(sorted(UNCOMPRESSED | COMPRESSED))
"""Every transfer syntax a phantom can be written in; all of them lossless (PS3.5 A)."""


def set_pixels(dataset: Dataset, stored: NDArray[np.integer]) -> None:
    """Put stored values into a dataset, uncompressed and little-endian.

    Args:
        dataset: Already holds the bits, sign and photometric interpretation (PS3.3 C.7.6.3).
        stored: Stored values, shape ``(rows, columns)``, or ``(frames, rows, columns)`` for a multi-frame image.
    """
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.SamplesPerPixel = 1
    kind = "i" if dataset.PixelRepresentation else "u"
    packed = stored.astype(f"<{kind}{dataset.BitsAllocated // 8}").tobytes()
    dataset.PixelData = packed + b"\0" * (len(packed) % 2)
    dataset["PixelData"].VR = "OW" if dataset.BitsAllocated > 8 else "OB"


def encode(dataset: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> Instance:
    """Write a dataset as a DICOM file.

    Args:
        dataset: Complete; its pixels as :func:`set_pixels` leaves them. It is changed where compression demands.
        transfer_syntax: One of ``TRANSFER_SYNTAXES``.

    Returns:
        The file; the same dataset always gives the same bytes.

    Raises:
        ValueError: The transfer syntax is not one of ``TRANSFER_SYNTAXES``.
    """
    if transfer_syntax not in TRANSFER_SYNTAXES:
        raise ValueError(f"a phantom cannot be written in transfer syntax {transfer_syntax}")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(dataset.SOPClassUID)
    meta.MediaStorageSOPInstanceUID = UID(dataset.SOPInstanceUID)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    dataset.file_meta = meta
    if "PixelData" in dataset:
        _recode_pixels(dataset, transfer_syntax)
    meta.TransferSyntaxUID = UID(transfer_syntax)
    target = io.BytesIO()
    dcmwrite(target, dataset, enforce_file_format=True)
    return Instance(str(dataset.SOPClassUID), str(dataset.SOPInstanceUID), target.getvalue())


def _recode_pixels(dataset: Dataset, transfer_syntax: str) -> None:
    if transfer_syntax == JPEGLosslessSV1:
        _compress_with_jpeg(dataset)
    elif transfer_syntax in COMPRESSED:
        dataset.compress(transfer_syntax, generate_instance_uid=False)
    elif transfer_syntax == ExplicitVRBigEndian and dataset.BitsAllocated == 16:
        dataset.PixelData = np.frombuffer(dataset.PixelData, dtype="<u2").astype(">u2").tobytes()


def _compress_with_jpeg(dataset: Dataset) -> None:
    """Compress with JPEG process 14, selection value 1; the library that reads DICOM has no encoder for it."""
    shape = (int(dataset.get("NumberOfFrames", 1)), dataset.Rows, dataset.Columns)
    stored = np.frombuffer(dataset.PixelData, dtype=f"<u{dataset.BitsAllocated // 8}")
    frames = stored[: int(np.prod(shape))].reshape(shape) & np.uint16((1 << dataset.BitsStored) - 1)
    dataset.PixelData = encapsulate(
        [
            bytes(imagecodecs.jpeg_encode(frame, lossless=True, predictor=1, bitspersample=dataset.BitsStored))
            for frame in frames
        ]
    )
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
