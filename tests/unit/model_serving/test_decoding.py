"""Decoding in other threads: bounded, in order of arrival, and never waiting for what does not come."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import JPEG2000Lossless

from model_serving.adapters.decoding import Decoding
from model_serving.domain.failure import RunFailedError
from udcphantom.ct import render_ct
from udcphantom.geometry import evenly, scan
from udcphantom.heads import head

GOOD = render_ct(head(), scan(evenly(1, spacing=5.0)), transfer_syntax=JPEG2000Lossless).instances[0]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def damaged() -> Dataset:
    dataset = GOOD.read()
    content = bytearray(dataset.PixelData)
    start = content.index(b"\xff\x4f\xff\x51")
    content[start + 4 : start + 40] = bytes(36)
    dataset.PixelData = bytes(content)
    return dataset


def ignore(_: NDArray[np.generic]) -> None:
    return None


def test_after_a_failure_nothing_is_handed_over_and_nothing_is_waited_for(pool: ThreadPoolExecutor) -> None:
    decoding = Decoding(pool, longest_queue=1 << 20)
    decoding.frames(damaged(), [(0, ignore)])
    decoding.settle()
    with pytest.raises(RunFailedError):
        decoding.frames(GOOD.read(), [(0, ignore)])
    decoding.settle()
    with pytest.raises(RunFailedError):
        decoding.finish()


def test_what_waits_is_bounded_by_its_bytes(pool: ThreadPoolExecutor) -> None:
    decoding = Decoding(pool, longest_queue=1)
    both = threading.Barrier(2, timeout=0.02)
    together: list[int] = []

    def receive(_: NDArray[np.generic]) -> None:
        try:
            together.append(both.wait())
        except threading.BrokenBarrierError:
            both.reset()

    for _ in range(4):
        decoding.frames(GOOD.read(), [(0, receive)])
    decoding.finish()
    assert together == [], "no two frames were under way at the same time"


def test_what_was_abandoned_is_not_decoded(pool: ThreadPoolExecutor) -> None:
    held = threading.Event()
    received: list[NDArray[np.generic]] = []
    for _ in range(2):
        pool.submit(held.wait)
    decoding = Decoding(pool, longest_queue=1 << 20)
    decoding.frames(GOOD.read(), [(0, received.append)])
    decoding.abandon()
    held.set()
    decoding.settle()
    assert received == []


@pytest.mark.parametrize(("allocated", "length"), [(8, 8192), (32, 8192), (16, 7192), (16, 8194), (16, 0)])
def test_uncompressed_pixels_of_another_length_than_described_are_refused(
    pool: ThreadPoolExecutor, allocated: int, length: int
) -> None:
    dataset = render_ct(head(), scan(evenly(1, spacing=5.0))).instances[0].read()
    dataset.BitsAllocated = allocated
    dataset.PixelData = bytes(length)

    with pytest.raises(RunFailedError, match=f"has {length} bytes of pixels; its header describes {512 * allocated}"):
        Decoding(pool, longest_queue=1 << 20).frames(dataset, [(0, ignore)])


def test_compressed_pixels_of_more_bits_than_allocated_are_refused(pool: ThreadPoolExecutor) -> None:
    dataset = GOOD.read()
    dataset.BitsAllocated = dataset.BitsStored = 8
    decoding = Decoding(pool, longest_queue=1 << 20)

    decoding.frames(dataset, [(0, ignore)])

    with pytest.raises(RunFailedError, match="take 16 bits; its header allocates 8"):
        decoding.finish()
