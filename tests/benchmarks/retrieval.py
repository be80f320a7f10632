"""Row a: a CT series from the archive into memory, against the bare transfer and against the usual libraries."""

import asyncio
import base64
import http.client
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from dicomweb_client.session_utils import create_session_from_user_pass
from dicomweb_client.web import DICOMwebClient
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from benchmarks.figures import Conditions, Figure, MeasurementFailedError, Row, Timings, at_least
from benchmarks.phantoms import MATRIX, KeptSeries, ct_series, store
from benchmarks.retrieving import Worker, a_request, a_worker, default_decoders, until_idle
from model_serving.adapters.memory import private, shared
from model_serving.ports import StackRequest
from udckit.testing import Orthanc

DRAIN_BUFFER = 1 << 20
WAITS_S = 60.0


@dataclass(frozen=True, slots=True)
class _Archive:
    orthanc: Orthanc
    series: KeptSeries

    @property
    def secret(self) -> str:
        return ":".join(self.orthanc.credentials)

    @property
    def request(self) -> StackRequest:
        return a_request(self.series.stack, self.orthanc.dicomweb_url, spacing_mm=5.0)


async def measure(conditions: Conditions) -> list[Row]:
    """Measure an uncompressed series and one in JPEG 2000."""
    slices, compressed = (100, 24) if conditions.is_quick else (300, 120)
    plain = ct_series(conditions, slices, ExplicitVRLittleEndian)
    jpeg = ct_series(conditions, compressed, JPEG2000Lossless)
    with tempfile.TemporaryDirectory(prefix="udc-bench-") as folder:
        async with Orthanc(Path(folder)) as orthanc:
            for series in (plain, jpeg):
                await store(orthanc, series)
            rows = [
                await _uncompressed(_Archive(orthanc, plain), conditions.rounds),
                await _jpeg_2000(_Archive(orthanc, jpeg), conditions.rounds),
            ]
            orthanc.kill()
    return rows


async def _uncompressed(archive: _Archive, rounds: int) -> Row:
    timings, cpu = Timings(), Timings()
    request = archive.request
    with (
        a_worker(shared, secret=archive.secret) as warm,
        a_worker(private, secret=archive.secret) as warm_private,
    ):
        for worker in (warm, warm_private):
            await _check(archive, worker, request)

        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "drain": lambda: asyncio.to_thread(_drain, archive),
            "warm": lambda: warm.retrieve(request),
            "warm private": lambda: warm_private.retrieve(request),
            "streamed": lambda: asyncio.to_thread(_by_libraries, archive, streamed=True),
            "listed": lambda: asyncio.to_thread(_by_libraries, archive, streamed=False),
        }
        for _ in range(rounds):
            for name, way in ways.items():
                await _time(name, way, timings, cpu)
                for worker in (warm, warm_private):
                    await until_idle(worker.memory)
            with a_worker(shared, secret=archive.secret) as without_memory:
                await _time("fresh", partial(without_memory.retrieve, request), timings, cpu)
        if warm.fallbacks:
            raise MeasurementFailedError(f"images did not take the straight way: {set(warm.fallbacks)}")
    megabytes = archive.series.pixel_bytes / 1e6
    labels = {
        "drain": "raw drain of the same answer",
        "warm": "ours, shared memory in use again",
        "warm private": "ours, private memory in use again (as the service keeps volumes)",
        "fresh": "ours, shared memory made for it",
        "streamed": "dicomweb-client iter_series + pydicom",
        "listed": "dicomweb-client retrieve_series + pydicom",
    }
    return Row(
        title="a.1 uncompressed CT series into memory",
        settings=[
            f"{len(archive.series.paths)} × {MATRIX}², 16 bits, explicit VR little endian ({megabytes:.0f} MB)",
            "Orthanc on the same processors over loopback, page cache warm",
            "values: Hounsfield units as float32, four bytes a voxel; MB count stored pixels of two bytes",
        ],
        figures=[
            Figure(
                what="speed against the raw drain, memory in use again",
                unit="×",
                values=timings.speed_against("warm", "drain"),
                goal=at_least(0.8),
            ),
            Figure(
                what="the same in private memory",
                unit="×",
                values=timings.speed_against("warm private", "drain"),
            ),
            Figure(
                what="the same in fresh shared memory, making it included",
                unit="×",
                values=timings.speed_against("fresh", "drain"),
            ),
            Figure(
                what="speed against dicomweb-client retrieve_series + pydicom",
                unit="×",
                values=timings.speed_against("warm", "listed"),
                goal=at_least(4.0),
            ),
            Figure(
                what="speed against dicomweb-client iter_series + pydicom",
                unit="×",
                values=timings.speed_against("warm", "streamed"),
                goal=at_least(4.0),
            ),
            *(Figure(what=label, unit="MB/s", values=timings.rates(name, megabytes)) for name, label in labels.items()),
            *(
                Figure(
                    what=f"processor time of the client: {label}",
                    unit="s/GB",
                    values=[1000 * seconds / megabytes for seconds in cpu.seconds[name]],
                )
                for name, label in labels.items()
            ),
        ],
    )


