"""Large memory that is used again and again.

The first touch of a page costs more than everything that is done with it afterwards, so a volume's memory is not given
back to the system but kept for the next one of its size. It is overwritten with zeros when a job is through with it.
"""

import asyncio
import fcntl
import itertools
import mmap
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from model_serving.domain.failure import Reason, RunFailedError
from udckit.errors import OverloadedError

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 where Linux keeps POSIX shared memory
_PREFIX: Final = "udc-tensor-"
_SMALLEST: Final = 1 << 20


def size_class(nbytes: int) -> int:
    """Return the size of memory taken for ``nbytes``: a power of two or one and a half of it, at least 1 MiB."""
    size = _SMALLEST
    while size < nbytes:
        if size + size // 2 >= nbytes:
            return size + size // 2
        size *= 2
    return size


class Memory:
    """A piece of memory that one job has at a time.

    Attributes:
        size: Bytes.
        name: Name of the POSIX shared memory object; empty for memory of this process alone.
    """

    def __init__(self, buffer: mmap.mmap, *, size: int, name: str = "", lock: int | None = None) -> None:
        self.size = size
        self.name = name
        self.is_tainted = False
        self._buffer = buffer
        self._lent = memoryview(buffer)
        self._lock = lock

    def lend(self, nbytes: int) -> None:
        """Have ``array`` and ``view`` reach no further than the first ``nbytes``, which is what a job asked for.

        What is beyond stays zero and, in private memory, takes no room: it need not be overwritten.
        """
        self._lent = memoryview(self._buffer)[:nbytes]

    def array(self, shape: tuple[int, ...], dtype: DTypeLike, *, offset: int = 0) -> NDArray[Any]:
        """Return an array of ``shape`` that lies ``offset`` bytes behind the start.

        Raises:
            TypeError: it reaches beyond what is lent.
        """
        return np.ndarray(shape, dtype, buffer=self._lent, offset=offset)

    def view(self, nbytes: int, *, offset: int = 0) -> memoryview:
        """Return ``nbytes`` from ``offset`` on; fewer where less is lent."""
        return self._lent[offset : offset + nbytes]

    def taint(self) -> None:
        """Never use this again: somebody else may still write to it."""
        self.is_tainted = True

    def scrub(self) -> None:
        """Overwrite everything that is lent with zeros."""
        self.array((len(self._lent),), np.uint8).fill(0)

    def discard(self) -> None:
        """Give the memory back to the system once the last array on it is gone."""
        if self.name:
            (SHARED_MEMORY / self.name).unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def private(size: int) -> Memory:
    """Return memory that no other process sees."""
    return Memory(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), size=size)


def shared(size: int) -> Memory:
    """Return memory that another process of this machine can open by its name.

    Raises:
        OverloadedError: the machine has no room for it; better now than by a signal in the middle of writing.
    """
    name = f"{_PREFIX}{secrets.token_hex(8)}"
    path = SHARED_MEMORY / name
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        # Held for life: it tells a segment in use from one whose process died.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.posix_fallocate(descriptor, 0, size)
        buffer = mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED)
    except OSError as error:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise OverloadedError("shared memory is full; give this worker more, or fewer slots", wanted=size) from error
    return Memory(buffer, size=size, name=name, lock=descriptor)


def remove_orphans() -> int:
    """Remove segments whose process died, and return how many there were."""
    removed = 0
    for path in SHARED_MEMORY.glob(f"{_PREFIX}*"):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue  # another user's, or gone this moment
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
            removed += 1
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)
    return removed


