"""Which models are proven to work here, and who may use them now."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from model_serving.domain.answer import check_answer, expected_outputs
from model_serving.domain.canary import canary_stack
from model_serving.domain.failure import Reason, RunFailedError
from model_serving.domain.form import disagreements, form_of
from model_serving.domain.prepare import plan_tensor
from model_serving.ports import Backend, ModelLostError, NotActivatedError, PinnedModel
from model_serving.usecases.golden import NOT_RUN, PASSED, Verdict
from model_serving.usecases.inference import tensor_specs
from udckit.errors import ServiceError
from udcmodel.manifest import Manifest

_UNLOAD_S: Final = 10.0
MOST_RELOADS: Final = 3
"""An instance that hangs keeps its process and memory after it is unloaded, until the backend is started again."""

Golden = Callable[[PinnedModel, Manifest], Awaitable[Verdict]]
"""Says what the golden cases of a loaded version give; ``ProveGolden``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """A model as people see it.

    Attributes:
        is_ready: It is loaded and proven.
        canary: ``passed``, or why the last inference on a phantom did not pass.
        golden: ``passed``, ``none registered``, or what a golden case gave instead of what is expected.
        is_activated: No golden case has failed.
    """

    device: str
    version: str
    model: str
    is_ready: bool
    canary: str
    golden: str
    is_activated: bool


@dataclass(slots=True, kw_only=True)
class _Entry:
    model: PinnedModel
    permits: asyncio.Semaphore
    proving: asyncio.Lock
    is_proven: bool = False
    has_hung: bool = False
    reloads: int = 0
    kept_by_backend: str = ""
    canary: str = NOT_RUN
    judging: asyncio.Lock = field(default_factory=asyncio.Lock)
    golden: Verdict | None = None

    def status(self) -> ModelStatus:
        return ModelStatus(
            device=self.model.device,
            version=self.model.version,
            model=self.model.name,
            is_ready=self.is_proven,
            canary=self.canary,
            golden=self.golden.text if self.golden else NOT_RUN,
            is_activated=self.golden is None or self.golden.is_passed,
        )