async def _jpeg_2000(archive: _Archive, rounds: int) -> Row:
    cores = os.cpu_count() or 1
    slices = len(archive.series.paths)
    codestreams = [_codestream(path) for path in archive.series.paths]
    timings, cpu = Timings(), Timings()
    request = archive.request
    with (
        a_worker(shared, secret=archive.secret) as worker,
        ThreadPoolExecutor(cores) as threads,
    ):
        await _check(archive, worker, request)
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "bare": lambda: asyncio.to_thread(_decode, codestreams),
            "bare threads": lambda: asyncio.to_thread(lambda: list(threads.map(_decode_one, codestreams))),
            "ours": lambda: worker.retrieve(request),
        }
        for _ in range(rounds):
            for name, way in ways.items():
                await _time(name, way, timings, cpu)
                await until_idle(worker.memory)
    return Row(
        title="a.2 JPEG 2000 lossless CT series into memory",
        settings=[
            f"{slices} × {MATRIX}², 16 bits, JPEG 2000 lossless, {cores} processors",
            f"the worker decodes in {default_decoders()} threads, the default of MODEL_SERVING_DECODERS",
            "bare decoder: imagecodecs on code streams in memory, one thread",
        ],
        figures=[
            Figure(
                what=f"speed against {cores} × the bare decoder in one thread",
                unit="×",
                values=[ratio / cores for ratio in timings.speed_against("ours", "bare")],
                goal=at_least(0.9),
            ),
            Figure(
                what=f"speed against the bare decoder in {cores} threads",
                unit="×",
                values=timings.speed_against("ours", "bare threads"),
            ),
            Figure(
                what=f"the bare decoder itself in {cores} threads, against {cores} × one",
                unit="×",
                values=[ratio / cores for ratio in timings.speed_against("bare threads", "bare")],
            ),
            *(
                Figure(what=label, unit="slices/s", values=timings.rates(name, slices))
                for name, label in (
                    ("bare", "bare decoder, one thread"),
                    ("bare threads", f"bare decoder, {cores} threads"),
                    ("ours", "ours"),
                )
            ),
        ],
    )


async def _time(name: str, way: Callable[[], Awaitable[object]], timings: Timings, cpu: Timings) -> None:
    """Note how long ``way`` takes, and the processor time of this process meanwhile."""
    processor, began = time.process_time(), time.perf_counter()
    await way()
    timings.add(name, time.perf_counter() - began)
    cpu.add(name, time.process_time() - processor)


async def _check(archive: _Archive, worker: Worker, request: StackRequest) -> None:
    """Compare with what pydicom reads from the files that were sent."""
    truth = np.stack([_values(pydicom.dcmread(path)) for path in archive.series.paths])
    order = {frame.sop_instance_uid: index for index, frame in enumerate(request.plan.frames)}
    slots = [order[pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID] for path in archive.series.paths]
    async with worker.images.retrieved([request]) as (images,):
        values = images.values.copy()
    await until_idle(worker.memory)
    if not np.array_equal(values[slots], truth):
        raise MeasurementFailedError("the retrieved volume is not what was sent")


def _drain(archive: _Archive) -> None:
    """Receive the same answer to the same request, and look at nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", archive.orthanc.http_port, timeout=WAITS_S)
    stack = archive.series.stack
    buffer = bytearray(DRAIN_BUFFER)
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


def _by_libraries(archive: _Archive, *, streamed: bool) -> None:
    """Make the same volume with dicomweb-client and pydicom."""
    user, password = archive.orthanc.credentials
    client = DICOMwebClient(
        archive.orthanc.dicomweb_url, session=create_session_from_user_pass(user, password), timeout=WAITS_S
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
        volume[slot_of.pop(instance.SOPInstanceUID)] = _values(instance)
    if slot_of:
        raise MeasurementFailedError(f"{len(slot_of)} instances did not come")


def _values(dataset: Dataset) -> NDArray[np.float32]:
    stored = dataset.pixel_array.astype(np.float32)
    stored *= np.float32(dataset.RescaleSlope)
    stored += np.float32(dataset.RescaleIntercept)
    return stored


def _codestream(path: Path) -> bytes:
    return next(generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1))


def _decode_one(codestream: bytes) -> None:
    imagecodecs.jpeg2k_decode(codestream)


def _decode(codestreams: list[bytes]) -> None:
    for codestream in codestreams:
        _decode_one(codestream)
