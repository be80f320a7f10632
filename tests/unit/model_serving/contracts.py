"""What every implementation of a port must do; stand-ins and real adapters pass the same suite."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from model_serving.domain.answer import ExpectedOutput, check_answer
from model_serving.domain.failure import Reason, RunFailedError
from model_serving.domain.form import ModelForm, TensorForm
from model_serving.domain.progress import Reached, Stage
from model_serving.domain.run import Dispatch
from model_serving.ports import Artefacts, Backend, ModelLostError, PinnedModel, Registry, Runs, TensorSpec
from udckit.errors import NotFoundError
from udckit.replica import StaleReplicaError
from udcmodel.grant import ArchiveRecord, AttachmentRecord, DeviceVersionRecord
from udcmodel.result import AiResult, Code, Finding, Provenance, SourceInstance
from udcmodel.stack import StackDescriptor
from udcmodel.vocabulary import Mode, Presence
from unit.model_serving.manifests import BRAIN
from unit.model_serving.stand_ins import PlainArtefacts, PlainRegistry, granted

ARCHIVE = ArchiveRecord(archive="pacs.main", dicomweb_url="https://pacs/dicom-web", credentials="pacs", profile="air")
ATTACHMENT = AttachmentRecord(
    attachment="a-1",
    revision=3,
    device="ct-brain",
    version="1.0.0",
    mode=Mode.PILOT,
    is_suspended=False,
    organisations=("1.2.643",),
)
VERSION = DeviceVersionRecord(
    device="ct-brain",
    version="1.0.0",
    manifest_digest="sha256:m",
    model_digest="sha256:d",
    is_medical_device=True,
    is_suspended=True,
    suspension_reason="a false negative",
    certificate=None,
)
STACK = StackDescriptor(
    archive="pacs",
    study_instance_uid="1.2",
    series_instance_uid="1.2.3",
    modality="CT",
    frame_of_reference_uid="1.2.4",
    frames=(),
    instance_count=0,
)
RESULT = AiResult(
    provenance=Provenance(
        job="job-1",
        device="ct-brain",
        version="1.0.0",
        manifest_digest="sha256:m",
        model_digest="sha256:d",
        processing_version="1.0.0",
        input_digests=("sha256:i",),
    ),
    language="ru",
    findings=(Finding(id="f", code=Code("1", "SCT", "one"), presence=Presence.ABSENT, probability=0.25),),
    sources=(
        SourceInstance(
            sop_class_uid="1", sop_instance_uid="1.2.3.4", series_instance_uid="1.2.3", study_instance_uid="1.2"
        ),
    ),
)


class RegistryContract:
    """``registry`` holds ``VERSION``, ``ATTACHMENT`` and ``ARCHIVE``; ``stale_registry`` may be out of date."""

    async def test_records_come_back_as_they_were_registered(self, registry: Registry) -> None:
        assert registry.device_version("ct-brain", "1.0.0") == VERSION
        assert registry.attachment("a-1") == ATTACHMENT
        assert registry.archive("pacs.main") == ARCHIVE

    async def test_what_is_not_registered_is_none(self, registry: Registry) -> None:
        assert registry.device_version("ct-brain", "1.0.1") is None
        assert registry.attachment("a-2") is None
        assert registry.archive("pacs") is None

    async def test_an_old_copy_gives_no_answer(self, stale_registry: Registry) -> None:
        with pytest.raises(StaleReplicaError):
            stale_registry.device_version("ct-brain", "1.0.0")
        with pytest.raises(StaleReplicaError):
            stale_registry.attachment("unknown")
        with pytest.raises(StaleReplicaError):
            stale_registry.archive("pacs.main")


class ArtefactsContract:
    """``artefacts`` holds the manifest ``BRAIN`` and ``STACK`` under ``stack_digest``."""

    async def test_what_was_stored_comes_back(self, artefacts: Artefacts, stack_digest: str) -> None:
        assert await artefacts.manifest(BRAIN.digest) == BRAIN
        assert await artefacts.stack(stack_digest) == STACK

    async def test_what_was_not_stored_is_not_found(self, artefacts: Artefacts) -> None:
        for look in (artefacts.manifest, artefacts.stack):
            with pytest.raises(NotFoundError):
                await look("sha256:" + "0" * 64)

    async def test_the_same_result_has_the_same_digest(self, artefacts: Artefacts) -> None:
        digest = await artefacts.keep(RESULT)
        assert digest == await artefacts.keep(RESULT)
        assert digest != await artefacts.keep(replace(RESULT, language="en"))


class RunsContract:
    """``runs`` is empty."""

    async def test_an_attempt_begins_and_begins_again(self, runs: Runs) -> None:
        assert await runs.begin(a_dispatch(attempt=1))
        assert await runs.begin(a_dispatch(attempt=1))

    async def test_an_attempt_older_than_a_known_one_does_not_begin(self, runs: Runs) -> None:
        assert await runs.begin(a_dispatch(attempt=2))
        assert not await runs.begin(a_dispatch(attempt=1))
        assert await runs.begin(a_dispatch(attempt=3))

    async def test_an_attempt_may_say_how_far_it_is_as_often_as_it_likes(self, runs: Runs) -> None:
        assert await runs.begin(a_dispatch(attempt=1))
        for retrieved in (3, 3, 7):
            reached = Reached(stage=Stage.RETRIEVING, retrieved=retrieved, wanted=20)
            await runs.progressed(a_dispatch(attempt=1), reached)

    async def test_jobs_do_not_know_each_other(self, runs: Runs) -> None:
        assert await runs.begin(a_dispatch(attempt=2))
        assert await runs.begin(replace(a_dispatch(attempt=1), job="job-2"))


def a_dispatch(*, attempt: int) -> Dispatch:
    return replace(granted(BRAIN, "sha256:d", [STACK], PlainRegistry(), PlainArtefacts()), attempt=attempt)


class BackendContract:
    """``backend`` has ``model``, which answers the double of IN in OUT, and ``late``, which takes its time.

    ``replacing`` puts other files where those of a model are, and returns the model of a version that has those.
    """

    inputs = (TensorSpec(name="IN", shape=(3,), dtype="float32"),)
    outputs = (ExpectedOutput(name="OUT", datatype="FP32", shape=(3,), is_probability=False),)

    async def test_a_model_answers_what_it_was_given(self, backend: Backend, model: PinnedModel) -> None:
        await backend.load(model, timeout_s=60)
        async with backend.exchange(model, self.inputs, self.outputs) as exchange:
            exchange.inputs["IN"][:] = (1, 2, 3)
            answered = check_answer(await exchange.infer(timeout_s=20), self.outputs, model_version=1)
            np.testing.assert_array_equal(answered["OUT"], [2, 4, 6])

    async def test_a_model_says_what_its_tensors_are(self, backend: Backend, model: PinnedModel) -> None:
        await backend.load(model, timeout_s=60)
        assert await backend.form(model) == ModelForm(
            inputs={"IN": TensorForm("FP32", (None,))}, outputs={"OUT": TensorForm("FP32", (None,))}
        )

    async def test_a_model_that_is_late_is_a_named_failure(self, backend: Backend, late: PinnedModel) -> None:
        await backend.load(late, timeout_s=60)
        with pytest.raises(RunFailedError) as failure:
            async with backend.exchange(late, self.inputs, self.outputs) as exchange:
                await exchange.infer(timeout_s=0.2)
        assert failure.value.reason is Reason.INFERENCE_TIMED_OUT

    async def test_an_unloaded_model_is_loaded_again(self, backend: Backend, model: PinnedModel) -> None:
        await backend.load(model, timeout_s=60)
        await backend.unload(model, timeout_s=60)
        await backend.unload(model, timeout_s=60)
        await backend.load(model, timeout_s=60)
        async with backend.exchange(model, self.inputs, self.outputs) as exchange:
            exchange.inputs["IN"][:] = (1, 2, 3)
            answered = check_answer(await exchange.infer(timeout_s=20), self.outputs, model_version=1)
            np.testing.assert_array_equal(answered["OUT"], [2, 4, 6])

    async def test_what_other_files_of_that_name_answer_is_not_the_models_answer(
        self, backend: Backend, model: PinnedModel, replacing: Callable[[PinnedModel], PinnedModel]
    ) -> None:
        await backend.load(model, timeout_s=60)
        async with backend.exchange(model, self.inputs, self.outputs) as begun:
            begun.inputs["IN"][:] = (1, 2, 3)
            other = replacing(model)
            await backend.load(other, timeout_s=60)
            with pytest.raises(ModelLostError):
                await begun.infer(timeout_s=20)
        async with backend.exchange(other, self.inputs, self.outputs) as exchange:
            exchange.inputs["IN"][:] = (1, 2, 3)
            check_answer(await exchange.infer(timeout_s=20), self.outputs, model_version=1)

    async def test_a_model_that_is_not_there_cannot_be_loaded(self, backend: Backend, absent: PinnedModel) -> None:
        with pytest.raises(RunFailedError):
            await backend.load(absent, timeout_s=60)
