"""Row b: a tensor through our Triton adapter and back, against the bare client with system shared memory."""

import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import numpy as np
import tritonclient.grpc.aio as triton
import tritonclient.utils.shared_memory as system_memory
from numpy.typing import NDArray

from benchmarks.figures import Conditions, Figure, MeasurementFailedError, Row, Timings, at_most
from benchmarks.retrieving import MIB, until_idle
from integration.model_serving.world import add_python_model
from model_serving.adapters.memory import pooled, shared
from model_serving.adapters.triton import TritonBackend, connected_triton
from model_serving.domain.answer import ExpectedOutput
from model_serving.ports import PinnedModel, TensorSpec
from udckit.testing import Triton

MODEL = "echo"
CONFIG = """
backend: "python"
input { name: "IN" data_type: TYPE_FP32 dims: [ -1 ] }
output { name: "OUT" data_type: TYPE_FP32 dims: [ -1 ] }
instance_group { kind: KIND_CPU }
"""
ECHO = """
def answer(request):
    return {"OUT": tensor(request, "IN")}
"""
TIMEOUT_S = 60.0


async def measure(conditions: Conditions) -> list[Row]:
    """Measure the echo of one tensor."""
    nbytes = (16 if conditions.is_quick else 64) * MIB
    runs = 5 if conditions.is_quick else 20
    tensor = np.random.default_rng(1).standard_normal(nbytes // 4, dtype=np.float32)
    timings = Timings()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="udc-bench-")))
        server = await stack.enter_async_context(Triton(folder / "state", folder / "models"))
        digest = add_python_model(server.model_repository, MODEL, CONFIG, ECHO)
        memory = stack.enter_context(pooled(shared, capacity=1024 * MIB))
        backend = await stack.enter_async_context(
            connected_triton(server.grpc_address, repository=server.model_repository, memory=memory)
        )
        model = PinnedModel(device=MODEL, version="1.0.0", name=MODEL, number=1, digest=digest)
        await backend.load(model, timeout_s=TIMEOUT_S)
        bare = await stack.enter_async_context(_bare_client(server, nbytes))
        await bare.infer(tensor)
        await _infer(backend, model, tensor)
        for _ in range(conditions.rounds):
            own, reference = 0.0, 0.0
            for _ in range(runs):
                began = time.perf_counter()
                await bare.infer(tensor)
                reference += time.perf_counter() - began
                await until_idle(memory)
                began = time.perf_counter()
                await _infer(backend, model, tensor)
                own += time.perf_counter() - began
                await until_idle(memory)
            timings.add("own", own / runs)
            timings.add("bare", reference / runs)
    return [
        Row(
            title="b. a tensor through the Triton adapter and back",
            settings=[
                f"{nbytes // MIB} MiB of float32 in and out, echoed by a Python model; {runs} runs in turn each round",
                "bare: tritonclient.grpc.aio, two regions registered once and used again",
                "ours: memory from the pool, overwritten with zeros afterwards, outside of the time",
            ],
            figures=[
                Figure(
                    what="time against the bare client",
                    unit="×",
                    values=timings.time_against("own", "bare"),
                    goal=at_most(1.25),
                ),
                Figure(what="ours", unit="ms", values=[1000 * value for value in timings.seconds["own"]]),
                Figure(what="bare client", unit="ms", values=[1000 * value for value in timings.seconds["bare"]]),
            ],
        )
    ]


async def _infer(backend: TritonBackend, model: PinnedModel, tensor: NDArray[np.float32]) -> None:
    specs = [TensorSpec(name="IN", shape=tensor.shape, dtype="float32")]
    expected = [ExpectedOutput(name="OUT", datatype="FP32", shape=tensor.shape, is_probability=False)]
    async with backend.exchange(model, specs, expected) as exchange:
        exchange.inputs["IN"][...] = tensor
        answer = await exchange.infer(timeout_s=TIMEOUT_S)
        _check(tensor, np.frombuffer(answer.outputs["OUT"].content, np.float32))


class _BareClient:
    def __init__(self, client: triton.InferenceServerClient, given: object, made: object, nbytes: int) -> None:
        self._client = client
        self._given = given
        self._made = made
        self._input = triton.InferInput("IN", [nbytes // 4], "FP32")
        self._input.set_shared_memory("bench-in", nbytes)
        self._output = triton.InferRequestedOutput("OUT")
        self._output.set_shared_memory("bench-out", nbytes)

    async def infer(self, tensor: NDArray[np.float32]) -> None:
        system_memory.set_shared_memory_region(self._given, [tensor])
        await self._client.infer(MODEL, [self._input], outputs=[self._output], client_timeout=TIMEOUT_S)
        _check(tensor, system_memory.get_contents_as_numpy(self._made, np.float32, list(tensor.shape)))


@asynccontextmanager
async def _bare_client(server: Triton, nbytes: int) -> AsyncIterator[_BareClient]:
    names = {name: f"/udc-bench-{server.grpc_port}-{name}" for name in ("in", "out")}
    regions = {
        name: system_memory.create_shared_memory_region(f"bench-{name}", key, nbytes) for name, key in names.items()
    }
    client = triton.InferenceServerClient(server.grpc_address)
    try:
        for name, key in names.items():
            await client.register_system_shared_memory(f"bench-{name}", key, nbytes)
        yield _BareClient(client, regions["in"], regions["out"], nbytes)
    finally:
        await client.unregister_system_shared_memory()
        await client.close()
        for region in regions.values():
            system_memory.destroy_shared_memory_region(region)


def _check(sent: NDArray[np.float32], received: NDArray[np.float32]) -> None:
    """See that an answer came, at a few places: looking at all of it would be most of what is measured."""
    if not np.array_equal(sent[:: sent.size // 64], received[:: sent.size // 64]):
        raise MeasurementFailedError("the echo is not what was sent")
