"""A background task ends when it is asked to, and not before."""

import asyncio

import pytest

from udckit import background
from udckit.background import kept_running


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_REPAIR_S", 0.0)


@pytest.mark.parametrize("failure", [RuntimeError("broken"), asyncio.CancelledError(), None])
async def test_what_ends_by_itself_begins_again(failure: BaseException | None) -> None:
    times = 0
    again = asyncio.Event()

    async def run() -> None:
        nonlocal times
        times += 1
        if times == 1:
            if failure is not None:
                raise failure
            return
        again.set()
        await asyncio.Event().wait()

    async with kept_running(run, "task"):
        await asyncio.wait_for(again.wait(), 5)
    assert times == 2


async def test_it_has_ended_when_the_block_has() -> None:
    is_running = False

    async def run() -> None:
        nonlocal is_running
        is_running = True
        try:
            await asyncio.Event().wait()
        finally:
            is_running = False

    async with kept_running(run, "task"):
        await asyncio.sleep(0.01)
        assert is_running
    assert not is_running
