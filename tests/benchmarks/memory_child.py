"""The process that row e looks at: one stack retrieved and resampled as a worker does it, then what the kernel counted.

How memory counts. A volume lies in private memory, a tensor in a POSIX shared segment that this process and Triton map.
``VmHWM`` is the highest resident size: private pages, pages of files (code), and those pages of shared segments that
this process has touched; a page that two processes map counts in both, and here once, because only this process is
looked at. Pages of a segment that were reserved (``posix_fallocate``) and that nobody touched take memory too, without
being resident anywhere: they are the blocks of the segment's file less ``RssShmem``, and are added; the rounding up of
the tensor to a size of its pool is among them. That of the volume takes no room: nobody ever writes there. Everything
is read after the memory went back to its pool and was overwritten.
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.retrieving import a_request, a_worker, until_idle
from model_serving.adapters.memory import SHARED_MEMORY, private, shared
from model_serving.adapters.triton import TritonBackend  # noqa: F401 - a worker has it loaded, so it counts
from model_serving.domain.prepare import write_tensor
from model_serving.usecases.threads import in_thread
from udcmodel.codec import decode_stack

SPACING_MM = 1.0


async def measure(stack: bytes, dicomweb_url: str, secret: str) -> Mapping[str, float]:
    """Do the work once; sizes in bytes."""
    request = a_request(decode_stack(stack), dicomweb_url, spacing_mm=SPACING_MM)
    tensor_size = int(np.prod(request.plan.shape)) * request.plan.dtype.itemsize
    before = _status("VmRSS")
    with a_worker(private, secret=secret) as worker, a_worker(shared, secret=secret) as tensors:
        began = time.perf_counter()
        async with worker.images.retrieved([request]) as (images,):
            retrieved = time.perf_counter()
            async with tensors.memory.leased(tensor_size) as (memory,):
                out = memory.array(request.plan.shape, request.plan.dtype)
                await in_thread(write_tensor, request.plan, images, out=out)
                resampled = time.perf_counter()
                segment = SHARED_MEMORY / memory.name
                volume_size = images.values.nbytes
                if not np.isfinite(out[out.shape[0] // 2]).all():
                    raise ValueError("the tensor was not filled")
        await until_idle(worker.memory)
        await until_idle(tensors.memory)
        reserved = segment.stat().st_blocks * 512
        return {
            "before": before,
            "peak": _status("VmHWM"),
            "untouched": max(0, reserved - _status("RssShmem")),
            "volume": volume_size,
            "tensor": tensor_size,
            "tensor_taken": tensors.memory.total,
            "retrieval_s": retrieved - began,
            "resampling_s": resampled - retrieved,
        }


def _status(name: str) -> int:
    """Return a size from proc(5), bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(name)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(measure(Path(sys.argv[1]).read_bytes(), sys.argv[2], sys.stdin.read()))))
