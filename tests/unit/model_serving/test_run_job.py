"""One job, from its dispatch to its ending."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pytest

from model_serving.domain.failure import Failed
from model_serving.domain.processing_version import PROCESSING_VERSION
from model_serving.domain.progress import Reached, Stage
from model_serving.domain.run import Abandoned, Abandonment, Dispatch, Ending, Inferred, Returned
from model_serving.usecases import Archives, Inference, InFlight, Models, RunJob
from udckit.errors import NotFoundError
from udckit.replica import StaleReplicaError
from udcmodel.grant import ArchiveRecord
from udcmodel.stack import StackDescriptor, StackFrame
from udcmodel.vocabulary import ErrorCategory, Presence
from unit.model_serving.manifests import BRAIN
from unit.model_serving.plain_parts import PlainBackend, PlainImages, no_golden_cases
from unit.model_serving.stand_ins import NOON, HandClock, PlainArtefacts, PlainRegistry, PlainRuns, granted

MODEL_DIGEST = "sha256:" + "a" * 64
STACK = StackDescriptor(
    archive="pacs",
    study_instance_uid="1.2",
    series_instance_uid="1.2.3",
    modality="CT",
    frame_of_reference_uid="1.2.4",
    frames=tuple(
        StackFrame(
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            sop_instance_uid=f"1.2.3.{number}",
            rows=16,
            columns=16,
            position=(0.0, 0.0, 5.0 * number),
            row_direction=(1.0, 0.0, 0.0),
            column_direction=(0.0, 1.0, 0.0),
            pixel_spacing=(2.0, 2.0),
        )
        for number in range(20)
    ),
    instance_count=20,
)


@dataclass
class Bench:
    registry: PlainRegistry
    artefacts: PlainArtefacts
    images: PlainImages
    archives: Archives
    backend: PlainBackend
    models: Models
    runs: PlainRuns
    in_flight: InFlight
    clock: HandClock
    dispatch: Dispatch
    progress_every_s: float = 60.0

    async def run(self, dispatch: Dispatch | None = None) -> Ending:
        run = RunJob(
            registry=self.registry,
            artefacts=self.artefacts,
            images=self.images,
            archives=self.archives,
            infer=Inference(backend=self.backend, clock=self.clock),
            models=self.models,
            runs=self.runs,
            in_flight=self.in_flight,
            clock=self.clock,
            progress_every_s=self.progress_every_s,
        )
        return await run(dispatch or self.dispatch)

    async def failure(self) -> Failed:
        ending = await self.run()
        assert isinstance(ending, Failed)
        return ending

    def suspend(self) -> None:
        key = (BRAIN.device, BRAIN.version)
        self.registry.versions[key] = replace(
            self.registry.versions[key], is_suspended=True, suspension_reason="a false negative"
        )


@pytest.fixture
async def bench() -> Bench:
    registry, artefacts, backend, images = PlainRegistry(), PlainArtefacts(), PlainBackend(), PlainImages()
    registry.archives["pacs"] = ArchiveRecord(
        archive="pacs", dicomweb_url="http://localhost", credentials="", profile="air"
    )
    return Bench(
        registry=registry,
        artefacts=artefacts,
        images=images,
        archives=Archives(registry, images),
        backend=backend,
        models=Models(backend, no_golden_cases, slots=2, runs_per_model=1, load_s=1, canary_s=1),
        runs=PlainRuns(),
        in_flight=InFlight(),
        clock=HandClock(),
        dispatch=granted(BRAIN, MODEL_DIGEST, [STACK], registry, artefacts),
    )


async def test_a_run_ends_with_a_kept_result(bench: Bench) -> None:
    ending = await bench.run()
    assert isinstance(ending, Inferred)
    result = bench.artefacts.results[ending.result_digest]
    assert result.provenance.job == "job-1"
    assert result.provenance.input_digests == bench.dispatch.grant.input_digests
    assert result.provenance.processing_version == ending.processing_version == PROCESSING_VERSION
    assert [source.sop_instance_uid for source in result.sources] == [f"1.2.3.{number}" for number in range(20)]
    assert [finding.presence for finding in result.findings] == [Presence.ABSENT]
    assert (ending.findings_present, ending.highest_probability) == (0, 0.0)
    assert bench.runs.begun == [bench.dispatch]


async def test_the_model_sees_what_the_archive_gave(bench: Bench) -> None:
    seen: list[np.ndarray] = []

    def answering(inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        seen.append(inputs["VOLUME"].copy())
        return {"PROBABILITY": np.array([0.75], np.float32)}

    bench.backend.answering = answering
    ending = await bench.run()
    assert isinstance(ending, Inferred)
    assert (ending.findings_present, ending.highest_probability) == (1, 0.75)
    canary, volume = seen
    assert (canary == -1024).all()
    assert (volume == -1000).any()


async def test_a_suspended_device_does_not_run(bench: Bench) -> None:
    bench.suspend()
    failure = await bench.failure()
    assert failure.reason == "REFUSED_DEVICE_SUSPENDED"
    assert "a false negative" in failure.detail
    assert not failure.consequence.is_retryable
    assert bench.runs.begun == []
    assert bench.images.asked == []


async def test_a_device_that_is_suspended_while_its_images_come_does_not_begin(bench: Bench) -> None:
    bench.images.during = bench.suspend
    failure = await bench.failure()
    assert failure.reason == "REFUSED_DEVICE_SUSPENDED"
    assert bench.backend.inferred == [BRAIN.model.name], "the phantom, and not the patient"


async def test_an_old_copy_of_the_registry_starts_nothing(bench: Bench) -> None:
    bench.registry.is_stale = True
    with pytest.raises(StaleReplicaError):
        await bench.run()
    assert bench.runs.begun == []


async def test_after_its_deadline_a_run_does_not_begin(bench: Bench) -> None:
    bench.clock.time = NOON + timedelta(seconds=60)
    assert await bench.run() == Abandoned(Abandonment.EXPIRED)
    assert bench.runs.begun == []


async def test_at_its_deadline_a_run_stops_and_reports_nothing(bench: Bench) -> None:
    bench.images.waits = asyncio.Event()
    soon = replace(bench.dispatch, deadline=NOON + timedelta(seconds=0.05))
    assert await bench.run(soon) == Abandoned(Abandonment.EXPIRED)
    assert bench.artefacts.results == {}


async def test_an_attempt_older_than_one_known_here_is_stale(bench: Bench) -> None:
    bench.runs.newest["job-1"] = 2
    assert await bench.run() == Abandoned(Abandonment.STALE)
    assert bench.images.asked == []


async def test_a_run_that_is_cancelled_stops_and_reports_nothing(bench: Bench) -> None:
    bench.images.waits = asyncio.Event()
    running = asyncio.create_task(bench.run())
    await bench.images.begun.wait()
    assert bench.in_flight.cancel("job-1", 1)
    assert await running == Abandoned(Abandonment.CANCELED)
    assert bench.models.busy == 0


async def test_a_run_that_was_cancelled_before_it_came_does_not_begin(bench: Bench) -> None:
    assert not bench.in_flight.cancel("job-1", 1)
    assert await bench.run() == Abandoned(Abandonment.CANCELED)
    again = replace(bench.dispatch, attempt=2)
    assert isinstance(await bench.run(again), Inferred), "the word was about the first attempt"


async def test_a_worker_that_is_stopped_lets_the_run_be_repeated(bench: Bench) -> None:
    bench.images.waits = asyncio.Event()
    running = asyncio.create_task(bench.run())
    await bench.images.begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize(
    "spoil",
    [
        lambda dispatch: replace(dispatch, inputs=()),
        lambda dispatch: replace(dispatch, inputs=(replace(dispatch.inputs[0], name="mr"),)),
        lambda dispatch: replace(dispatch, inputs=(replace(dispatch.inputs[0], digest="sha256:" + "0" * 64),)),
        lambda dispatch: replace(
            dispatch,
            inputs=dispatch.inputs * 2,
            grant=replace(dispatch.grant, input_digests=dispatch.grant.input_digests * 2),
        ),
    ],
)
async def test_inputs_that_were_not_granted_are_a_named_failure(
    bench: Bench, spoil: Callable[[Dispatch], Dispatch]
) -> None:
    bench.dispatch = spoil(bench.dispatch)
    assert (await bench.failure()).reason == "INPUT_UNKNOWN"


async def test_a_stack_that_the_manifest_does_not_accept_is_insufficient(bench: Bench) -> None:
    short = replace(STACK, frames=STACK.frames[:4])
    bench.dispatch = granted(BRAIN, MODEL_DIGEST, [short], bench.registry, bench.artefacts)
    failure = await bench.failure()
    assert failure.reason == "INPUT_UNSUITABLE"
    assert failure.consequence.is_insufficient
    assert not failure.consequence.category.is_fault_of_device
    assert bench.images.asked == []


async def test_a_manifest_that_is_gone_is_an_error_of_the_platform(bench: Bench) -> None:
    bench.artefacts.manifests.clear()
    with pytest.raises(NotFoundError):
        await bench.run()


async def test_an_archive_that_the_registry_does_not_know_yet_is_waited_for(bench: Bench) -> None:
    bench.registry.archives.clear()
    assert await bench.run() == Returned(reason="ARCHIVE_AWAY", detail="archive pacs is not in the registry")


async def test_a_job_that_takes_long_tells_how_far_it_is_and_only_what_is_new(bench: Bench) -> None:
    bench.images.waits = asyncio.Event()
    bench.progress_every_s = 0.001
    running = asyncio.create_task(bench.run())
    async with asyncio.timeout(5):
        await bench.runs.has_told.wait()
    bench.images.waits.set()
    assert isinstance(await running, Inferred)
    first, *_ = bench.runs.told
    assert first == ("job-1", Reached(stage=Stage.RETRIEVING, retrieved=1, wanted=20))
    assert len(bench.runs.told) == len(set(bench.runs.told))


async def test_a_short_job_tells_no_progress(bench: Bench) -> None:
    assert isinstance(await bench.run(), Inferred)
    assert bench.runs.told == []


async def test_a_job_whose_archive_is_away_is_given_back_and_the_next_one_asks_nobody(bench: Bench) -> None:
    bench.images.away.add("pacs")
    first = await bench.run()
    assert first == Returned(reason="ARCHIVE_AWAY", detail="pacs does not answer")
    assert bench.archives.away == {"pacs": "pacs does not answer"}
    asked = len(bench.images.asked)

    assert await bench.run() == first
    assert len(bench.images.asked) == asked


async def test_an_archive_that_is_away_is_probed_until_it_is_back(bench: Bench) -> None:
    archives = Archives(bench.registry, bench.images, shortest_s=0.001, longest_s=0.002)
    bench = replace(bench, archives=archives)
    bench.images.away.add("pacs")
    await bench.run()
    watching = asyncio.create_task(archives.watch())
    try:
        async with asyncio.timeout(5):
            await bench.images.probed_in_vain.wait()
            assert archives.away
            bench.images.away.clear()
            await bench.images.found_back.wait()
        assert archives.away == {}
        assert isinstance(await bench.run(), Inferred)
    finally:
        watching.cancel()


async def test_a_lying_model_is_a_failure_of_the_device(bench: Bench) -> None:
    def lies_about_patients(inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        is_phantom = (inputs["VOLUME"] == -1024).all()
        return {"PROBABILITY": np.array([0.0 if is_phantom else 1.5], np.float32)}

    bench.backend.answering = lies_about_patients
    failure = await bench.failure()
    assert failure.reason == "OUTPUT_OUT_OF_RANGE"
    assert failure.consequence.category is ErrorCategory.OTHER
    assert bench.artefacts.results == {}


async def test_a_model_that_lies_about_a_phantom_sees_no_patient(bench: Bench) -> None:
    bench.backend.answering = lambda _: {"PROBABILITY": np.array([np.nan], np.float32)}
    failure = await bench.failure()
    assert failure.reason == "MODEL_NOT_READY"
    assert "OUTPUT_NOT_FINITE" in failure.detail
    assert bench.images.asked == []


async def test_a_model_that_cannot_be_loaded_is_a_named_failure(bench: Bench) -> None:
    bench.backend.broken.add(BRAIN.model.name)
    failure = await bench.failure()
    assert failure.reason == "MODEL_NOT_READY"
    assert failure.consequence.is_retryable
