"""Row e: the peak memory of one large CT beyond its volume and its tensor, in a process of its own."""

import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydicom.uid import ExplicitVRLittleEndian

from benchmarks import memory_child
from benchmarks.figures import Conditions, Figure, MeasurementFailedError, Row, at_most
from benchmarks.phantoms import MATRIX, KeptSeries, ct_series, store
from udckit.testing import Orthanc
from udcmodel.codec import encode_stack

MOST_MB = 300.0


async def measure(conditions: Conditions) -> list[Row]:
    """Measure one retrieval with resampling, each round in a new process."""
    series = ct_series(conditions, 300 if conditions.is_quick else 2000, ExplicitVRLittleEndian)
    with tempfile.TemporaryDirectory(prefix="udc-bench-") as folder:
        stack = Path(folder) / "stack"
        stack.write_bytes(encode_stack(series.stack))
        async with Orthanc(Path(folder) / "orthanc") as orthanc:
            await store(orthanc, series)
            measured = [await _in_child(orthanc, stack) for _ in range(conditions.rounds)]
            orthanc.kill()
    return [_row(series, measured)]


def _row(series: KeptSeries, measured: list[Mapping[str, float]]) -> Row:
    first = measured[0]
    volume, tensor = first["volume"], first["tensor"]
    stored = series.pixel_bytes

    def megabytes(what: str, values: list[float], goal: bool = False) -> Figure:
        return Figure(
            what=what, unit="MB", values=[value / 1e6 for value in values], goal=at_most(MOST_MB) if goal else None
        )

    return Row(
        title="e. peak memory of a large CT beyond volume and tensor",
        settings=[
            f"{len(series.paths)} × {MATRIX}² to a grid of {memory_child.SPACING_MM} mm; volume {volume / 1e6:.0f} MB"
            f" of float32, tensor {tensor / 1e6:.0f} MB in shared memory",
            "counted: the highest resident size of the process, interpreter and libraries included, plus the pages of"
            " its shared memory that no process has touched",
        ],
        figures=[
            megabytes(
                "beyond volume and tensor",
                [one["peak"] + one["untouched"] - volume - tensor for one in measured],
                goal=True,
            ),
            megabytes(
                "of that: the process before the job (interpreter, libraries)", [one["before"] for one in measured]
            ),
            megabytes(
                "of that: rounding up of the tensor to a size of the pool",
                [one["tensor_taken"] - tensor for one in measured],
            ),
            megabytes("of that: shared memory never touched", [one["untouched"] for one in measured]),
            megabytes(
                "beyond the pixels as stored (16 bits) and tensor",
                [one["peak"] + one["untouched"] - stored - tensor for one in measured],
            ),
            Figure(what="retrieval", unit="s", values=[one["retrieval_s"] for one in measured]),
            Figure(what="resampling", unit="s", values=[one["resampling_s"] for one in measured]),
        ],
    )


async def _in_child(orthanc: Orthanc, stack: Path) -> Mapping[str, float]:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.memory_child", str(stack), orthanc.dicomweb_url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await child.communicate(":".join(orthanc.credentials).encode())
    if child.returncode != 0:
        raise MeasurementFailedError(f"the process that was to be measured ended with {child.returncode}")
    found: Mapping[str, float] = json.loads(told)
    if found["peak"] < found["volume"] + found["tensor"]:
        raise MeasurementFailedError(f"the figures contradict each other: {found}")
    return found
