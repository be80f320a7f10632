"""Stacks from DICOMweb archives into memory."""

import asyncio
import contextvars
import math
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_serving.adapters.decoding import Decoding
from model_serving.adapters.memory import Memory, Pool
from model_serving.adapters.multipart import Parts
from model_serving.adapters.receiving import CountFallback, StackReceiver
from model_serving.adapters.wado import SeriesAddress, SeriesTransfer, ask
from model_serving.domain.pixels import PixelDescription
from model_serving.domain.source import SourceImages, shape_of
from model_serving.ports import ArchiveAwayError, StackRequest
from model_serving.usecases.threads import in_thread, joined
from udckit import telemetry
from udckit.errors import UpstreamUnavailableError
from udcmodel.grant import ArchiveRecord

Receive = Callable[[StackRequest, Memory], Coroutine[Any, Any, SourceImages]]
"""Gets the values of one stack into the memory given."""


@dataclass(kw_only=True)
class DicomwebImages:
    """Retrieves stacks.

    Args:
        memory: Where the volumes lie: float32 values, four bytes for each voxel.
        readers: Threads that wait for archives; one for each series at the same time.
        decoders: Threads that decode what compresses well and slowly.
        secret: Returns ``user:password`` for the name of a secret.
        idle_s: No single wait for an archive's bytes is longer.
        longest_part: No instance is longer, in bytes.
        longest_queue: Compressed bytes of one series that wait for a decoder.
        series_at_once: At most so many series come from one archive at the same time.
        tls: For ``https`` archives.
        count_fallback: Told why an image could not be received straight into its place.
    """

    memory: Pool
    readers: ThreadPoolExecutor
    decoders: ThreadPoolExecutor
    secret: Callable[[str], str]
    idle_s: float
    longest_part: int
    longest_queue: int
    series_at_once: int
    tls: ssl.SSLContext | None
    count_fallback: CountFallback
    _turns: dict[str, asyncio.Semaphore] = field(default_factory=dict)

    def retrieved(self, requests: Sequence[StackRequest]) -> AbstractAsyncContextManager[Sequence[SourceImages]]:
        """Have the values of ``requests``; see ``ports.Images``."""
        return self.received(requests, self._retrieved)

    @asynccontextmanager
    async def received(
        self, requests: Sequence[StackRequest], receive: Receive
    ) -> AsyncIterator[Sequence[SourceImages]]:
        """Have the values of ``requests`` as ``receive`` gets each of them, all at the same time."""
        sizes = [4 * math.prod(shape_of(request.plan.frames)) for request in requests]
        async with self.memory.leased(*sizes) as memories:
            retrievals = [
                asyncio.create_task(receive(request, memory))
                for request, memory in zip(requests, memories, strict=True)
            ]
            try:
                retrieved = await asyncio.gather(*retrievals)
            finally:
                for retrieval in retrievals:
                    retrieval.cancel()
                # The memory goes to others next: no thread may still write to it.
                await joined(asyncio.gather(*retrievals, return_exceptions=True))
            yield retrieved

    def reception(self, request: StackRequest, memory: Memory) -> tuple[SourceImages, Callable[[Parts], None]]:
        """Return where a stack's values will be, and what puts them there from the parts of an answer."""
        frames = request.plan.frames
        images = SourceImages(frames, space=request.space, buffer=memory.array(shape_of(frames), np.float32))

        def place(slot: int, raw: NDArray[Any], description: PixelDescription) -> None:
            wanted = request.plan.slots[slot]
            if wanted is not None:
                images.put(wanted, raw, description)
                request.image_came()

        receiver = StackReceiver(
            request.stack,
            place=place,
            decoding=Decoding(
                self.decoders,
                longest_queue=self.longest_queue,
                matrix=(request.stack.frames[0].rows, request.stack.frames[0].columns),
            ),
            count_fallback=self.count_fallback,
        )

        def receive(parts: Parts) -> None:
            receiver.receive(parts)
            images.finish()

        return images, receive

    async def _retrieved(self, request: StackRequest, memory: Memory) -> SourceImages:
        try:
            return await self._transferred(request, memory)
        except UpstreamUnavailableError as error:
            name = request.archive.archive
            raise ArchiveAwayError(f"archive {name}: {error.message}", archive=name) from error

    async def probe(self, archive: ArchiveRecord) -> None:
        """Ask an archive for one study; see ``ports.ArchiveProbe``."""
        credentials = self._credentials(archive)
        await in_thread(ask, archive.dicomweb_url, credentials, idle_s=self.idle_s, tls=self.tls)

    def _credentials(self, archive: ArchiveRecord) -> str:
        return self.secret(archive.credentials) if archive.credentials else ""

    async def _transferred(self, request: StackRequest, memory: Memory) -> SourceImages:
        images, receive = self.reception(request, memory)
        transfer = SeriesTransfer(
            SeriesAddress(
                dicomweb_url=request.archive.dicomweb_url,
                credentials=self._credentials(request.archive),
                study_instance_uid=request.stack.study_instance_uid,
                series_instance_uid=request.stack.series_instance_uid,
            ),
            receive,
            idle_s=self.idle_s,
            longest_part=self.longest_part,
            tls=self.tls,
        )
        turns = self._turns.setdefault(request.archive.archive, asyncio.Semaphore(self.series_at_once))
        async with turns:
            with telemetry.span("dicomweb.retrieve_series"):
                await self._run(transfer)
        return images

    async def _run(self, transfer: SeriesTransfer) -> None:
        """Run ``transfer`` in a thread; when cancelled, cut its connection and wait until the thread is through."""
        context = contextvars.copy_context()
        running = asyncio.get_running_loop().run_in_executor(self.readers, context.run, transfer.run)
        await joined(running, on_cancel=transfer.cancel)
