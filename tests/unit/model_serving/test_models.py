"""Who may use which model, and when it is trusted."""

import asyncio
from dataclasses import replace

import pytest

from model_serving.domain.failure import Reason, RunFailedError
from model_serving.ports import ModelLostError, NotActivatedError, PinnedModel
from model_serving.usecases import Models
from model_serving.usecases.golden import Verdict
from model_serving.usecases.models import MOST_RELOADS
from udcmodel.manifest import Manifest
from unit.model_serving.manifests import BRAIN, CHEST
from unit.model_serving.plain_parts import PlainBackend, no_golden_cases


def model_of(manifest: Manifest) -> PinnedModel:
    return PinnedModel(
        device=manifest.device,
        version=manifest.version,
        name=manifest.model.name,
        number=manifest.model.version,
        digest="sha256:x",
    )


BRAIN_MODEL = model_of(BRAIN)
CHEST_MODEL = model_of(CHEST)


@pytest.fixture
async def backend() -> PlainBackend:
    return PlainBackend()


@pytest.fixture
async def models(backend: PlainBackend) -> Models:
    return Models(backend, no_golden_cases, slots=2, runs_per_model=1, load_s=1, canary_s=1)


async def hold(models: Models, manifest: Manifest, until: asyncio.Event) -> None:
    async with models.used(model_of(manifest), manifest):
        await until.wait()


async def test_a_model_is_loaded_and_proven_once(models: Models, backend: PlainBackend) -> None:
    for _ in range(3):
        async with models.used(BRAIN_MODEL, BRAIN):
            assert models.busy == 1
    assert backend.loaded == backend.inferred == [BRAIN.model.name]
    (status,) = models.statuses()
    assert (status.is_ready, status.canary) == (True, "passed")
    assert models.busy == 0


async def test_a_model_that_fails_on_a_phantom_is_not_ready_and_says_why(models: Models, backend: PlainBackend) -> None:
    backend.hanging.add(BRAIN.model.name)
    with pytest.raises(RunFailedError) as failure:
        async with models.used(BRAIN_MODEL, BRAIN):
            pytest.fail("a model that hangs was handed out")
    assert failure.value.reason is Reason.MODEL_NOT_READY
    (status,) = models.statuses()
    assert not status.is_ready
    assert "INFERENCE_TIMED_OUT" in status.canary

    backend.hanging.clear()
    async with models.used(BRAIN_MODEL, BRAIN):
        assert models.statuses()[0].is_ready


@pytest.mark.parametrize(
    "trouble", [RunFailedError(Reason.INFERENCE_TIMED_OUT, "no answer"), ModelLostError("it restarted")]
)
async def test_a_model_that_did_not_answer_is_proven_again(
    models: Models, backend: PlainBackend, trouble: Exception
) -> None:
    with pytest.raises(type(trouble)):
        async with models.used(BRAIN_MODEL, BRAIN):
            raise trouble
    async with models.used(BRAIN_MODEL, BRAIN):
        assert backend.loaded == [BRAIN.model.name] * 2


async def test_a_failure_that_says_nothing_about_the_model_changes_nothing(
    models: Models, backend: PlainBackend
) -> None:
    with pytest.raises(RunFailedError):
        async with models.used(BRAIN_MODEL, BRAIN):
            raise RunFailedError(Reason.FRAME_MISSING, "a slice")
    async with models.used(BRAIN_MODEL, BRAIN):
        assert backend.loaded == [BRAIN.model.name]


async def test_a_model_that_hangs_leaves_room_for_others(models: Models) -> None:
    never = asyncio.Event()
    hung = [asyncio.create_task(hold(models, BRAIN, never)) for _ in range(4)]
    for _ in range(50):
        await asyncio.sleep(0)
    assert models.busy == 1
    try:
        async with asyncio.timeout(5), models.used(CHEST_MODEL, CHEST):
            assert models.busy == 2
    finally:
        for task in hung:
            task.cancel()
        await asyncio.gather(*hung, return_exceptions=True)
    assert models.busy == 0


async def test_no_more_run_than_there_are_slots(backend: PlainBackend) -> None:
    models = Models(backend, no_golden_cases, slots=2, runs_per_model=2, load_s=1, canary_s=1)
    done = asyncio.Event()
    running = [asyncio.create_task(hold(models, manifest, done)) for manifest in (BRAIN, BRAIN, CHEST, CHEST)]
    for _ in range(50):
        await asyncio.sleep(0)
    assert models.busy == models.slots == 2
    done.set()
    await asyncio.gather(*running)
    assert models.busy == 0


async def test_another_digest_is_another_model(models: Models, backend: PlainBackend) -> None:
    async with models.used(BRAIN_MODEL, BRAIN):
        pass
    async with models.used(replace(BRAIN_MODEL, digest="sha256:y"), BRAIN):
        assert backend.loaded == [BRAIN.model.name] * 2


SECOND = replace(BRAIN_MODEL, version="2.0.0", digest="sha256:y")


async def test_a_version_whose_files_others_took_the_place_of_is_proven_again_before_it_runs(
    models: Models, backend: PlainBackend
) -> None:
    await models.load(BRAIN_MODEL, BRAIN)
    await models.load(SECOND, BRAIN)
    assert [status.is_ready for status in models.statuses()] == [False, True]

    async with models.used(BRAIN_MODEL, BRAIN):
        assert backend.holds == {BRAIN.model.name: BRAIN_MODEL.digest}
        assert backend.inferred == [BRAIN.model.name] * 3
    assert [status.is_ready for status in models.statuses()] == [True, False]


