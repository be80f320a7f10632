"""A model may answer anything. What is not what it declared never becomes a result."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from integration.model_serving.world import World, a_world, add_python_model
from model_serving.domain.answer import ExpectedOutput, check_answer
from model_serving.domain.failure import Reason, RunFailedError
from model_serving.ports import ModelLostError, PinnedModel, TensorSpec
from udckit.errors import UpstreamUnavailableError
from udckit.testing import Triton

pytestmark = pytest.mark.connected

COUNT = 200_000
"""Bytes of the mask: it travels by shared memory. The score comes in the answer itself."""

CONFIG = """
backend: "python"
input { name: "IN" data_type: TYPE_FP32 dims: [ -1 ] }
output { name: "MASK" data_type: TYPE_UINT8 dims: [ -1 ] }
output { name: "SCORE" data_type: TYPE_FP32 dims: [ -1 ] }
instance_group { kind: KIND_CPU }
"""
SPECS = [TensorSpec(name="IN", shape=(COUNT,), dtype="float32")]
EXPECTED = [
    ExpectedOutput(name="MASK", datatype="UINT8", shape=(COUNT,), is_probability=False),
    ExpectedOutput(name="SCORE", datatype="FP32", shape=(1,), is_probability=True),
]
HONEST = """
def answer(request):
    volume = tensor(request, "IN")
    return {"MASK": (volume > 0.5).astype(np.uint8), "SCORE": np.array([volume.mean()], np.float32)}
