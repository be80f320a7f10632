"""Pixels of golden cases: objects instead of archives, and from there the way of every image."""

import asyncio
import io
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from pydicom import Dataset

from model_serving.adapters.decoding import frame_count, of_frame, read
from model_serving.adapters.images import DicomwebImages
from model_serving.adapters.memory import Memory
from model_serving.adapters.multipart import MalformedError, Parts, TooLongError, TruncatedError
from model_serving.adapters.receiving import placed
from model_serving.domain.failure import Reason, RunFailedError
from model_serving.domain.source import SourceImages
from model_serving.ports import StackRequest
from model_serving.usecases.threads import in_thread
from udckit.objects import Objects
from udcmodel.golden import BOUNDARY
from udcmodel.stack import StackDescriptor, StackFrame

_BOUNDARY: Final = BOUNDARY.encode()


class StoredCaseImages:
    """Images in the object store, each object an answer as an archive would give it.

    Args:
        objects: Where the answers are.
        images: Receives them, with its memory and its decoders.
    """

    def __init__(self, objects: Objects, images: DicomwebImages) -> None:
        self._objects = objects
        self._images = images

    async def stack(self, digest: str) -> StackDescriptor:
        """Describe the stack in an object; see ``ports.CaseImages``."""
        content = await self._objects.get(digest)
        return await asyncio.to_thread(self._described, digest, content)

    def retrieved(self, requests: Sequence[StackRequest]) -> AbstractAsyncContextManager[Sequence[SourceImages]]:
        """Have the values of ``requests``; see ``ports.Images``."""
        return self._images.received(requests, self._received)

    async def _received(self, request: StackRequest, memory: Memory) -> SourceImages:
        content = await self._objects.get(request.archive.archive)
        images, receive = self._images.reception(request, memory)
        try:
            await in_thread(receive, self._parts(content))
        except (TruncatedError, MalformedError, TooLongError) as error:
            raise _unreadable() from error
        return images

    def _described(self, digest: str, content: bytes) -> StackDescriptor:
        try:
            headers = list(_headers(self._parts(content)))
        except (TruncatedError, MalformedError, TooLongError) as error:
            raise _unreadable() from error
        if not headers:
            raise RunFailedError(Reason.INPUT_UNKNOWN, "a golden case holds no image")
        frames = tuple(frame for header in headers for frame in _frames(header))
        first = headers[0]
        return StackDescriptor(
            archive=digest,
            study_instance_uid=str(first.get("StudyInstanceUID", "")),
            series_instance_uid=str(first.get("SeriesInstanceUID", "")),
            modality=str(first.get("Modality", "")),
            frame_of_reference_uid=str(first.get("FrameOfReferenceUID", "")),
            frames=frames,
            instance_count=len(headers),
        )

    def _parts(self, content: bytes) -> Parts:
        return Parts(io.BytesIO(content), _BOUNDARY, longest_part=self._images.longest_part)


def _headers(parts: Parts) -> Iterator[Dataset]:
    while (part := parts.next()) is not None:
        yield read(part.rest(), longest=part.longest)


def _frames(header: Dataset) -> Iterator[StackFrame]:
    for index in range(frame_count(header)):
        yield placed(of_frame(header, index), index + 1)


def _unreadable() -> RunFailedError:
    return RunFailedError(Reason.PIXELS_UNREADABLE, "the images of a golden case cannot be read")
