"""Triton Inference Server: the only file that knows its client.

Tensors travel by POSIX shared memory, so server and worker are on one machine. A segment stays known to the server as
long as the pool keeps it: mapped anew for each inference, the server would fault on every page of it again, which takes
longer than the copying. When an inference does not end in time the server may still read and write the segment; it is
then never used for another patient.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
import tritonclient.grpc.aio as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from model_serving.adapters.memory import SHARED_MEMORY, Memory, Pool, offsets_of
from model_serving.domain.answer import DTYPES, Answer, AnsweredOutput, ExpectedOutput, datatype_of
from model_serving.domain.failure import Reason, RunFailedError
from model_serving.domain.form import ModelForm, TensorForm
from model_serving.ports import Exchange, ModelLostError, PinnedModel, TensorSpec
from udckit import telemetry
from udckit.errors import InvalidRequestError, NotFoundError, ServiceError, UpstreamUnavailableError
from udckit.modeldigest import model_digest

_CONTROL_S: Final = 10.0
"""For calls that only change what the server knows."""
_CHANNEL: Final = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # The default grows to two minutes: far too long to notice that the server is back.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)
_UNLOAD_LOOK_S: Final = 0.1
_IN_MESSAGE: Final = 64 * 1024
"""Smaller outputs come in the answer itself, where their real size can be seen."""
_MARK: Final = 16
_LONGEST_DETAIL: Final = 300

log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class _Load:
    """Files that the server was made to load under some name; each is another, whatever its digest."""

    digest: str


class TritonBackend:
    """Runs models on one Triton server.

    Args:
        client: Connected to the server.
        repository: The server's model repository, as this process sees it.
        memory: Shared memory for tensors.
    """

    def __init__(self, client: triton.InferenceServerClient, *, repository: Path, memory: Pool) -> None:
        self._client = client
        self._repository = repository
        self._memory = memory
        # Segments that the server may have mapped, by their names, under which they are registered.
        self._mapped: set[str] = set()
        # What the server was last made to load under each name; a new object whenever the files became others.
        self._loads: dict[str, _Load] = {}

    async def is_live(self) -> bool:
        """Say whether the server answers."""
        try:
            return bool(await self._client.is_server_live(client_timeout=_CONTROL_S))
        except InferenceServerException:
            return False

    async def load(self, model: PinnedModel, *, timeout_s: float) -> None:
        """Load exactly the registered model; see ``ports.Backend``."""
        try:
            found = await asyncio.to_thread(model_digest, self._repository / model.name)
        except (NotFoundError, InvalidRequestError) as error:
            raise RunFailedError(Reason.MODEL_CHANGED, error.message) from error
        if found != model.digest:
            raise RunFailedError(
                Reason.MODEL_CHANGED, f"the files of model {model.name} are {found}; registered is {model.digest}"
            )
        known = self._loads.get(model.name)
        if known is None or known.digest != model.digest:
            # From here on, who still runs on the other files may be answered by these.
            self._loads[model.name] = _Load(model.digest)
        try:
            await self._client.load_model(model.name, client_timeout=timeout_s)
            is_ready = await self._client.is_model_ready(model.name, str(model.number), client_timeout=_CONTROL_S)
        except InferenceServerException as error:
            raise _translated(error, Reason.MODEL_NOT_READY, Reason.MODEL_NOT_READY) from error
        await self._take_back_orphans()
        if not is_ready:
            raise RunFailedError(
                Reason.MODEL_NOT_READY, f"version {model.number} of model {model.name} is not what the server loaded"
            )

    async def unload(self, model: PinnedModel, *, timeout_s: float) -> None:
        """Make the server give up the model; see ``ports.Backend``.

        The server answers at once, loads a new instance beside one that still works, and never ends one that hangs.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._client.unload_model(model.name, client_timeout=timeout_s)
                while await self._client.is_model_ready(  # noqa: ASYNC110 another process sets no event
                    model.name, str(model.number), client_timeout=_CONTROL_S
                ):
                    await asyncio.sleep(_UNLOAD_LOOK_S)
        except TimeoutError as error:
            raise RunFailedError(
                Reason.MODEL_NOT_READY, f"the inference server did not unload model {model.name} in {timeout_s:g} s"
            ) from error
        except InferenceServerException as error:
            raise _translated(error, Reason.MODEL_NOT_READY, Reason.MODEL_NOT_READY) from error

    async def form(self, model: PinnedModel) -> ModelForm:
        """Return what the server says about the tensors; see ``ports.Backend``."""
        try:
            told = await self._client.get_model_metadata(model.name, str(model.number), client_timeout=_CONTROL_S)
        except InferenceServerException as error:
            raise _translated(error, Reason.MODEL_NOT_READY, Reason.MODEL_NOT_READY) from error
        return ModelForm(inputs=_forms(told.inputs), outputs=_forms(told.outputs))

    @asynccontextmanager
    async def exchange(
        self, model: PinnedModel, inputs: Sequence[TensorSpec], outputs: Sequence[ExpectedOutput]
    ) -> AsyncIterator[Exchange]:
        """Have a shared segment with the inputs and the large outputs; see ``ports.Backend``."""
        large = [output for output in outputs if output.nbytes > _IN_MESSAGE]
        sizes = [_nbytes(tensor) for tensor in inputs] + [output.nbytes for output in large]
        offsets = offsets_of(sizes)
        async with self._memory.leased(offsets[-1] + sizes[-1]) as (memory,):
            # What the pool gave up to make room for this one takes memory for as long as the server has it.
            await self._take_back(filter(_is_gone, self._mapped))
            await self._register(memory)
            exchange = TritonExchange(
                self._client,
                model,
                loads=self._loads,
                memory=memory,
                inputs={
                    tensor.name: (tensor, offset) for tensor, offset in zip(inputs, offsets[: len(inputs)], strict=True)
                },
                outputs=outputs,
                large={
                    output.name: (output, offset) for output, offset in zip(large, offsets[len(inputs) :], strict=True)
                },
            )
            try:
                yield exchange
            finally:
                if memory.is_tainted:
                    await self._take_back([memory.name])

    async def aclose(self) -> None:
        """Take back every segment; the server forgets nothing by itself, not even when its client ends."""
        await self._take_back(self._mapped)

    async def _register(self, memory: Memory) -> None:
        """Make the server map the segment, if it has not; a server that was started again has forgotten it."""
        self._mapped.add(memory.name)
        try:
            await self._client.register_system_shared_memory(
                memory.name, f"/{memory.name}", memory.size, client_timeout=_CONTROL_S
            )
        except InferenceServerException as error:
            # The names of segments are random and never given twice, so it is this one.
            if _status(error) != "ALREADY_EXISTS":
                raise _translated(error, Reason.INFERENCE_FAILED, Reason.INFERENCE_TIMED_OUT) from error

    async def _take_back_orphans(self) -> None:
        """Make the server give up segments of a worker that was killed."""
        with contextlib.suppress(InferenceServerException):  # the server is away: then it keeps nothing
            status = await self._client.get_system_shared_memory_status(client_timeout=_CONTROL_S)
            named = {name for name, region in status.regions.items() if region.key == f"/{name}"}
            await self._take_back(filter(_is_gone, named))

    async def _take_back(self, names: Iterable[str]) -> None:
        for name in tuple(names):
            try:
                await self._client.unregister_system_shared_memory(name, client_timeout=_CONTROL_S)
            except InferenceServerException as error:
                # It still works on it, or is away. The segment is never used again; it is tried again later.
                log.warning("triton.segment_lingers", error=_status(error))
            else:
                self._mapped.discard(name)