class Models:
    """The models that jobs have asked for.

    A model is loaded at its first need and then proven by an inference on a phantom; "loaded" alone says nothing. After
    a run that did not end in time, or when the backend has lost it, it is proven again before anybody waits for it. A
    model that hangs is unloaded and loaded anew first, but only a few times as long as no job succeeds: then it is left
    alone, and fails on the phantom for as long as it hangs. Then its golden cases decide whether it runs here.

    Versions may share the backend's name of a model. Other files under that name take the place of those before, which
    are then not proven any more.

    Args:
        backend: What runs them.
        golden: Says what the golden cases of a model give.
        slots: How many jobs run here at the same time.
        runs_per_model: How many of them may be of one model, so that a model that hangs leaves room for others.
        load_s: How long loading may take, in seconds.
        canary_s: How long an inference on a phantom may take, in seconds.
    """

    def __init__(
        self, backend: Backend, golden: Golden, *, slots: int, runs_per_model: int, load_s: float, canary_s: float
    ) -> None:
        self._backend = backend
        self._golden = golden
        self._slots = asyncio.Semaphore(slots)
        self._slot_count = slots
        self._runs_per_model = runs_per_model
        self._load_s = load_s
        self._canary_s = canary_s
        self._entries: dict[PinnedModel, _Entry] = {}
        # One for each name in the backend: versions that share it are proven one after another.
        self._proving: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._busy = 0

    @property
    def slots(self) -> int:
        """How many jobs run here at the same time."""
        return self._slot_count

    @property
    def busy(self) -> int:
        """How many run now."""
        return self._busy

    @property
    def kept_by_backend(self) -> str:
        """Which model that hangs the backend did not unload, and what to do; empty when there is none."""
        return "; ".join(entry.kept_by_backend for entry in self._entries.values() if entry.kept_by_backend)

    def statuses(self) -> Sequence[ModelStatus]:
        """Return every model that was asked for."""
        return [entry.status() for entry in self._entries.values()]

    async def load(self, model: PinnedModel, manifest: Manifest) -> ModelStatus:
        """Load, prove and judge a model, as its first job would; one that is not activated is loaded all the same.

        Raises:
            RunFailedError: the model is not the registered one, cannot be loaded, or fails on a phantom.
            ServiceError: the backend is away.
        """
        entry = self._entry(model)
        await self._prove(entry, manifest)
        await self._judge(entry, manifest)
        return entry.status()

    async def prove(self, model: PinnedModel, manifest: Manifest) -> None:
        """Load and prove a model without its golden cases, which somebody runs now; raises as ``load`` does."""
        await self._prove(self._entry(model), manifest)

    async def unload(self, model: PinnedModel) -> None:
        """Take a model out of the backend's memory; the next job loads it again.

        Raises:
            ServiceError: the backend is away.
        """
        entry = self._entry(model)
        async with entry.proving:
            await self._unload(model)

    def judged(self, model: PinnedModel, verdict: Verdict) -> None:
        """Take the verdict of golden cases that somebody else has run."""
        self._entry(model).golden = verdict

    @asynccontextmanager
    async def used(self, model: PinnedModel, manifest: Manifest) -> AsyncIterator[PinnedModel]:
        """Have a proven model and a slot while the block runs, waiting for both.

        Raises:
            RunFailedError: the model is not the registered one, cannot be loaded, or fails on a phantom.
            NotActivatedError: a golden case failed.
            ServiceError: the backend is away.
        """
        entry = self._entry(model)
        async with entry.permits:
            await self._prove(entry, manifest)
            golden = await self._judge(entry, manifest)
            if not golden.is_passed:
                raise NotActivatedError(f"{model.device} {model.version} does not run here: {golden.text}")
            async with self._slots:
                self._busy += 1
                try:
                    yield entry.model
                    entry.reloads = 0
                except ModelLostError:
                    entry.is_proven = False
                    raise
                except RunFailedError as error:
                    if error.reason is Reason.INFERENCE_TIMED_OUT:
                        entry.is_proven = False
                        entry.has_hung = True
                    raise
                finally:
                    self._busy -= 1

    def _entry(self, model: PinnedModel) -> _Entry:
        return self._entries.setdefault(
            model,
            _Entry(
                model=model,
                permits=asyncio.Semaphore(self._runs_per_model),
                proving=self._proving[model.name],
            ),
        )

    def _of_name(self, name: str) -> Sequence[_Entry]:
        return [entry for entry in self._entries.values() if entry.model.name == name]

    async def _prove(self, entry: _Entry, manifest: Manifest) -> None:
        async with entry.proving:
            if entry.is_proven:
                return
            try:
                await self._unload_if_it_hangs(entry)
                await self._backend.load(entry.model, timeout_s=self._load_s)
                for other in self._of_name(entry.model.name):
                    other.is_proven = other.is_proven and other.model.digest == entry.model.digest
                await self._compare_form(entry.model, manifest)
                await self._infer_on_phantom(entry.model, manifest)
            except RunFailedError as error:
                entry.canary = str(error)
                if error.reason is Reason.INFERENCE_TIMED_OUT:
                    entry.has_hung = True
                if error.reason in {Reason.MODEL_CHANGED, Reason.MODEL_FORM, Reason.MODEL_NOT_READY}:
                    raise
                raise RunFailedError(Reason.MODEL_NOT_READY, f"an inference on a phantom failed: {error}") from error
            except ServiceError as error:
                entry.canary = error.message
                raise
            entry.canary = PASSED
            entry.has_hung = False
            entry.is_proven = True

    async def _unload_if_it_hangs(self, entry: _Entry) -> None:
        if not entry.has_hung:
            return
        if entry.reloads >= MOST_RELOADS:
            return
        try:
            await self._unload(entry.model)
        except RunFailedError as error:
            entry.kept_by_backend = f"{error.detail}; start the inference server again"
            raise
        entry.reloads += 1
        entry.kept_by_backend = ""

    async def _unload(self, model: PinnedModel) -> None:
        for entry in self._of_name(model.name):
            entry.is_proven = False
        await self._backend.unload(model, timeout_s=_UNLOAD_S)

    async def _judge(self, entry: _Entry, manifest: Manifest) -> Verdict:
        async with entry.judging:
            if entry.golden is None:
                try:
                    entry.golden = await self._golden(entry.model, manifest)
                except ModelLostError:
                    entry.is_proven = False
                    raise
                except RunFailedError as error:
                    entry.is_proven = False
                    entry.canary = str(error)
                    raise RunFailedError(Reason.MODEL_NOT_READY, f"no answer on a golden case: {error}") from error
            return entry.golden

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