"""
LIES = {
    "an empty score": ('"SCORE": np.zeros(0, np.float32)', Reason.OUTPUT_EMPTY),
    "two scores": ('"SCORE": np.zeros(2, np.float32)', Reason.OUTPUT_SHAPE),
    "a score of another shape": ('"SCORE": np.zeros((1, 1), np.float32)', Reason.OUTPUT_SHAPE),
    "a score of another type": ('"SCORE": np.zeros(1, np.float64)', Reason.OUTPUT_DATATYPE),
    "a score that is not a number": ('"SCORE": np.full(1, np.nan, np.float32)', Reason.OUTPUT_NOT_FINITE),
    "a score without end": ('"SCORE": np.full(1, np.inf, np.float32)', Reason.OUTPUT_NOT_FINITE),
    "a score above 1": ('"SCORE": np.full(1, 1.0001, np.float32)', Reason.OUTPUT_OUT_OF_RANGE),
    "a score below 0": ('"SCORE": np.full(1, -0.0001, np.float32)', Reason.OUTPUT_OUT_OF_RANGE),
    "an empty mask": ('"MASK": np.zeros(0, np.uint8)', Reason.OUTPUT_EMPTY),
    "a mask that is too short": (f'"MASK": np.zeros({COUNT} - 1, np.uint8)', Reason.OUTPUT_SHAPE),
    "a mask that is too long": (f'"MASK": np.zeros({COUNT} + 1, np.uint8)', Reason.INFERENCE_FAILED),
    "a mask of another type": (f'"MASK": np.zeros({COUNT}, np.int8)', Reason.OUTPUT_DATATYPE),
    "a mask of numbers that are too wide": (f'"MASK": np.zeros({COUNT}, np.int64)', Reason.INFERENCE_FAILED),
}

numbers = itertools.count()


@dataclass
class Model:
    """A model of a test, and how to ask it."""

    world: World
    pinned: PinnedModel

    async def ask(self, *, timeout_s: float = 20.0, value: float = 1.0) -> dict[str, np.ndarray]:
        async with self.world.backend.exchange(self.pinned, SPECS, EXPECTED) as exchange:
            exchange.inputs["IN"][:] = value
            answer = await exchange.infer(timeout_s=timeout_s)
            checked = check_answer(answer, EXPECTED, model_version=self.pinned.number)
            return {name: array.copy() for name, array in checked.items()}


@pytest.fixture
async def world(triton: Triton) -> AsyncIterator[World]:
    async with a_world(triton) as world:
        yield world


async def a_model(world: World, triton: Triton, execute: str) -> Model:
    name = f"model_{next(numbers)}_of_lies"
    digest = add_python_model(triton.model_repository, name, CONFIG, execute)
    pinned = PinnedModel(device="d", version="1", name=name, number=1, digest=digest)
    await world.backend.load(pinned, timeout_s=60)
    return Model(world, pinned)


async def test_an_honest_answer_passes(world: World, triton: Triton) -> None:
    model = await a_model(world, triton, HONEST)
    answered = await model.ask()
    assert answered["MASK"].sum() == COUNT
    assert answered["SCORE"] == [1.0]
    assert not (await model.ask(value=0.0))["MASK"].any()


@pytest.mark.parametrize(("lie", "reason"), LIES.values(), ids=LIES)
async def test_a_lie_is_a_named_failure(world: World, triton: Triton, lie: str, reason: Reason) -> None:
    model = await a_model(world, triton, HONEST.replace("return {", "truth = {") + f"    return {{**truth, {lie}}}\n")
    with pytest.raises(RunFailedError) as failure:
        await model.ask()
    assert failure.value.reason is reason


async def test_an_output_that_is_left_out_is_a_named_failure(world: World, triton: Triton) -> None:
    left_out = HONEST.replace("return {", "both = {") + '    return {"SCORE": both["SCORE"]}\n'
    model = await a_model(world, triton, left_out)
    with pytest.raises(RunFailedError) as failure:
        await model.ask()
    assert failure.value.reason is Reason.OUTPUT_MISSING


async def test_an_exception_of_the_model_is_a_named_failure(world: World, triton: Triton) -> None:
    model = await a_model(world, triton, 'def answer(request):\n    raise ValueError("out of ideas")\n')
    with pytest.raises(RunFailedError, match="out of ideas") as failure:
        await model.ask()
    assert failure.value.reason is Reason.INFERENCE_FAILED


async def test_another_version_of_the_model_is_a_named_failure(world: World, triton: Triton) -> None:
    model = await a_model(world, triton, HONEST)
    with pytest.raises(RunFailedError) as failure:
        async with world.backend.exchange(model.pinned, SPECS, EXPECTED) as exchange:
            check_answer(await exchange.infer(timeout_s=20), EXPECTED, model_version=2)
    assert failure.value.reason is Reason.MODEL_VERSION
    with pytest.raises(ModelLostError):
        await Model(world, replace(model.pinned, number=2)).ask()


async def test_a_model_whose_files_are_not_the_registered_ones_is_not_loaded(world: World, triton: Triton) -> None:
    model = await a_model(world, triton, HONEST)
    (triton.model_repository / model.pinned.name / "1" / "model.py").write_text("# something else")
    with pytest.raises(RunFailedError) as failure:
        await world.backend.load(model.pinned, timeout_s=60)
    assert failure.value.reason is Reason.MODEL_CHANGED


async def test_a_model_that_cannot_start_is_not_ready(world: World, triton: Triton) -> None:
    with pytest.raises(RunFailedError) as failure:
        await a_model(world, triton, "this is no Python")
    assert failure.value.reason is Reason.MODEL_NOT_READY


async def test_memory_that_a_late_model_may_still_write_to_is_never_used_again(world: World, triton: Triton) -> None:
    model = await a_model(world, triton, HONEST.replace("    volume", "    time.sleep(2)\n    volume", 1))
    with pytest.raises(RunFailedError) as failure:
        await model.ask(timeout_s=0.3)
    assert failure.value.reason is Reason.INFERENCE_TIMED_OUT
    assert world.tensors.total == 0, "the segment went back to the system, not to the pool"

    async with world.tensors.leased(5 * COUNT) as (fresh,):
        marked = fresh.array((5 * COUNT,), np.uint8)
        marked[:] = 7
        await asyncio.sleep(2.5)
        assert (marked == 7).all(), "the late answer went into memory of its own"


async def test_a_server_that_is_away_is_waited_for(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("mortal")
    async with Triton(folder / "state", folder / "models") as mortal, a_world(mortal) as world:
        model = await a_model(world, mortal, HONEST)
        assert await world.backend.is_live()
        mortal.kill()
        with pytest.raises(UpstreamUnavailableError):
            await model.ask()
        assert not await world.backend.is_live()
        await mortal.start()
        async with asyncio.timeout(10):
            while not await world.backend.is_live():  # noqa: ASYNC110 another process sets no event
                await asyncio.sleep(0.1)
        with pytest.raises(ModelLostError):
            await model.ask()
        await world.backend.load(model.pinned, timeout_s=60)
        assert (await model.ask())["SCORE"] == [1.0]
