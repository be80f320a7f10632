"""Memory that is used again."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_serving.adapters.memory import (
    SHARED_MEMORY,
    Pool,
    offsets_of,
    pooled,
    private,
    remove_orphans,
    shared,
    size_class,
)
from model_serving.domain.failure import Reason, RunFailedError
from udckit.errors import OverloadedError

MIB = 1 << 20


@pytest.fixture(params=[private, shared])
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    with pooled(request.param, capacity=8 * MIB) as pool:
        yield pool


async def scrubbed(pool: Pool) -> None:
    """Wait until nobody has memory and all of it is overwritten."""
    async with asyncio.timeout(5):
        while pool.idle < pool.total:  # noqa: ASYNC110 a thread sets no event of ours
            await asyncio.sleep(0.001)


@given(st.integers(1, 1 << 34))
def test_a_size_class_wastes_less_than_half(nbytes: int) -> None:
    size = size_class(nbytes)
    assert nbytes <= size
    assert size <= max(MIB, 1.5 * nbytes + 1)
    assert size_class(size) == size


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=6))
def test_pieces_lie_behind_each_other_without_touching(sizes: list[int]) -> None:
    offsets = offsets_of(sizes)
    assert all(offset % 64 == 0 for offset in offsets)
    assert all(offset + size <= following for offset, size, following in zip(offsets, sizes, offsets[1:], strict=False))


async def test_memory_is_used_again_and_holds_nothing_of_the_job_before(pool: Pool) -> None:
    async with pool.leased(MIB) as (memory,):
        memory.array((MIB,), np.uint8)[:] = 7
    await scrubbed(pool)
    async with pool.leased(MIB) as (again,):
        assert again is memory
        assert not again.array((MIB,), np.uint8).any()


async def test_nothing_is_left_beyond_what_the_next_job_asks_for(pool: Pool) -> None:
    async with pool.leased(4 * MIB) as (memory,):
        memory.array((4 * MIB,), np.uint8)[:] = 7
    await scrubbed(pool)
    async with pool.leased(3 * MIB + 1) as (again,):
        assert again is memory
        again.array((3 * MIB + 1,), np.uint8)[:] = 8
        with pytest.raises(TypeError):
            again.array((3 * MIB + 2,), np.uint8)
        assert len(again.view(2, offset=3 * MIB)) == 1
    await scrubbed(pool)
    async with pool.leased(4 * MIB) as (again,):
        assert not again.array((4 * MIB,), np.uint8).any()


async def test_private_memory_beyond_what_was_asked_for_takes_no_room() -> None:
    wanted = 33 * MIB
    with pooled(private, capacity=64 * MIB) as pool:
        before = resident_bytes()
        async with pool.leased(wanted) as (memory,):
            memory.array((wanted,), np.uint8)[:] = 7
        await scrubbed(pool)
        assert memory.size == 48 * MIB
        assert resident_bytes() - before < wanted + 8 * MIB


def resident_bytes() -> int:
    """Of this process, from proc(5)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_tainted_memory_is_never_used_again(pool: Pool) -> None:
    async with pool.leased(MIB) as (memory,):
        memory.taint()
    assert pool.total == 0
    async with pool.leased(MIB) as (other,):
        assert other is not memory


async def test_who_comes_too_many_waits_until_somebody_leaves(pool: Pool) -> None:
    entered = asyncio.Event()

    async def second() -> None:
        async with pool.leased(4 * MIB):
            entered.set()

    async with pool.leased(6 * MIB):
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not entered.is_set()
    async with asyncio.timeout(5):
        await waiting
    assert pool.total <= 8 * MIB


async def test_idle_memory_of_another_size_makes_room(pool: Pool) -> None:
    async with pool.leased(6 * MIB):
        pass
    await scrubbed(pool)
    async with pool.leased(4 * MIB, 4 * MIB):
        assert pool.total == 8 * MIB


async def test_more_than_there_will_ever_be_is_refused_at_once(pool: Pool) -> None:
    with pytest.raises(RunFailedError) as failure:
        async with pool.leased(6 * MIB, 4 * MIB):
            pass
    assert failure.value.reason is Reason.INPUT_TOO_LARGE


async def test_a_wait_that_is_cancelled_takes_nothing(pool: Pool) -> None:
    async with pool.leased(8 * MIB):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), pool.leased(MIB):
                pass
    async with asyncio.timeout(5), pool.leased(8 * MIB):
        assert pool.total == 8 * MIB


async def test_shared_memory_is_open_to_its_owner_alone_and_leaves_with_the_pool() -> None:
    with pooled(shared, capacity=MIB) as pool:
        async with pool.leased(1) as (memory,):
            status = (SHARED_MEMORY / memory.name).stat()
            assert status.st_mode & 0o777 == 0o600
            assert status.st_size == status.st_blocks * 512 == MIB, "the room is taken before it is written to"
    assert not (SHARED_MEMORY / memory.name).exists()


async def test_a_machine_without_room_says_so_before_anything_is_written() -> None:
    beyond = os.statvfs(SHARED_MEMORY)
    size = beyond.f_blocks * beyond.f_frsize * 2
    with pooled(shared, capacity=2 * size) as pool:
        with pytest.raises(OverloadedError, match="shared memory is full"):
            async with pool.leased(size):
                pass
        assert pool.total == 0


def test_segments_of_a_killed_process_are_removed_and_those_of_a_living_one_are_not() -> None:
    holding = (
        "from model_serving.adapters.memory import shared; m = shared(1 << 20); print(m.name, flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", holding],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with holder:
        assert holder.stdout is not None
        segment: Path = SHARED_MEMORY / holder.stdout.readline().strip()
        remove_orphans()
        assert segment.exists()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        remove_orphans()
        assert not segment.exists()