async def test_versions_with_the_same_files_stay_proven_beside_each_other(models: Models) -> None:
    await models.load(BRAIN_MODEL, BRAIN)
    await models.load(replace(BRAIN_MODEL, version="1.0.1"), BRAIN)
    assert [status.is_ready for status in models.statuses()] == [True, True]


async def test_who_has_the_name_is_unloaded_with_whoever_shares_it(models: Models) -> None:
    await models.load(BRAIN_MODEL, BRAIN)
    await models.unload(SECOND)
    assert not any(status.is_ready for status in models.statuses())


async def test_a_model_lost_during_its_golden_cases_is_loaded_again(backend: PlainBackend) -> None:
    lost = [ModelLostError("it restarted")]

    async def losing(_model: PinnedModel, _manifest: Manifest) -> Verdict:
        if lost:
            raise lost.pop()
        return Verdict(is_passed=True, text="passed")

    models = Models(backend, losing, slots=2, runs_per_model=1, load_s=1, canary_s=1)
    with pytest.raises(ModelLostError):
        await models.load(BRAIN_MODEL, BRAIN)
    await models.load(BRAIN_MODEL, BRAIN)
    assert backend.loaded == [BRAIN.model.name] * 2


async def test_a_version_whose_golden_case_failed_is_loaded_and_runs_nothing(backend: PlainBackend) -> None:
    async def failed(model: PinnedModel, _: Manifest) -> Verdict:
        is_chest = model == CHEST_MODEL
        return Verdict(is_passed=is_chest, text="passed" if is_chest else "golden case left: expected 1, got 0")

    models = Models(backend, failed, slots=2, runs_per_model=1, load_s=1, canary_s=1)

    with pytest.raises(NotActivatedError, match="golden case left: expected 1, got 0"):
        async with models.used(BRAIN_MODEL, BRAIN):
            pytest.fail("a version that is not activated was handed out")
    async with models.used(CHEST_MODEL, CHEST):
        assert models.busy == 1

    brain, chest = models.statuses()
    assert (brain.is_ready, brain.is_activated, chest.is_activated) == (True, False, True)

    models.judged(BRAIN_MODEL, Verdict(is_passed=True, text="passed"))
    async with models.used(BRAIN_MODEL, BRAIN):
        assert models.statuses()[0].is_activated


async def test_an_unloaded_model_is_loaded_again_for_the_next_job(models: Models, backend: PlainBackend) -> None:
    await models.load(BRAIN_MODEL, BRAIN)
    await models.unload(BRAIN_MODEL)
    assert not models.statuses()[0].is_ready
    async with models.used(BRAIN_MODEL, BRAIN):
        assert backend.loaded == [BRAIN.model.name] * 2
    assert backend.unloaded == [BRAIN.model.name]


HANG = RunFailedError(Reason.INFERENCE_TIMED_OUT, "no answer")


async def run_that_hangs(models: Models) -> None:
    with pytest.raises(RunFailedError):
        async with models.used(BRAIN_MODEL, BRAIN):
            raise HANG


async def test_a_model_that_hung_is_loaded_anew_and_works_again(models: Models, backend: PlainBackend) -> None:
    await run_that_hangs(models)
    backend.wedged.add(BRAIN.model.name)
    async with models.used(BRAIN_MODEL, BRAIN):
        assert backend.unloaded == [BRAIN.model.name]
        assert backend.loaded == [BRAIN.model.name] * 2


async def test_a_model_that_hangs_again_and_again_is_not_loaded_anew_for_ever(
    models: Models, backend: PlainBackend
) -> None:
    for _ in range(MOST_RELOADS + 1):
        await run_that_hangs(models)
    backend.wedged.add(BRAIN.model.name)
    for _ in range(3):
        with pytest.raises(RunFailedError) as failure:
            async with models.used(BRAIN_MODEL, BRAIN):
                pytest.fail("a model that hangs was handed out")
        assert failure.value.reason is Reason.MODEL_NOT_READY
    assert backend.unloaded == [BRAIN.model.name] * MOST_RELOADS

    backend.wedged.clear()  # somebody has started the backend again
    async with models.used(BRAIN_MODEL, BRAIN):
        pass
    await run_that_hangs(models)
    async with models.used(BRAIN_MODEL, BRAIN):
        assert backend.unloaded == [BRAIN.model.name] * (MOST_RELOADS + 1), "a success did not count"


async def test_a_backend_that_keeps_a_model_that_hangs_is_told_of(models: Models, backend: PlainBackend) -> None:
    await run_that_hangs(models)
    backend.kept.add(BRAIN.model.name)
    with pytest.raises(RunFailedError):
        async with models.used(BRAIN_MODEL, BRAIN):
            pytest.fail("a model that hangs was handed out")
    expected = "ct_brain_hyperdensity is not unloaded; start the inference server again"
    assert models.kept_by_backend == expected
    assert "is not unloaded" in models.statuses()[0].canary

    backend.kept.clear()
    async with models.used(BRAIN_MODEL, BRAIN):
        assert models.kept_by_backend == ""
