"""Others know who is there, and soon that somebody has gone."""

import asyncio

import pytest

from integration.udckit_core.waiting import until
from udckit import subjects
from udckit.bus import Bus, BusSettings, connected
from udckit.presence import presenting, watching_roster
from udckit.testing import NatsServer

pytestmark = pytest.mark.connected

BUCKET = subjects.BUCKET_POOLS


async def test_who_comes_is_seen_and_who_leaves_is_not(bus: Bus) -> None:
    async with watching_roster(bus, BUCKET, ttl_s=1) as roster:
        heard: list[int] = []
        roster.listen(lambda: heard.append(len(roster.items())))
        async with presenting(bus, BUCKET, ttl_s=1) as presence:
            await presence.publish("gpu.1", b"4 slots")
            await until(lambda: roster.items() == {"gpu.1": b"4 slots"})
            await presence.publish("gpu.1", b"3 slots")
            await presence.publish("gpu.2", b"1 slot")
            await until(lambda: roster.items() == {"gpu.1": b"3 slots", "gpu.2": b"1 slot"})
            await presence.withdraw("gpu.2")
            await until(lambda: roster.items() == {"gpu.1": b"3 slots"})
        await until(lambda: roster.items() == {}, within_s=1)
        assert heard[0] == 1
        assert heard[-1] == 0


async def test_who_stays_stays_present(bus: Bus) -> None:
    async with watching_roster(bus, BUCKET, ttl_s=1) as roster, presenting(bus, BUCKET, ttl_s=1) as presence:
        await presence.publish("gpu.1", b"4 slots")
        await until(lambda: "gpu.1" in roster.items())
        for _ in range(30):
            await asyncio.sleep(0.1)
            assert roster.items() == {"gpu.1": b"4 slots"}


async def test_who_was_there_before_is_seen(bus: Bus) -> None:
    async with presenting(bus, BUCKET, ttl_s=1) as presence:
        await presence.publish("gpu.1", b"4 slots")
        async with watching_roster(bus, BUCKET, ttl_s=1) as roster:
            await until(lambda: "gpu.1" in roster.items())


@pytest.mark.faults
async def test_who_can_no_longer_be_heard_is_taken_for_gone_and_comes_back(nats_server: NatsServer, bus: Bus) -> None:
    async with (
        connected(BusSettings(servers=[nats_server.url], name="worker")) as worker,
        watching_roster(bus, BUCKET, ttl_s=1) as roster,
        presenting(worker, BUCKET, ttl_s=1) as presence,
    ):
        await presence.publish("gpu.1", b"4 slots")
        await until(lambda: "gpu.1" in roster.items())
        nats_server.kill()
        await until(lambda: roster.items() == {}, within_s=5)
        await nats_server.start()
        await until(lambda: "gpu.1" in roster.items())
