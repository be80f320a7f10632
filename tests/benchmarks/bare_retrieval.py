"""The bare ways of retrieving a series that row a compares with."""

import base64
import http.client
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from dicomweb_client.session_utils import create_session_from_user_pass
from dicomweb_client.web import DICOMwebClient
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import generate_frames

from benchmarks.figures import MeasurementFailedError
from benchmarks.phantoms import MATRIX, KeptSeries
from benchmarks.retrieving import a_request
from model_serving.ports import StackRequest
from udckit.testing import Orthanc

_DRAIN_BUFFER = 1 << 20
_WAITS_S = 60.0


@dataclass(frozen=True, slots=True)
class KeptArchive:
    """An archive that holds a series."""

    orthanc: Orthanc
    series: KeptSeries

    @property
    def secret(self) -> str:
        """``user:password``."""
        return ":".join(self.orthanc.credentials)

    @property
    def request(self) -> StackRequest:
        """What a device asks for that reads the series."""
        return a_request(self.series.stack, self.orthanc.dicomweb_url, spacing_mm=5.0)


def drain(archive: KeptArchive) -> None:
    """Receive the same answer to the same request, and look at nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", archive.orthanc.http_port, timeout=_WAITS_S)
    stack = archive.series.stack
    buffer = bytearray(_DRAIN_BUFFER)
    connection.request(
        "GET",
        f"/dicom-web/studies/{stack.study_instance_uid}/series/{stack.series_instance_uid}",
        headers={
            "Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*',
            "Authorization": f"Basic {base64.b64encode(archive.secret.encode()).decode()}",
        },
    )
    received = 0
    with connection.getresponse() as response:
        while count := response.readinto(buffer):
            received += count
    connection.close()
    if received < archive.series.pixel_bytes:
        raise MeasurementFailedError(f"the archive sent {received} bytes only")


def by_libraries(archive: KeptArchive, *, streamed: bool) -> None:
    """Make the same volume with dicomweb-client and pydicom."""
    user, password = archive.orthanc.credentials
    client = DICOMwebClient(
        archive.orthanc.dicomweb_url, session=create_session_from_user_pass(user, password), timeout=_WAITS_S
    )
    frames = archive.request.plan.frames
    slot_of = {frame.sop_instance_uid: slot for slot, frame in enumerate(frames)}
    volume = np.empty((len(frames), MATRIX, MATRIX), np.float32)
    get = client.iter_series if streamed else client.retrieve_series
    stack = archive.series.stack
    instances: Iterable[Dataset] = get(
        stack.study_instance_uid, stack.series_instance_uid, media_types=(("application/dicom", "*"),)
    )
    for instance in instances:
        volume[slot_of.pop(instance.SOPInstanceUID)] = values_of(instance)
    if slot_of:
        raise MeasurementFailedError(f"{len(slot_of)} instances did not come")


def values_of(dataset: Dataset) -> NDArray[np.float32]:
    """Return the values of an image as they are written without this project."""
    stored = dataset.pixel_array.astype(np.float32)
    stored *= np.float32(dataset.RescaleSlope)
    stored += np.float32(dataset.RescaleIntercept)
    return stored


def codestream_of(path: Path) -> bytes:
    """Return the compressed frame of a file."""
    return next(generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1))


def decode(codestream: bytes) -> None:
    """Decode one frame, and keep nothing."""
    imagecodecs.jpeg2k_decode(codestream)


def decode_all(codestreams: Sequence[bytes]) -> None:
    """Decode one frame after the other."""
    for codestream in codestreams:
        decode(codestream)
