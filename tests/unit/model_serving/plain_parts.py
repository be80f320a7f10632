"""Stand-ins for archive and inference server that do what a test tells them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_serving.domain.answer import DTYPES, Answer, AnsweredOutput, ExpectedOutput
from model_serving.domain.failure import Reason, RunFailedError
from model_serving.domain.form import ModelForm, form_of
from model_serving.domain.pixels import PixelDescription
from model_serving.domain.source import SourceImages, shape_of
from model_serving.ports import ArchiveAwayError, ModelLostError, PinnedModel, StackRequest, TensorSpec
from model_serving.usecases.golden import Verdict
from udckit.errors import UpstreamUnavailableError
from udcmodel.grant import ArchiveRecord
from udcmodel.manifest import Manifest
from unit.model_serving.manifests import BRAIN, CHEST

AIR = PixelDescription(
    modality="CT",
    photometric="MONOCHROME2",
    bits_allocated=16,
    bits_stored=16,
    high_bit=15,
    is_signed=True,
    slope=1.0,
    intercept=0.0,
)


@dataclass
class PlainImages:
    """Every stack is air, from archives that are not ``away``. ``during`` happens while it is retrieved."""

    during: Callable[[], Any] = lambda: None
    waits: asyncio.Event | None = None
    asked: list[StackRequest] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    away: set[str] = field(default_factory=set)
    probed_in_vain: asyncio.Event = field(default_factory=asyncio.Event)
    found_back: asyncio.Event = field(default_factory=asyncio.Event)

    async def probe(self, archive: ArchiveRecord) -> None:
        if archive.archive in self.away:
            self.probed_in_vain.set()
            raise UpstreamUnavailableError(f"{archive.archive} does not answer")
        self.found_back.set()

    @asynccontextmanager
    async def retrieved(self, requests: Sequence[StackRequest]) -> AsyncIterator[Sequence[SourceImages]]:
        self.asked.extend(requests)
        self.begun.set()
        for request in requests:
            if request.archive.archive in self.away:
                raise ArchiveAwayError(f"{request.archive.archive} does not answer", archive=request.archive.archive)
        for request in requests[:1]:
            request.image_came()
        if self.waits is not None:
            await self.waits.wait()
        self.during()
        yield [air(request) for request in requests]


def air(request: StackRequest) -> SourceImages:
    images = SourceImages(request.plan.frames, space=request.space)
    for slot in range(len(request.plan.frames)):
        images.put(slot, np.full(shape_of(request.plan.frames)[1:], -1000, np.int16), AIR)
    images.finish()
    return images


async def no_golden_cases(_model: PinnedModel, _manifest: Manifest) -> Verdict:
    return Verdict(is_passed=True, text="none registered")


Answering = Callable[[Mapping[str, NDArray[Any]]], Mapping[str, NDArray[Any]]]


@dataclass
class PlainBackend:
    """Answers with zeros, or as told.

    Models in ``broken`` cannot be loaded, those in ``hanging`` are too late, those in ``wedged`` until they are
    unloaded; those in ``kept`` cannot be unloaded. ``holds`` is the digest of what is loaded under each name.
    """

    answering: Answering | None = None
    broken: set[str] = field(default_factory=set)
    hanging: set[str] = field(default_factory=set)
    forms: dict[str, ModelForm] = field(
        default_factory=lambda: {device.model.name: form_of(device) for device in (BRAIN, CHEST)}
    )
    wedged: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    holds: dict[str, str] = field(default_factory=dict)
    loaded: list[str] = field(default_factory=list)
    unloaded: list[str] = field(default_factory=list)
    inferred: list[str] = field(default_factory=list)

    async def load(self, model: PinnedModel, *, timeout_s: float) -> None:
        assert timeout_s > 0
        if model.name in self.broken:
            raise RunFailedError(Reason.MODEL_NOT_READY, f"{model.name} cannot be loaded")
        self.holds[model.name] = model.digest
        self.loaded.append(model.name)

    async def unload(self, model: PinnedModel, *, timeout_s: float) -> None:
        assert timeout_s > 0
        if model.name in self.kept:
            raise RunFailedError(Reason.MODEL_NOT_READY, f"{model.name} is not unloaded")
        self.unloaded.append(model.name)
        self.wedged.discard(model.name)

    async def form(self, model: PinnedModel) -> ModelForm:
        return self.forms[model.name]

    @asynccontextmanager
    async def exchange(
        self, model: PinnedModel, inputs: Sequence[TensorSpec], outputs: Sequence[ExpectedOutput]
    ) -> AsyncIterator["PlainExchange"]:
        tensors = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in inputs}
        yield PlainExchange(self, model, tensors, outputs)


@dataclass
class PlainExchange:
    """Tensors in the memory of this process."""

    backend: PlainBackend
    model: PinnedModel
    inputs: dict[str, NDArray[Any]]
    outputs: Sequence[ExpectedOutput]

    async def infer(self, *, timeout_s: float) -> Answer:
        if self.model.name in self.backend.hanging | self.backend.wedged:
            await asyncio.sleep(min(timeout_s, 0.05))
            raise RunFailedError(Reason.INFERENCE_TIMED_OUT, "no answer in time")
        if self.backend.holds.get(self.model.name) != self.model.digest:
            raise ModelLostError(f"other files are loaded as {self.model.name}")
        self.backend.inferred.append(self.model.name)
        arrays: dict[str, NDArray[Any]] = {
            output.name: np.zeros(output.shape, DTYPES[output.datatype]) for output in self.outputs
        }
        if self.backend.answering is not None:
            arrays.update(self.backend.answering(self.inputs))
        return Answer(
            model_version=str(self.model.number),
            outputs={
                output.name: AnsweredOutput(
                    datatype=output.datatype, shape=arrays[output.name].shape, content=arrays[output.name].tobytes()
                )
                for output in self.outputs
            },
        )
