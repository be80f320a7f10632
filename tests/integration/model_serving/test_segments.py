"""The server keeps a segment mapped for as long as the pool keeps it, and no longer."""

import asyncio
from collections.abc import AsyncIterator, Set
from contextlib import asynccontextmanager

import pytest
import tritonclient.grpc.aio as tritonclient

from integration.model_serving.world import MIB, add_python_model
from model_serving.adapters.memory import pooled, shared
from model_serving.adapters.triton import TritonBackend, connected_triton
from model_serving.domain.answer import ExpectedOutput
from model_serving.ports import PinnedModel, TensorSpec
from udckit.modeldigest import model_digest
from udckit.testing import Triton

pytestmark = pytest.mark.connected

CONFIG = """
backend: "python"
input { name: "IN" data_type: TYPE_FP32 dims: [ -1 ] }
output { name: "SUM" data_type: TYPE_FP32 dims: [ 1 ] }
instance_group { kind: KIND_CPU }
"""
SUM = """
def answer(request):
    return {"SUM": tensor(request, "IN").sum(keepdims=True)}
"""
EXPECTED = [ExpectedOutput(name="SUM", datatype="FP32", shape=(1,), is_probability=False)]
SMALL, LARGE = MIB // 4, MIB // 3
"""Float32 elements; they need segments of 1 and of 1.5 MiB."""


@pytest.fixture
async def client(triton: Triton) -> AsyncIterator[tritonclient.InferenceServerClient]:
    client = tritonclient.InferenceServerClient(triton.grpc_address)
    yield client
    await client.close()


@pytest.fixture
def model(triton: Triton) -> PinnedModel:
    folder = triton.model_repository / "sum"
    digest = model_digest(folder) if folder.exists() else add_python_model(triton.model_repository, "sum", CONFIG, SUM)
    return PinnedModel(device="d", version="1", name="sum", number=1, digest=digest)


@asynccontextmanager
async def a_backend(triton: Triton, model: PinnedModel) -> AsyncIterator[TritonBackend]:
    """A backend with room for a small or a large segment."""
    with pooled(shared, capacity=2 * MIB) as memory:
        async with connected_triton(triton.grpc_address, repository=triton.model_repository, memory=memory) as backend:
            await backend.load(model, timeout_s=60)
            yield backend


async def ask(backend: TritonBackend, model: PinnedModel, count: int) -> None:
    specs = [TensorSpec(name="IN", shape=(count,), dtype="float32")]
    async with asyncio.timeout(20), backend.exchange(model, specs, EXPECTED) as exchange:
        exchange.inputs["IN"][:] = 1.0
        await exchange.infer(timeout_s=20)


async def mapped(client: tritonclient.InferenceServerClient) -> Set[str]:
    return set((await client.get_system_shared_memory_status()).regions)


async def test_a_segment_is_mapped_once_for_many_inferences(
    triton: Triton, client: tritonclient.InferenceServerClient, model: PinnedModel
) -> None:
    others = await mapped(client)
    async with a_backend(triton, model) as backend:
        await ask(backend, model, LARGE)
        first = await mapped(client) - others
        await ask(backend, model, LARGE)
        assert await mapped(client) - others == first
        assert len(first) == 1
    assert not (await mapped(client) - others), "the end of the worker is the end of its segments"


async def test_a_segment_that_makes_room_is_taken_back(
    triton: Triton, client: tritonclient.InferenceServerClient, model: PinnedModel
) -> None:
    others = await mapped(client)
    async with a_backend(triton, model) as backend:
        await ask(backend, model, SMALL)
        small = await mapped(client) - others
        await ask(backend, model, LARGE)
        large = await mapped(client) - others
    assert (len(small), len(large)) == (1, 1)
    assert small != large


async def test_what_a_killed_worker_left_is_taken_back(
    triton: Triton, client: tritonclient.InferenceServerClient, model: PinnedModel
) -> None:
    left, kept = shared(MIB), shared(MIB)
    for memory in (left, kept):
        await client.register_system_shared_memory(memory.name, f"/{memory.name}", memory.size)
    left.discard()
    async with a_backend(triton, model):
        assert left.name not in await mapped(client)
        assert kept.name in await mapped(client), "it belongs to a worker that lives"
    assert kept.name in await mapped(client)
    await client.unregister_system_shared_memory(kept.name)
    kept.discard()
