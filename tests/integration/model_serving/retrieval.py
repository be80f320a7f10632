"""Retrieving stacks by themselves, without a model."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from integration.model_serving.world import MIB
from model_serving.adapters.images import DicomwebImages
from model_serving.adapters.memory import Pool, pooled, private
from model_serving.domain.pixels import ValueSpace
from model_serving.domain.prepare import plan_tensor
from model_serving.ports import StackRequest
from udcmodel.grant import ArchiveRecord
from udcmodel.manifest import GeometrySpec, ImageInput, VolumeTensor
from udcmodel.stack import StackDescriptor

ANY_GEOMETRY = GeometrySpec(tilt="shear", spacing="resample", gap="accept", duplicates="first", min_frames=2)


@dataclass
class Retrieval:
    """The archive's side of a worker."""

    images: DicomwebImages
    memory: Pool
    fallbacks: list[str] = field(default_factory=list)

    async def values(
        self, stack: StackDescriptor, url: str, *, credentials: str = "", space: ValueSpace = "hounsfield"
    ) -> NDArray[np.float32]:
        """The values of a stack in the order of its plan, copied."""
        archive = ArchiveRecord(archive=stack.archive, dicomweb_url=url, credentials=credentials, profile="air")
        plan = plan_tensor(an_input(space), stack.frames)
        request = StackRequest(stack=stack, archive=archive, plan=plan, space=space)
        async with self.images.retrieved([request]) as (images,):
            return images.values.copy()


def an_input(space: ValueSpace) -> ImageInput:
    """An input that accepts every volume."""
    return ImageInput(
        name="image",
        kind="stack",
        scope="study",
        where="true",
        values=space,
        geometry=ANY_GEOMETRY,
        tensor=VolumeTensor(
            name="IMAGE", kind="volume", datatype="FP32", axes=("z", "y", "x"), spacing_mm=(5.0, 5.0, 5.0)
        ),
    )


@asynccontextmanager
async def a_retrieval(
    *, secret: str = "", idle_s: float = 5.0, longest_part: int = 64 * MIB, longest_queue: int = 4 * MIB
) -> AsyncIterator[Retrieval]:
    """Have one while the block runs."""
    fallbacks: list[str] = []
    with ExitStack() as stack:
        memory = stack.enter_context(pooled(private, capacity=256 * MIB))
        images = DicomwebImages(
            memory=memory,
            readers=stack.enter_context(ThreadPoolExecutor(4, thread_name_prefix="retrieve")),
            decoders=stack.enter_context(ThreadPoolExecutor(2, thread_name_prefix="decode")),
            secret=lambda _: secret,
            idle_s=idle_s,
            longest_part=longest_part,
            longest_queue=longest_queue,
            series_at_once=2,
            tls=None,
            count_fallback=fallbacks.append,
        )
        yield Retrieval(images=images, memory=memory, fallbacks=fallbacks)
