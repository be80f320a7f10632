"""What a broken, slow or lying archive does to a run: a named failure, and no thread or memory left behind."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator

import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless

from integration.model_serving.retrieval import Retrieval, a_retrieval
from integration.model_serving.scripted_archive import (
    ScriptedArchive,
    hanging_after,
    head,
    resetting_after,
    scripted_archive,
    sending,
)
from integration.model_serving.world import MIB, stack_of
from model_serving.domain.failure import Reason, RunFailedError
from udckit.errors import UpstreamUnavailableError
from udcmodel.stack import StackDescriptor
from udcphantom.ct import render_ct
from udcphantom.geometry import evenly, scan
from udcphantom.heads import head as a_head
from unit.model_serving.multipart_bytes import answer

STUDY = render_ct(a_head(), scan(evenly(10, spacing=5.0), rows=48, columns=40))
STACK = stack_of(STUDY, STUDY.series[0])
FILES = [instance.encoded for instance in STUDY.instances]


@pytest.fixture
async def archive() -> AsyncIterator[ScriptedArchive]:
    async with scripted_archive() as archive:
        yield archive


@pytest.fixture
async def retrieval() -> AsyncIterator[Retrieval]:
    async with a_retrieval() as retrieval:
        yield retrieval


async def failure_of(retrieval: Retrieval, archive: ScriptedArchive, stack: StackDescriptor = STACK) -> Reason:
    with pytest.raises(RunFailedError) as failure:
        await retrieval.values(stack, archive.url)
    return failure.value.reason


@pytest.mark.parametrize("with_length", [True, False])
async def test_a_whole_answer_is_a_volume(retrieval: Retrieval, archive: ScriptedArchive, *, with_length: bool) -> None:
    archive.script = sending(head() + answer(FILES, with_length=with_length))
    values = await retrieval.values(STACK, archive.url)
    assert values.shape == (10, 48, 40)
    assert np.isfinite(values).all()
    assert retrieval.fallbacks == ([] if with_length else ["no-length"] * 10)


async def test_the_request_asks_for_the_series_as_it_is_stored(retrieval: Retrieval, archive: ScriptedArchive) -> None:
    archive.script = sending(head() + answer(FILES))
    await retrieval.values(STACK, archive.url)
    (request,) = archive.requests
    path = f"/dicom-web/studies/{STACK.study_instance_uid}/series/{STACK.series_instance_uid}"
    assert request.startswith(f"GET {path} HTTP/1.1\r\n")
    assert "transfer-syntax=*" in request
    assert "Accept-Encoding: identity" in request


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.95, 0.9999])
async def test_an_answer_that_is_cut_and_closed_cleanly_is_no_success(
    retrieval: Retrieval, archive: ScriptedArchive, kept: float
) -> None:
    whole = answer(FILES)
    archive.script = sending(head() + whole[: int(len(whole) * kept)])
    assert await failure_of(retrieval, archive) is Reason.TRANSFER_TRUNCATED


async def test_every_file_without_the_closing_delimiter_is_no_success(
    retrieval: Retrieval, archive: ScriptedArchive
) -> None:
    archive.script = sending(head() + answer(FILES).removesuffix(b"--\r\n"))
    assert await failure_of(retrieval, archive) is Reason.TRANSFER_TRUNCATED


async def test_a_slice_that_is_missing_is_named(retrieval: Retrieval, archive: ScriptedArchive) -> None:
    archive.script = sending(head() + answer(FILES[:4] + FILES[5:]))
    assert await failure_of(retrieval, archive) is Reason.FRAME_MISSING


async def test_a_slice_that_comes_twice_is_named(retrieval: Retrieval, archive: ScriptedArchive) -> None:
    archive.script = sending(head() + answer([*FILES, FILES[3]]))
    assert await failure_of(retrieval, archive) is Reason.FRAME_REPEATED


async def test_a_slice_that_was_not_matched_and_belongs_to_the_stack_is_named(
    retrieval: Retrieval, archive: ScriptedArchive
) -> None:
    between = render_ct(a_head(), scan(evenly(11, spacing=4.1), rows=48, columns=40), seed=2)
    archive.script = sending(head() + answer([*FILES, between.instances[4].encoded]))
    assert await failure_of(retrieval, archive) is Reason.FRAME_UNEXPECTED


async def test_a_slice_that_moved_is_named(retrieval: Retrieval, archive: ScriptedArchive) -> None:
    moved = STUDY.instances[4].encoded.replace(b"3.6\\3.6 ", b"3.6\\3.5 ")
    assert moved != FILES[4]
    archive.script = sending(head() + answer([*FILES[:4], moved, *FILES[5:]]))
    assert await failure_of(retrieval, archive) is Reason.FRAME_CHANGED


async def test_a_file_that_is_none_is_named(retrieval: Retrieval, archive: ScriptedArchive) -> None:
    archive.script = sending(head() + answer([*FILES[:4], b"<html>sorry</html>", *FILES[5:]]))
    assert await failure_of(retrieval, archive) is Reason.PIXELS_UNREADABLE


async def test_compressed_pixels_that_are_damaged_are_named(retrieval: Retrieval, archive: ScriptedArchive) -> None:
    study = render_ct(a_head(), scan(evenly(4, spacing=5.0), rows=48, columns=40), transfer_syntax=JPEG2000Lossless)
    files = [bytearray(instance.encoded) for instance in study.instances]
    codestream = files[2].index(b"\xff\x4f\xff\x51")
    files[2][codestream + 4 : codestream + 40] = bytes(36)
    archive.script = sending(head() + answer(map(bytes, files)))
    assert await failure_of(retrieval, archive, stack_of(study, study.series[0])) is Reason.PIXELS_UNREADABLE


async def test_an_instance_without_end_is_refused(archive: ScriptedArchive) -> None:
    async with a_retrieval(longest_part=MIB) as retrieval:
        archive.script = sending(head() + answer([bytes(2 * MIB)]))
        assert await failure_of(retrieval, archive) is Reason.INPUT_TOO_LARGE


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("404 Not Found", Reason.SERIES_GONE),
        ("204 No Content", Reason.SERIES_GONE),
        ("400 Bad Request", Reason.TRANSFER_MALFORMED),
        ("302 Found", Reason.TRANSFER_MALFORMED),
    ],
)
async def test_a_refusal_of_the_archive_is_named(
    retrieval: Retrieval, archive: ScriptedArchive, status: str, reason: Reason
) -> None:
    archive.script = sending(head(status))
    assert await failure_of(retrieval, archive) is reason


@pytest.mark.parametrize("status", ["202 Accepted", "401 Unauthorized", "409 Conflict", "429 Slow Down", "503 Later"])
async def test_an_archive_that_is_away_is_waited_for(
    retrieval: Retrieval, archive: ScriptedArchive, status: str
) -> None:
    archive.script = sending(head(status))
    with pytest.raises(UpstreamUnavailableError):
        await retrieval.values(STACK, archive.url)


async def test_a_connection_that_breaks_is_waited_for(retrieval: Retrieval, archive: ScriptedArchive) -> None:
    archive.script = resetting_after(head() + answer(FILES)[:20_000])
    with pytest.raises(UpstreamUnavailableError):
        await retrieval.values(STACK, archive.url)


async def test_nobody_at_the_address_is_waited_for(retrieval: Retrieval) -> None:
    with pytest.raises(UpstreamUnavailableError):
        await retrieval.values(STACK, "http://127.0.0.1:9/dicom-web")


async def test_an_archive_that_falls_silent_is_waited_for_and_not_for_ever(archive: ScriptedArchive) -> None:
    async with a_retrieval(idle_s=0.3) as retrieval:
        archive.script = hanging_after(head() + answer(FILES)[:20_000])
        with pytest.raises(UpstreamUnavailableError):
            await retrieval.values(STACK, archive.url)


async def test_a_cancelled_retrieval_cuts_the_connection_and_leaves_no_thread_in_the_memory(
    archive: ScriptedArchive,
) -> None:
    async with a_retrieval(idle_s=60.0) as retrieval:
        archive.script = hanging_after(head() + answer(FILES)[:20_000])
        running = asyncio.create_task(retrieval.values(STACK, archive.url))
        await archive.asked.wait()
        await asyncio.sleep(0.1)  # the thread is in the middle of a slice now

        running.cancel()
        async with asyncio.timeout(5):
            with pytest.raises(asyncio.CancelledError):
                await running
            await archive.left.wait()

        # Neither a thread nor the memory is held: all of it serves the next series.
        archive.script = sending(head() + answer(FILES))
        assert np.isfinite(await retrieval.values(STACK, archive.url)).all()


async def test_a_long_series_passes_through_in_little_memory(archive: ScriptedArchive) -> None:
    study = render_ct(a_head(), scan(evenly(40, spacing=2.0), rows=256, columns=256), noise_hu=0.0)
    stack = stack_of(study, study.series[0])
    body = head() + answer(instance.encoded for instance in study.instances)
    archive.script = sending(body)
    async with a_retrieval() as retrieval:
        tracemalloc.start()
        try:
            async with retrieval.memory.leased(len(stack.frames) * 256 * 256 * 4):
                pass
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            values = await retrieval.values(stack, archive.url)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    # The copy that this test keeps is the only thing of the size of the series.
    assert peak - before < values.nbytes + 3 * MIB
    assert len(body) > 5 * MIB