class TritonExchange:
    """The tensors of one inference in one shared segment; made by ``TritonBackend.exchange``."""

    def __init__(
        self,
        client: triton.InferenceServerClient,
        model: PinnedModel,
        *,
        loads: Mapping[str, "_Load"],
        memory: Memory,
        inputs: Mapping[str, tuple[TensorSpec, int]],
        outputs: Sequence[ExpectedOutput],
        large: Mapping[str, tuple[ExpectedOutput, int]],
    ) -> None:
        self._client = client
        self._model = model
        self._loads = loads
        self._memory = memory
        self._inputs = inputs
        self._outputs = outputs
        self._large = large
        self._tensors = {
            name: memory.array(tensor.shape, tensor.dtype, offset=offset) for name, (tensor, offset) in inputs.items()
        }
        # A server may say that all is well and write nothing. What it did not write still ends in this.
        self._mark = secrets.token_bytes(_MARK)

    @property
    def inputs(self) -> Mapping[str, NDArray[Any]]:
        """The tensors to be filled, by name."""
        return self._tensors

    async def infer(self, *, timeout_s: float) -> Answer:
        """Run the model; see ``ports.Exchange``."""
        load = self._own_load()
        for output, offset in self._large.values():
            self._memory.view(_MARK, offset=offset + output.nbytes - _MARK)[:] = self._mark
        is_over = False
        try:
            with telemetry.span("triton.infer"):
                answered = await self._client.infer(
                    self._model.name,
                    [self._input(tensor, offset) for tensor, offset in self._inputs.values()],
                    model_version=str(self._model.number),
                    outputs=[self._output(output) for output in self._outputs],
                    client_timeout=timeout_s,
                )
            is_over = True
        except InferenceServerException as error:
            is_over = _status(error) not in {"DEADLINE_EXCEEDED", "CANCELLED", "UNAVAILABLE"}
            if _status(error) == "NOT_FOUND":
                raise ModelLostError(f"the inference server has lost model {self._model.name}") from error
            raise _translated(error, Reason.INFERENCE_FAILED, Reason.INFERENCE_TIMED_OUT) from error
        finally:
            if not is_over:
                self._memory.taint()
        if self._own_load() is not load:
            raise self._replaced()
        return self._answer(answered.get_response())

    def _own_load(self) -> "_Load":
        load = self._loads.get(self._model.name)
        if load is None or load.digest != self._model.digest:
            raise self._replaced()
        return load

    def _replaced(self) -> ModelLostError:
        return ModelLostError(
            f"the inference server holds other files as model {self._model.name} than {self._model.digest}"
        )

    def _input(self, tensor: TensorSpec, offset: int) -> triton.InferInput:
        given = triton.InferInput(tensor.name, list(tensor.shape), datatype_of(tensor.dtype))
        given.set_shared_memory(self._memory.name, _nbytes(tensor), offset)
        return given

    def _output(self, output: ExpectedOutput) -> triton.InferRequestedOutput:
        requested = triton.InferRequestedOutput(output.name)
        if output.name in self._large:
            requested.set_shared_memory(self._memory.name, output.nbytes, self._large[output.name][1])
        return requested

    def _answer(self, response: Any) -> Answer:
        contents = [*response.raw_output_contents]
        outputs = {}
        for index, output in enumerate(response.outputs):
            shape = tuple(output.shape)
            if output.name in self._large:
                content = self._written(output.name, output.datatype, shape)
            else:
                content = contents[index] if index < len(contents) else b""
            outputs[output.name] = AnsweredOutput(datatype=output.datatype, shape=shape, content=content)
        return Answer(model_version=response.model_version, outputs=outputs)

    def _written(self, name: str, datatype: str, shape: tuple[int, ...]) -> bytes | memoryview:
        """Return what the server wrote of a large output: as much as was expected, or nothing."""
        output, offset = self._large[name]
        if (datatype, shape) != (output.datatype, output.shape):
            # The bytes are not judged, the declaration is wrong already; only the size it claims is shown.
            claimed = min(output.nbytes, _size_of(datatype, shape))
            return self._memory.view(claimed, offset=offset)
        content = self._memory.view(output.nbytes, offset=offset)
        return b"" if content[-_MARK:] == self._mark else content


