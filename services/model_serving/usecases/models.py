"""Which models are proven to work here, and who may use them now."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from model_serving.domain.answer import check_answer, expected_outputs
from model_serving.domain.canary import canary_stack
from model_serving.domain.failure import Reason, RunFailedError
from model_serving.domain.form import disagreements, form_of
from model_serving.domain.prepare import TensorPlan, plan_tensor
from model_serving.ports import Backend, ModelLostError, PinnedModel, TensorSpec
from udckit.errors import ServiceError
from udcmodel.grant import Grant
from udcmodel.manifest import Manifest

NEVER_RUN = "not run yet"
PASSED = "passed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """A model as people see it. ``canary`` is ``passed``, or why the last inference on a phantom did not pass."""

    device: str
    version: str
    model: str
    is_ready: bool
    canary: str


@dataclass(slots=True, kw_only=True)
class _Entry:
    model: PinnedModel
    permits: asyncio.Semaphore
    proving: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_proven: bool = False
    canary: str = NEVER_RUN


class Models:
    """The models that jobs have asked for.

    A model is loaded at its first need and then proven by an inference on a phantom; "loaded" alone says nothing. After
    a run that did not end in time, or when the backend has lost it, it is proven again before anybody waits for it.

    Args:
        backend: What runs them.
        slots: How many jobs run here at the same time.
        runs_per_model: How many of them may be of one model, so that a model that hangs leaves room for others.
        load_s: How long loading may take, in seconds.
        canary_s: How long an inference on a phantom may take, in seconds.
    """

    def __init__(self, backend: Backend, *, slots: int, runs_per_model: int, load_s: float, canary_s: float) -> None:
        self._backend = backend
        self._slots = asyncio.Semaphore(slots)
        self._slot_count = slots
        self._runs_per_model = runs_per_model
        self._load_s = load_s
        self._canary_s = canary_s
        self._entries: dict[PinnedModel, _Entry] = {}
        self._busy = 0

    @property
    def slots(self) -> int:
        """How many jobs run here at the same time."""
        return self._slot_count

    @property
    def busy(self) -> int:
        """How many run now."""
        return self._busy

    def statuses(self) -> Sequence[ModelStatus]:
        """Return every model that was asked for."""
        return [
            ModelStatus(
                device=entry.model.device,
                version=entry.model.version,
                model=entry.model.name,
                is_ready=entry.is_proven,
                canary=entry.canary,
            )
            for entry in self._entries.values()
        ]

    @asynccontextmanager
    async def used(self, manifest: Manifest, grant: Grant) -> AsyncIterator[PinnedModel]:
        """Have a proven model and a slot while the block runs, waiting for both.

        Raises:
            RunFailedError: the model is not the registered one, cannot be loaded, or fails on a phantom.
            ServiceError: the backend is away.
        """
        entry = self._entry(manifest, grant)
        async with entry.permits:
            await self._prove(entry, manifest)
            async with self._slots:
                self._busy += 1
                try:
                    yield entry.model
                except ModelLostError:
                    entry.is_proven = False
                    raise
                except RunFailedError as error:
                    if error.reason is Reason.INFERENCE_TIMED_OUT:
                        entry.is_proven = False
                    raise
                finally:
                    self._busy -= 1

    def _entry(self, manifest: Manifest, grant: Grant) -> _Entry:
        model = PinnedModel(
            device=grant.device,
            version=grant.version,
            name=manifest.model.name,
            number=manifest.model.version,
            digest=grant.model_digest,
        )
        return self._entries.setdefault(model, _Entry(model=model, permits=asyncio.Semaphore(self._runs_per_model)))

    async def _prove(self, entry: _Entry, manifest: Manifest) -> None:
        async with entry.proving:
            if entry.is_proven:
                return
            try:
                await self._backend.load(entry.model, timeout_s=self._load_s)
                await self._compare_form(entry.model, manifest)
                await self._infer_on_phantom(entry.model, manifest)
            except RunFailedError as error:
                entry.canary = str(error)
                if error.reason in {Reason.MODEL_CHANGED, Reason.MODEL_FORM, Reason.MODEL_NOT_READY}:
                    raise
                raise RunFailedError(Reason.MODEL_NOT_READY, f"an inference on a phantom failed: {error}") from error
            except ServiceError as error:
                entry.canary = error.message
                raise
            entry.is_proven = True
            entry.canary = PASSED

    async def _compare_form(self, model: PinnedModel, manifest: Manifest) -> None:
        found = disagreements(form_of(manifest), await self._backend.form(model))
        if found:
            raise RunFailedError(
                Reason.MODEL_FORM, f"model {model.name} is not what its manifest says: {'; '.join(found)}"
            )

    async def _infer_on_phantom(self, model: PinnedModel, manifest: Manifest) -> None:
        """Run the model on tensors of declared form that hold nothing but the declared filling."""
        plans = {item.name: plan_tensor(item, canary_stack(item).frames) for item in manifest.inputs}
        expected = expected_outputs(manifest, {name: made.shape for name, made in plans.items()})
        async with self._backend.exchange(model, tensor_specs(manifest, plans), expected) as exchange:
            for item in manifest.inputs:
                exchange.inputs[item.tensor.name][...] = item.tensor.fill
            answer = await exchange.infer(timeout_s=self._canary_s)
            check_answer(answer, expected, model_version=model.number)


def tensor_specs(manifest: Manifest, plans: Mapping[str, TensorPlan]) -> list[TensorSpec]:
    """Return what each input's tensor is called and how it is laid out.

    Args:
        manifest: The device's.
        plans: By the input's name.
    """
    return [
        TensorSpec(name=item.tensor.name, shape=plans[item.name].shape, dtype=plans[item.name].casting.dtype.name)
        for item in manifest.inputs
    ]


def tensors_by_input(manifest: Manifest, tensors: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
    """Return the tensors by the input's name instead of their own."""
    return {item.name: tensors[item.tensor.name] for item in manifest.inputs}