class Pool:
    """Memory of one kind up to a limit; made by ``pooled``.

    Args:
        make: ``private`` or ``shared``.
        capacity: All memory together, used and kept, never exceeds this many bytes.
        scrubber: Where memory is made and overwritten; a gigabyte takes a good part of a second.
    """

    def __init__(self, make: Callable[[int], Memory], *, capacity: int, scrubber: ThreadPoolExecutor) -> None:
        self._make = make
        self._capacity = capacity
        self._scrubber = scrubber
        self._idle: list[Memory] = []
        self._scrubbing: set[Memory] = set()
        self._total = 0
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()
        self._is_closed = False

    @property
    def total(self) -> int:
        """Bytes taken from the system now."""
        return self._total

    @property
    def idle(self) -> int:
        """Bytes of it that nobody has now, and that are overwritten."""
        return sum(memory.size for memory in self._idle)

    @asynccontextmanager
    async def leased(self, *sizes: int) -> AsyncIterator[tuple[Memory, ...]]:
        """Have memory of ``sizes`` while the block runs, waiting for it if others have it.

        All of it at once: who holds one part and waits for another could wait for somebody who does the same.
        What a piece holds at first is undefined for who wrote to it last, and zero otherwise.

        Raises:
            RunFailedError: it is more than there will ever be.
            OverloadedError: the machine has no room.
        """
        classes = [size_class(size) for size in sizes]
        if sum(classes) > self._capacity:
            raise RunFailedError(
                Reason.INPUT_TOO_LARGE,
                f"the run needs {sum(sizes) >> 20} MiB of one kind of memory; this worker has {self._capacity >> 20}",
            )
        async with self._turn:  # first come, first served
            await self._until_free(sum(classes))
            taken = await self._take(classes)
        for memory, size in zip(taken, sizes, strict=True):
            memory.lend(size)
        try:
            yield taken
        finally:
            for memory in taken:
                self._release(memory)

    def close(self) -> None:
        """Give everything back to the system, now or when its job is through with it."""
        self._is_closed = True
        for memory in (*self._idle, *self._scrubbing):
            self._drop(memory)
        self._idle.clear()
        self._scrubbing.clear()

    async def _until_free(self, wanted: int) -> None:
        while self._total - self.idle + wanted > self._capacity:
            self._freed.clear()
            await self._freed.wait()

    async def _take(self, classes: list[int]) -> tuple[Memory, ...]:
        taken: list[Memory] = []
        try:
            for size in classes:
                taken.append(self._reused(size) or await self._made(size, reserved=sum(classes[len(taken) :])))
        except BaseException:
            for memory in taken:
                self._release(memory)
            raise
        return tuple(taken)

    def _reused(self, size: int) -> Memory | None:
        for memory in reversed(self._idle):  # the one used last is the one most likely in the caches
            if memory.size == size:
                self._idle.remove(memory)
                return memory
        return None

    async def _made(self, size: int, *, reserved: int) -> Memory:
        while self._idle and self._total + reserved > self._capacity:
            self._drop(self._idle.pop(0))
        self._total += size
        making = asyncio.get_running_loop().run_in_executor(self._scrubber, self._make, size)
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(self._made_in_vain)
            self._total -= size
            raise
        except BaseException:
            self._total -= size
            raise

    @staticmethod
    def _made_in_vain(making: asyncio.Future[Memory]) -> None:
        if making.exception() is None:
            making.result().discard()

    def _release(self, memory: Memory) -> None:
        if memory.is_tainted or self._is_closed:
            self._drop(memory)
            self._freed.set()
            return
        self._scrubbing.add(memory)
        scrubbed = asyncio.get_running_loop().run_in_executor(self._scrubber, memory.scrub)
        scrubbed.add_done_callback(lambda _: self._scrubbed(memory))

    def _scrubbed(self, memory: Memory) -> None:
        if memory in self._scrubbing:  # unless the pool was closed meanwhile
            self._scrubbing.remove(memory)
            self._idle.append(memory)
            self._freed.set()

    def _drop(self, memory: Memory) -> None:
        self._total -= memory.size
        memory.discard()


@contextmanager
def pooled(make: Callable[[int], Memory], *, capacity: int) -> Iterator[Pool]:
    """Have a pool of memory; to be used from one event loop.

    Args:
        make: ``private`` or ``shared``.
        capacity: Bytes.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="scrub") as scrubber:
        pool = Pool(make, capacity=capacity, scrubber=scrubber)
        try:
            yield pool
        finally:
            pool.close()


def offsets_of(sizes: list[int], *, alignment: int = 64) -> list[int]:
    """Return where pieces of ``sizes`` bytes lie one behind the other, each at a multiple of ``alignment``."""
    steps = [-(-size // alignment) * alignment for size in sizes]
    return list(itertools.accumulate([0, *steps[:-1]]))
