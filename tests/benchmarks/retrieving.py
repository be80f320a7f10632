"""A worker's retrieval of stacks, put together as the service does it."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from model_serving.adapters.images import DicomwebImages
from model_serving.adapters.memory import Memory, Pool, pooled
from model_serving.domain.prepare import VolumePlan, plan_tensor
from model_serving.ports import StackRequest
from model_serving.settings import Settings
from udcmodel.grant import ArchiveRecord
from udcmodel.manifest import GeometrySpec, ImageInput, VolumeTensor
from udcmodel.stack import StackDescriptor

MIB = 1 << 20
LONGEST_QUEUE = 64 * MIB


def default_decoders() -> int:
    """Return how many threads a worker decodes with when nobody says otherwise."""
    return int(Settings.model_fields["decoders"].get_default(call_default_factory=True))


class Worker:
    """Retrieves stacks; made by ``a_worker``.

    Attributes:
        images: The service's own.
        memory: Where its volumes lie.
        fallbacks: Why images did not take the straight way.
    """

    def __init__(self, images: DicomwebImages, memory: Pool, fallbacks: list[str]):
        self.images = images
        self.memory = memory
        self.fallbacks = fallbacks

    async def retrieve(self, request: StackRequest) -> None:
        """Have the values of a stack, and give their memory back at once."""
        async with self.images.retrieved([request]):
            return


async def until_idle(memory: Pool) -> None:
    """Wait until memory that was given back is overwritten: that is not part of the next job's time."""
    while memory.idle < memory.total:  # noqa: ASYNC110 - the pool tells nobody
        await asyncio.sleep(0.001)


@contextmanager
def a_worker(make: Callable[[int], Memory], *, secret: str) -> Iterator[Worker]:
    """Have a worker without memory yet.

    Args:
        make: ``memory.shared`` or ``memory.private``.
        secret: ``user:password`` for the archive.
    """
    fallbacks: list[str] = []
    with ExitStack() as stack:
        memory = stack.enter_context(pooled(make, capacity=4096 * MIB))
        images = DicomwebImages(
            memory=memory,
            readers=stack.enter_context(ThreadPoolExecutor(4, thread_name_prefix="retrieve")),
            decoders=stack.enter_context(ThreadPoolExecutor(default_decoders(), thread_name_prefix="decode")),
            secret=lambda _: secret,
            idle_s=30.0,
            longest_part=2048 * MIB,
            longest_queue=LONGEST_QUEUE,
            series_at_once=4,
            tls=None,
            count_fallback=fallbacks.append,
        )
        yield Worker(images, memory, fallbacks)


def a_request(stack: StackDescriptor, dicomweb_url: str, *, spacing_mm: float) -> StackRequest:
    """Return the request of a device that reads Hounsfield units on a grid of ``spacing_mm`` in every direction."""
    tensor = VolumeTensor(
        name="IMAGE", kind="volume", datatype="FP32", axes=("z", "y", "x"), spacing_mm=(spacing_mm,) * 3
    )
    wanted = ImageInput(
        name="image",
        kind="stack",
        scope="study",
        where="true",
        values="hounsfield",
        geometry=GeometrySpec(tilt="shear", spacing="resample", gap="accept", duplicates="first", min_frames=2),
        tensor=tensor,
    )
    plan = plan_tensor(wanted, stack.frames)
    if not isinstance(plan, VolumePlan):
        raise TypeError("a volume was asked for")
    archive = ArchiveRecord(archive=stack.archive, dicomweb_url=dicomweb_url, credentials="pacs", profile="air")
    return StackRequest(stack=stack, archive=archive, plan=plan, space="hounsfield")
