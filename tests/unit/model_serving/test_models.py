"""Who may use which model, and when it is trusted."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from model_serving.domain.failure import Reason, RunFailedError
from model_serving.ports import ModelLostError
from model_serving.usecases import Models
from udcmodel.grant import Grant
from udcmodel.manifest import Manifest
from udcmodel.vocabulary import Mode
from unit.model_serving.manifests import BRAIN, CHEST
from unit.model_serving.plain_parts import PlainBackend
from unit.model_serving.stand_ins import NOON


def grant_for(manifest: Manifest) -> Grant:
    return Grant(
        job="job",
        device=manifest.device,
        version=manifest.version,
        attachment="a",
        attachment_revision=1,
        organisation="",
        mode=Mode.LIVE,
        manifest_digest=manifest.digest,
        model_digest="sha256:x",
        input_digests=(),
        valid_until=NOON + timedelta(hours=1),
    )


BRAIN_GRANT = grant_for(BRAIN)
CHEST_GRANT = grant_for(CHEST)


@pytest.fixture
async def backend() -> PlainBackend:
    return PlainBackend()


@pytest.fixture
async def models(backend: PlainBackend) -> Models:
    return Models(backend, slots=2, runs_per_model=1, load_s=1, canary_s=1)


async def hold(models: Models, manifest: Manifest, until: asyncio.Event) -> None:
    async with models.used(manifest, grant_for(manifest)):
        await until.wait()


async def test_a_model_is_loaded_and_proven_once(models: Models, backend: PlainBackend) -> None:
    for _ in range(3):
        async with models.used(BRAIN, BRAIN_GRANT):
            assert models.busy == 1
    assert backend.loaded == backend.inferred == [BRAIN.model.name]
    (status,) = models.statuses()
    assert (status.is_ready, status.canary) == (True, "passed")
    assert models.busy == 0


async def test_a_model_that_fails_on_a_phantom_is_not_ready_and_says_why(models: Models, backend: PlainBackend) -> None:
    backend.hanging.add(BRAIN.model.name)
    with pytest.raises(RunFailedError) as failure:
        async with models.used(BRAIN, BRAIN_GRANT):
            pytest.fail("a model that hangs was handed out")
    assert failure.value.reason is Reason.MODEL_NOT_READY
    (status,) = models.statuses()
    assert not status.is_ready
    assert "INFERENCE_TIMED_OUT" in status.canary

    backend.hanging.clear()
    async with models.used(BRAIN, BRAIN_GRANT):
        assert models.statuses()[0].is_ready


@pytest.mark.parametrize(
    "trouble", [RunFailedError(Reason.INFERENCE_TIMED_OUT, "no answer"), ModelLostError("it restarted")]
)
async def test_a_model_that_did_not_answer_is_proven_again(
    models: Models, backend: PlainBackend, trouble: Exception
) -> None:
    with pytest.raises(type(trouble)):
        async with models.used(BRAIN, BRAIN_GRANT):
            raise trouble
    async with models.used(BRAIN, BRAIN_GRANT):
        assert backend.loaded == [BRAIN.model.name] * 2


async def test_a_failure_that_says_nothing_about_the_model_changes_nothing(
    models: Models, backend: PlainBackend
) -> None:
    with pytest.raises(RunFailedError):
        async with models.used(BRAIN, BRAIN_GRANT):
            raise RunFailedError(Reason.FRAME_MISSING, "a slice")
    async with models.used(BRAIN, BRAIN_GRANT):
        assert backend.loaded == [BRAIN.model.name]


async def test_a_model_that_hangs_leaves_room_for_others(models: Models) -> None:
    never = asyncio.Event()
    hung = [asyncio.create_task(hold(models, BRAIN, never)) for _ in range(4)]
    for _ in range(50):
        await asyncio.sleep(0)
    assert models.busy == 1
    try:
        async with asyncio.timeout(5), models.used(CHEST, CHEST_GRANT):
            assert models.busy == 2
    finally:
        for task in hung:
            task.cancel()
        await asyncio.gather(*hung, return_exceptions=True)
    assert models.busy == 0


async def test_no_more_run_than_there_are_slots(backend: PlainBackend) -> None:
    models = Models(backend, slots=2, runs_per_model=2, load_s=1, canary_s=1)
    done = asyncio.Event()
    running = [asyncio.create_task(hold(models, manifest, done)) for manifest in (BRAIN, BRAIN, CHEST, CHEST)]
    for _ in range(50):
        await asyncio.sleep(0)
    assert models.busy == models.slots == 2
    done.set()
    await asyncio.gather(*running)
    assert models.busy == 0


async def test_another_digest_is_another_model(models: Models, backend: PlainBackend) -> None:
    async with models.used(BRAIN, BRAIN_GRANT):
        pass
    other = replace(BRAIN_GRANT, model_digest="sha256:y")
    async with models.used(BRAIN, other):
        assert backend.loaded == [BRAIN.model.name] * 2
