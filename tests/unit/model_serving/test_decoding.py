"""Decoding in other threads: bounded, in order of arrival, and never waiting for what does not come."""

import io
import struct
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless

from model_serving.adapters.decoding import MOST_FRAMES, Decoding, frame_count, read
from model_serving.domain.failure import CONSEQUENCES, RunFailedError
from udcphantom.ct import render_ct
from udcphantom.geometry import evenly, scan
from udcphantom.heads import head

GOOD = render_ct(head(), scan(evenly(1, spacing=5.0)), transfer_syntax=JPEG2000Lossless).instances[0]
MATRIX = (64, 64)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def damaged() -> Dataset:
    """Its header allocates fewer bits than its pixels take, which shows when they are decoded."""
    dataset = GOOD.read()
    dataset.BitsAllocated = dataset.BitsStored = 8
    return dataset


def ignore(_: NDArray[np.generic]) -> None:
    return None


def test_after_a_failure_nothing_is_handed_over_and_nothing_is_waited_for(pool: ThreadPoolExecutor) -> None:
    decoding = Decoding(pool, longest_queue=1 << 20, matrix=MATRIX)
    decoding.frames(damaged(), [(0, ignore)])
    decoding.settle()
    with pytest.raises(RunFailedError):
        decoding.frames(GOOD.read(), [(0, ignore)])
    decoding.settle()
    with pytest.raises(RunFailedError):
        decoding.finish()


def test_what_waits_is_bounded_by_its_bytes(pool: ThreadPoolExecutor) -> None:
    decoding = Decoding(pool, longest_queue=1, matrix=MATRIX)
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
    decoding = Decoding(pool, longest_queue=1 << 20, matrix=MATRIX)
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
        Decoding(pool, longest_queue=1 << 20, matrix=MATRIX).frames(dataset, [(0, ignore)])


def saying_it_is_larger(codestream: bytes) -> bytes:
    """The same bytes, which say that they are 60,000 x 60,000 pixels (SIZ of ISO 15444-1, SOF55 of ISO 14495-1)."""
    changed = bytearray(codestream)
    if changed.startswith(b"\xff\x4f"):
        at = changed.index(b"\xff\x51")
        struct.pack_into(">LL", changed, at + 6, 60_000, 60_000)
        struct.pack_into(">LL", changed, at + 22, 60_000, 60_000)
    else:
        struct.pack_into(">HH", changed, changed.index(b"\xff\xf7") + 5, 60_000, 60_000)
    return bytes(changed)


@pytest.mark.parametrize("transfer_syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_pixels_that_say_they_are_larger_than_the_stack_are_not_decoded(
    pool: ThreadPoolExecutor, transfer_syntax: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(_: bytes) -> NDArray[np.generic]:
        pytest.fail("a bomb was decoded")

    geometry = scan(evenly(1, spacing=5.0))
    dataset = render_ct(head(), geometry, transfer_syntax=transfer_syntax).instances[0].read()
    (codestream,) = generate_frames(dataset.PixelData, number_of_frames=1)
    dataset.PixelData = encapsulate([saying_it_is_larger(codestream)])
    monkeypatch.setattr("model_serving.adapters.decoding.IN_THREADS", {transfer_syntax: decode})
    decoding = Decoding(pool, longest_queue=1 << 20, matrix=MATRIX)

    with pytest.raises(RunFailedError, match="60000 x 60000, not the 64 x 64 of the stack") as failure:
        decoding.frames(dataset, [(0, ignore)])
    assert CONSEQUENCES[failure.value.reason].is_insufficient


def test_a_deflated_file_is_inflated_no_further_than_a_file_may_be_long() -> None:
    dataset = render_ct(head(), scan(evenly(1, spacing=5.0))).instances[0].read()
    dataset.PixelData = bytes(8 << 20)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    content = file.getvalue()
    assert len(content) < 1 << 16

    tracemalloc.start()
    with pytest.raises(RunFailedError, match="longer than 1048576 bytes when it is inflated") as failure:
        read(content, longest=1 << 20)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert CONSEQUENCES[failure.value.reason].is_insufficient
    assert most < 4 << 20
    assert read(content, longest=9 << 20).PixelData == bytes(8 << 20)


@pytest.mark.parametrize("count", [MOST_FRAMES + 1, 2**31 - 1, -1])
def test_a_number_of_frames_that_lies_is_refused_before_any_is_looked_at(count: int) -> None:
    dataset = GOOD.read()
    dataset.NumberOfFrames = count
    with pytest.raises(RunFailedError, match=f"says that it has {count} frames") as failure:
        frame_count(dataset)
    assert CONSEQUENCES[failure.value.reason].is_insufficient


def test_more_frames_than_are_described_are_refused() -> None:
    dataset = GOOD.read()
    dataset.PerFrameFunctionalGroupsSequence = [Dataset(), Dataset()]
    dataset.NumberOfFrames = 2
    assert frame_count(dataset) == 2
    dataset.NumberOfFrames = 3
    with pytest.raises(RunFailedError, match="says that it has 3 frames and describes 2"):
        frame_count(dataset)


def test_compressed_pixels_of_more_bits_than_allocated_are_refused(pool: ThreadPoolExecutor) -> None:
    dataset = GOOD.read()
    dataset.BitsAllocated = dataset.BitsStored = 8
    decoding = Decoding(pool, longest_queue=1 << 20, matrix=MATRIX)

    decoding.frames(dataset, [(0, ignore)])

    with pytest.raises(RunFailedError, match="take 16 bits; its header allocates 8"):
        decoding.finish()