def _forms(tensors: Iterable[Any]) -> Mapping[str, TensorForm]:
    return {
        tensor.name: TensorForm(tensor.datatype, tuple(None if extent < 0 else int(extent) for extent in tensor.shape))
        for tensor in tensors
    }


def _is_gone(segment: str) -> bool:
    return not (SHARED_MEMORY / segment).exists()


def _nbytes(tensor: TensorSpec) -> int:
    return _size_of(datatype_of(tensor.dtype), tensor.shape)


def _size_of(datatype: str, shape: tuple[int, ...]) -> int:
    size = DTYPES[datatype].itemsize if datatype in DTYPES else 1
    for extent in shape:
        size *= max(extent, 0)
    return size


def _status(error: InferenceServerException) -> str:
    return str(error.status() or "UNKNOWN").removeprefix("StatusCode.")


def _translated(error: InferenceServerException, failed: Reason, timed_out: Reason) -> ServiceError | RunFailedError:
    match _status(error):
        case "UNAVAILABLE":
            return UpstreamUnavailableError("the inference server is away")
        case "DEADLINE_EXCEEDED":
            return RunFailedError(timed_out, "the inference server did not answer in time")
        case status:
            return RunFailedError(failed, f"{status}: {str(error.message())[:_LONGEST_DETAIL]}")


@asynccontextmanager
async def connected_triton(address: str, *, repository: Path, memory: Pool) -> AsyncIterator[TritonBackend]:
    """Have a backend on the server at ``address`` (``<host>:<port>`` of its gRPC API) while the block runs.

    Nothing is connected before the first call.
    """
    client = triton.InferenceServerClient(address, channel_args=_CHANNEL)
    backend = TritonBackend(client, repository=repository, memory=memory)
    try:
        yield backend
    finally:
        await backend.aclose()
        await client.close()
