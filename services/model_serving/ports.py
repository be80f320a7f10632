"""What the use cases need from outside."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from numpy.typing import NDArray

from model_serving.domain.answer import Answer, ExpectedOutput
from model_serving.domain.form import ModelForm
from model_serving.domain.golden import CaseResult
from model_serving.domain.pixels import ValueSpace
from model_serving.domain.prepare import TensorPlan
from model_serving.domain.progress import Reached
from model_serving.domain.run import Dispatch
from model_serving.domain.source import SourceImages
from udckit.errors import UpstreamUnavailableError
from udcmodel.golden import GoldenCases
from udcmodel.grant import ArchiveRecord, AttachmentRecord, DeviceVersionRecord
from udcmodel.manifest import Manifest
from udcmodel.result import AiResult
from udcmodel.stack import StackDescriptor


class Registry(Protocol):
    """The current registry, as far as it is known here.

    Every call raises a ``ServiceError`` of kind UNAVAILABLE while the copy is not known to be current.
    """

    def device_version(self, device: str, version: str) -> DeviceVersionRecord | None:
        """Return the record of a device version, or None when there is none."""

    def attachment(self, attachment: str) -> AttachmentRecord | None:
        """Return the record of an attachment, or None when there is none."""

    def archive(self, archive: str) -> ArchiveRecord | None:
        """Return the record of an archive, or None when there is none."""


class Artefacts(Protocol):
    """Things kept by their digest: what comes back is what was put in, or an error."""

    async def manifest(self, digest: str) -> Manifest:
        """Return a manifest.

        Raises:
            NotFoundError: there is no such object.
            InvalidRequestError: it is no manifest.
        """

    async def stack(self, digest: str) -> StackDescriptor:
        """Return the description of a stack; raises as ``manifest`` does."""

    async def golden(self, digest: str) -> GoldenCases:
        """Return the golden cases of a version; raises as ``manifest`` does."""

    async def keep(self, result: AiResult) -> str:
        """Keep a result durably and return its digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackRequest:
    """A stack to be retrieved.

    Attributes:
        stack: As it was matched.
        archive: Where it is.
        plan: Which of its frames are wanted, and in which order.
        space: What their values are to mean.
        image_came: Told of each frame that has come, from any thread.
    """

    stack: StackDescriptor
    archive: ArchiveRecord
    plan: TensorPlan
    space: ValueSpace
    image_came: Callable[[], None] = lambda: None


class ArchiveAwayError(UpstreamUnavailableError):
    """One archive cannot be read from now; others may.

    Args:
        message: Why.
        archive: Which.
    """

    reason = "ARCHIVE_AWAY"

    def __init__(self, message: str, *, archive: str) -> None:
        super().__init__(message, archive=archive)
        self.archive = archive


class ArchiveProbe(Protocol):
    """Finds out whether an archive is back."""

    async def probe(self, archive: ArchiveRecord) -> None:
        """Ask an archive something small.

        Raises:
            UpstreamUnavailableError: it does not answer as it should.
        """


class Images(Protocol):
    """Pixels of stacks."""

    def retrieved(self, requests: Sequence[StackRequest]) -> AbstractAsyncContextManager[Sequence[SourceImages]]:
        """Have the finished values of ``requests``, in their order, while the block runs; then their memory is others'.

        Every frame of each stack has come exactly once and lies where it was matched.

        Raises:
            RunFailedError: that cannot be had.
            ArchiveAwayError: an archive is away.
            OverloadedError: there is no memory now.
        """


class CaseImages(Images, Protocol):
    """Pixels of golden cases: a request's archive is the object that holds them."""

    async def stack(self, digest: str) -> StackDescriptor:
        """Describe the stack that an object holds, as it would be matched in the archive ``digest``.

        Raises:
            RunFailedError: it holds no readable images.
            NotFoundError: there is no such object.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """A tensor to be given to a model; ``dtype`` is NumPy's name."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedModel:
    """The model of one device version: its name and version in the backend, and the digest of its files."""

    device: str
    version: str
    name: str
    number: int
    digest: str


class ModelLostError(UpstreamUnavailableError):
    """The backend does not have the model any more that it had loaded, as after a restart.

    So it is too when other files have been loaded under its name: what they answer is not this model's answer.
    """

    reason = "MODEL_LOST"


class Exchange(Protocol):
    """The tensors of one inference, in memory that the model reads from."""

    @property
    def inputs(self) -> Mapping[str, NDArray[Any]]:
        """The tensors to be filled, by name; their content is undefined at first."""

    async def infer(self, *, timeout_s: float) -> Answer:
        """Run the model on the inputs. The answer is readable until the exchange ends.

        Raises:
            RunFailedError: it failed, or did not answer in time.
            ModelLostError: the model must be loaded again; other files may have answered in its place.
            UpstreamUnavailableError: the backend is away.
        """


class Backend(Protocol):
    """What runs models."""

    async def load(self, model: PinnedModel, *, timeout_s: float) -> None:
        """Load exactly the registered model. It takes the place of other files of the same name.

        Raises:
            RunFailedError: its files are not the registered ones, or it cannot be loaded.
            UpstreamUnavailableError: the backend is away.
        """

    async def unload(self, model: PinnedModel, *, timeout_s: float) -> None:
        """Have a model take no more work, and give back its memory when it has finished what it is doing.

        One that hangs never finishes: its memory stays taken. Nothing happens if the model is not there.

        Raises:
            RunFailedError: the backend keeps it.
            UpstreamUnavailableError: the backend is away.
        """

    async def form(self, model: PinnedModel) -> ModelForm:
        """Return the form of the tensors of a loaded model, as the backend knows it.

        Raises:
            RunFailedError: it does not say.
            UpstreamUnavailableError: the backend is away.
        """

    def exchange(
        self, model: PinnedModel, inputs: Sequence[TensorSpec], outputs: Sequence[ExpectedOutput]
    ) -> AbstractAsyncContextManager[Exchange]:
        """Have memory for one inference while the block runs.

        Raises:
            RunFailedError: it is more than this worker has.
            OverloadedError: there is no memory now.
            UpstreamUnavailableError: the backend is away.
        """


class NotActivatedError(UpstreamUnavailableError):
    """A golden case of the version failed with this worker's processing library: it does not run here."""

    reason = "NOT_ACTIVATED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a run of golden cases is about.

    Attributes:
        model: The version and its model.
        golden_digest: The cases.
        processing_build: Digest of everything that turns images and answers into results.
    """

    model: PinnedModel
    golden_digest: str
    processing_build: str


class GoldenRuns(Protocol):
    """The worker's records of golden cases."""

    async def has_passed(self, proof: Proof) -> bool:
        """Say whether the latest recorded run of exactly this passed."""

    async def record(self, proof: Proof, results: Sequence[CaseResult], *, at: datetime) -> None:
        """Record a run durably."""


class Runs(Protocol):
    """The worker's own records of attempts."""

    async def begin(self, dispatch: Dispatch) -> bool:
        """Record that an attempt starts and announce it, in one transaction; once, however often it is repeated.

        Returns:
            False when a newer attempt at the job is known: then nothing is recorded.
        """

    async def progressed(self, dispatch: Dispatch, reached: Reached) -> None:
        """Announce how far an attempt is; the same twice is announced once.

        Raises:
            ServiceError: that cannot be done now.
        """
