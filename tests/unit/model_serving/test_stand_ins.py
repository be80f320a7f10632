"""The stand-ins keep the promises of the ports."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from model_serving.domain.form import ModelForm, TensorForm
from model_serving.ports import PinnedModel
from unit.model_serving.contracts import (
    ARCHIVE,
    ATTACHMENT,
    STACK,
    VERSION,
    ArtefactsContract,
    BackendContract,
    RegistryContract,
    RunsContract,
)
from unit.model_serving.manifests import BRAIN
from unit.model_serving.plain_parts import PlainBackend
from unit.model_serving.stand_ins import PlainArtefacts, PlainRegistry, PlainRuns


class TestPlainRegistry(RegistryContract):
    @pytest.fixture
    def registry(self) -> PlainRegistry:
        return PlainRegistry(
            versions={(VERSION.device, VERSION.version): VERSION},
            attachments={ATTACHMENT.attachment: ATTACHMENT},
            archives={ARCHIVE.archive: ARCHIVE},
        )

    @pytest.fixture
    def stale_registry(self, registry: PlainRegistry) -> PlainRegistry:
        registry.is_stale = True
        return registry


class TestPlainArtefacts(ArtefactsContract):
    @pytest.fixture
    def artefacts(self) -> PlainArtefacts:
        return PlainArtefacts(manifests={BRAIN.digest: BRAIN})

    @pytest.fixture
    def stack_digest(self, artefacts: PlainArtefacts) -> str:
        return artefacts.add_stack(STACK)


class TestPlainRuns(RunsContract):
    @pytest.fixture
    def runs(self) -> PlainRuns:
        return PlainRuns()


class TestPlainBackend(BackendContract):
    @pytest.fixture
    def backend(self) -> PlainBackend:
        vector = TensorForm("FP32", (None,))
        return PlainBackend(
            answering=lambda inputs: {"OUT": 2 * np.asarray(inputs["IN"])},
            hanging={"late"},
            broken={"absent"},
            forms={"model": ModelForm(inputs={"IN": vector}, outputs={"OUT": vector})},
        )

    @pytest.fixture
    def model(self) -> PinnedModel:
        return PinnedModel(device="d", version="1", name="model", number=1, digest="sha256:x")

    @pytest.fixture
    def late(self) -> PinnedModel:
        return PinnedModel(device="d", version="1", name="late", number=1, digest="sha256:x")

    @pytest.fixture
    def replacing(self) -> Callable[[PinnedModel], PinnedModel]:
        return lambda model: replace(model, version="2", digest="sha256:y")

    @pytest.fixture
    def absent(self) -> PinnedModel:
        return PinnedModel(device="d", version="1", name="absent", number=1, digest="sha256:x")
