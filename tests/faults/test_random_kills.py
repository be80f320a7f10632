"""Fifty studies are under way while services, broker and archive are killed at random."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from faults.region_under_fault import RegionUnderFault
from udckit.testing.process import Server, ServerFailedError

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

STUDIES = 50
KILLS = 20
SEED = 77


def test_nothing_is_lost_or_doubled_by_twenty_kills(under_fault: RegionUnderFault) -> None:
    chance = random.Random(SEED)  # noqa: S311 - a repeatable choice of victims
    region = under_fault.region
    victims: Sequence[Server] = (region.router, region.serving, region.archiver, region.nats, region.orthanc)

    async def kill_now_and_then(sent: asyncio.Event) -> None:
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.5, 2.5))
            victim = chance.choice(victims)
            victim.kill()
            await asyncio.sleep(chance.uniform(0.0, 1.0))
            await victim.start()
        await sent.wait()

    async def send_all(sent: asyncio.Event) -> list[str]:
        uids = []
        for number in range(STUDIES):
            uids.append(await sent_at_last(under_fault, 5000 + number))
        sent.set()
        return uids

    async def story() -> list[str]:
        sent = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(send_all(sent))
            group.create_task(kill_now_and_then(sent))
        return await under_fault.faults(sending.result())

    assert asyncio.run(story()) == []


async def sent_at_last(under_fault: RegionUnderFault, seed: int) -> str:
    """Send a study until the archive has taken all of it, as a modality does."""
    while True:
        try:
            return await under_fault.send(seed)
        except ServerFailedError:
            # The archive was killed meanwhile.
            await asyncio.sleep(0.5)
