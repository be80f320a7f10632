"""Row a: a CT series from the archive into memory, against the bare transfer and against the usual libraries."""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from benchmarks.bare_retrieval import KeptArchive, by_libraries, codestream_of, decode, decode_all, drain, values_of
from benchmarks.figures import Conditions, Figure, MeasurementFailedError, Row, Timings, at_least
from benchmarks.phantoms import MATRIX, ct_series, store
from benchmarks.retrieving import Worker, a_worker, default_decoders, until_idle
from model_serving.adapters.memory import private, shared
from model_serving.ports import StackRequest
from udckit.testing import Orthanc


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
                await _uncompressed(KeptArchive(orthanc, plain), conditions.rounds),
                await _jpeg_2000(KeptArchive(orthanc, jpeg), conditions.rounds),
            ]
            orthanc.kill()
    return rows


async def _uncompressed(archive: KeptArchive, rounds: int) -> Row:
    meter = _Meter(archive)
    request = archive.request
    with (
        a_worker(shared, secret=archive.secret) as warm,
        a_worker(private, secret=archive.secret) as warm_private,
    ):
        for worker in (warm, warm_private):
            await _check(archive, worker, request)

        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "drain": lambda: asyncio.to_thread(drain, archive),
            "warm": lambda: warm.retrieve(request),
            "warm private": lambda: warm_private.retrieve(request),
            "streamed": lambda: asyncio.to_thread(by_libraries, archive, streamed=True),
            "listed": lambda: asyncio.to_thread(by_libraries, archive, streamed=False),
        }
        for _ in range(rounds):
            for name, way in ways.items():
                await meter.time(name, way)
                for worker in (warm, warm_private):
                    await until_idle(worker.memory)
            for name, make in (("fresh", shared), ("fresh private", private)):
                with a_worker(make, secret=archive.secret) as without_memory:
                    await meter.time(name, partial(without_memory.retrieve, request))
        if warm.fallbacks:
            raise MeasurementFailedError(f"images did not take the straight way: {set(warm.fallbacks)}")
    timings = meter.timings
    megabytes = archive.series.pixel_bytes / 1e6
    labels = {
        "drain": "raw drain of the same answer",
        "warm": "ours, shared memory in use again",
        "warm private": "ours, private memory in use again (as the service keeps volumes)",
        "fresh": "ours, shared memory made for it",
        "fresh private": "ours, private memory made for it",
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
                what="the same in fresh private memory",
                unit="×",
                values=timings.speed_against("fresh private", "drain"),
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
            Figure(
                what="the raw drain itself against dicomweb-client iter_series",
                unit="×",
                values=timings.speed_against("drain", "streamed"),
            ),
            *(Figure(what=label, unit="MB/s", values=timings.rates(name, megabytes)) for name, label in labels.items()),
            *(
                Figure(
                    what=f"processor time of the client: {label}",
                    unit="s/GB",
                    values=[1000 * seconds / megabytes for seconds in meter.client.seconds[name]],
                )
                for name, label in labels.items()
            ),
            Figure(
                what="processor time of the archive: raw drain",
                unit="s/GB",
                values=[1000 * seconds / megabytes for seconds in meter.server.seconds["drain"]],
            ),
        ],
    )


async def _jpeg_2000(archive: KeptArchive, rounds: int) -> Row:
    cores = os.cpu_count() or 1
    slices = len(archive.series.paths)
    codestreams = [codestream_of(path) for path in archive.series.paths]
    meter = _Meter(archive)
    request = archive.request
    with (
        a_worker(shared, secret=archive.secret) as worker,
        ThreadPoolExecutor(cores) as threads,
    ):
        await _check(archive, worker, request)
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "bare": lambda: asyncio.to_thread(decode_all, codestreams),
            "bare threads": lambda: asyncio.to_thread(lambda: list(threads.map(decode, codestreams))),
            "ours": lambda: worker.retrieve(request),
        }
        for _ in range(rounds):
            for name, way in ways.items():
                await meter.time(name, way)
                await until_idle(worker.memory)
    timings = meter.timings
    bare, ours, sending = meter.client.seconds["bare"], meter.client.seconds["ours"], meter.server.seconds["ours"]
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
            Figure(
                what="processor time of the bare decoder in one thread, against ours",
                unit="×",
                values=[decoding / own for decoding, own in zip(bare, ours, strict=True)],
            ),
            Figure(
                what="the same against ours and the archive's",
                unit="×",
                values=[decoding / (own + other) for decoding, own, other in zip(bare, ours, sending, strict=True)],
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


class _Meter:
    """Times ways of doing the same thing, and the processor time that this process and the archive take meanwhile."""

    def __init__(self, archive: KeptArchive) -> None:
        self.timings, self.client, self.server = Timings(), Timings(), Timings()
        self._archive = archive

    async def time(self, name: str, way: Callable[[], Awaitable[object]]) -> None:
        server, client, began = self._of_server(), time.process_time(), time.perf_counter()
        await way()
        self.timings.add(name, time.perf_counter() - began)
        self.client.add(name, time.process_time() - client)
        self.server.add(name, self._of_server() - server)

    def _of_server(self) -> float:
        """Return what the archive took until now, seconds (proc(5): utime and stime, in ticks)."""
        fields = Path(f"/proc/{self._archive.orthanc.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _check(archive: KeptArchive, worker: Worker, request: StackRequest) -> None:
    """Compare with what pydicom reads from the files that were sent."""
    truth = np.stack([values_of(pydicom.dcmread(path)) for path in archive.series.paths])
    order = {frame.sop_instance_uid: index for index, frame in enumerate(request.plan.frames)}
    slots = [order[pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID] for path in archive.series.paths]
    async with worker.images.retrieved([request]) as (images,):
        values = images.values.copy()
    await until_idle(worker.memory)
    if not np.array_equal(values[slots], truth):
        raise MeasurementFailedError("the retrieved volume is not what was sent")
