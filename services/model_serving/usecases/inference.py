"""The chain from images to findings: the same for a patient and for a golden case."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from numpy.typing import NDArray

from model_serving.domain.answer import check_answer, expected_outputs
from model_serving.domain.interpret import Interpretation, interpret
from model_serving.domain.prepare import TensorPlan, write_tensor
from model_serving.domain.progress import Stage
from model_serving.domain.source import SourceImages
from model_serving.ports import Backend, Images, PinnedModel, StackRequest, TensorSpec
from model_serving.usecases.threads import in_thread
from udckit.clock import Clock
from udcmodel.manifest import Manifest
from udcmodel.result import Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a device says about images, and how long each stage took."""

    interpretation: Interpretation
    timings: tuple[Timing, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """Retrieve, prepare, infer, interpret."""

    backend: Backend
    clock: Clock

    async def __call__(
        self,
        manifest: Manifest,
        model: PinnedModel,
        requests: Sequence[StackRequest],
        *,
        images: Images,
        before_infer: Callable[[], None] = lambda: None,
        enter: Callable[[Stage], None] = lambda _: None,
    ) -> Answered:
        """Let a proven model answer.

        Args:
            manifest: The device's.
            model: Loaded and proven.
            requests: The stack of each input, in the order of the manifest.
            images: Where the pixels are.
            enter: Told of the stages that follow retrieval.
            before_infer: May raise to stop the run: what was forbidden during retrieval does not begin.

        Raises:
            RunFailedError: there is no answer.
            ServiceError: something this needs is away.
        """
        plans = {item.name: request.plan for item, request in zip(manifest.inputs, requests, strict=True)}
        expected = expected_outputs(manifest, {name: made.shape for name, made in plans.items()})
        watch = _Watch(self.clock)
        async with (
            images.retrieved(requests) as retrieved,
            self.backend.exchange(model, tensor_specs(manifest, plans), expected) as exchange,
        ):
            sources = dict(zip(plans, retrieved, strict=True))
            watch.lap("retrieve")
            await in_thread(_fill, plans, sources, tensors_by_input(manifest, exchange.inputs))
            watch.lap("prepare")
            before_infer()
            enter(Stage.INFERRING)
            answer = await exchange.infer(timeout_s=manifest.limits.timeout_s)
            outputs = await in_thread(check_answer, answer, expected, model_version=model.number)
            watch.lap("infer")
            enter(Stage.INTERPRETING)
            interpretation = await in_thread(interpret, manifest, plans, outputs, sources)
            watch.lap("interpret")
            return Answered(interpretation=interpretation, timings=tuple(watch.laps))


class _Watch:
    """Takes the time of each stage."""

    def __init__(self, clock: Clock) -> None:
        self.laps: list[Timing] = []
        self._clock = clock
        self._began: datetime = clock.now()

    def lap(self, stage: str) -> None:
        """Note that ``stage`` ended now and the next one begins."""
        now = self._clock.now()
        self.laps.append(Timing(stage, self._began, now))
        self._began = now


def _fill(
    plans: Mapping[str, TensorPlan], images: Mapping[str, SourceImages], tensors: Mapping[str, NDArray[Any]]
) -> None:
    for name, made in plans.items():
        write_tensor(made, images[name], out=tensors[name])


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
