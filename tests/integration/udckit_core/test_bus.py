"""Nothing that NATS refuses stays unnoticed, and no publish waits for ever."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import nats.errors
import pytest

from integration.udckit_core.waiting import until
from udckit import subjects
from udckit.bus import Bus, BusSettings, connected
from udckit.errors import ServiceError, TimedOutError, UpstreamUnavailableError
from udckit.publisher import DUPLICATE_IN_BATCH, Message, PublishRefusedError, StreamFullError, publishing
from udckit.testing import NatsServer

pytestmark = pytest.mark.connected

LIMITED = """
jetstream { sync_interval: always }
authorization {
  users: [
    { user: "ledger", password: "secret", permissions: {
      publish: { allow: ["udc.events.v1.>", "$JS.API.>"] }, subscribe: { allow: ["_INBOX_ledger.>"] } } }
  ]
}
"""


def message(number: int, *, subject: str = subjects.RESULT_ACCEPTED, body: bytes = b"") -> Message:
    return Message(subject=subject, headers={"Nats-Msg-Id": f"message-{number}"}, body=body)


@pytest.fixture
async def limited_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path / "limited", config=LIMITED) as server:
        yield server


def of_ledger(server: NatsServer, password: str) -> BusSettings:
    url = server.url.replace("nats://", f"nats://ledger:{password}@")
    return BusSettings(servers=[url], name="ledger", connect_within_s=2)


async def test_a_refused_subject_makes_the_bus_unhealthy(limited_server: NatsServer) -> None:
    async with connected(of_ledger(limited_server, password="secret")) as bus:
        assert bus.healthy()
        await bus.nc.publish("forbidden.subject", b"")
        await until(lambda: bus.violations == 1)
        assert not bus.healthy()


async def test_a_wrong_password_is_told_without_quoting_it(limited_server: NatsServer) -> None:
    with pytest.raises(UpstreamUnavailableError) as refusal:
        async with connected(of_ledger(limited_server, password="guessed")):
            """Never reached."""
    assert "guessed" not in str(refusal.value)


async def test_a_server_that_is_not_there_is_told_in_time() -> None:
    with pytest.raises(UpstreamUnavailableError, match="does not answer"):
        async with connected(BusSettings(servers=["nats://127.0.0.1:1"], name="ledger", connect_within_s=0.5)):
            """Never reached."""


async def test_listeners_hear_of_loss_and_return(nats_server: NatsServer) -> None:
    heard: list[str] = []

    async def lost() -> None:
        heard.append("lost")

    async def back() -> None:
        heard.append("back")

    async with connected(BusSettings(servers=[nats_server.url], name="ledger")) as bus:
        bus.on_disconnect(lost)
        bus.on_reconnect(back)
        nats_server.kill()
        await until(lambda: heard == ["lost"])
        assert not bus.healthy()
        await nats_server.start()
        await until(lambda: heard == ["lost", "back"])
        await until(bus.healthy)


async def test_a_listener_that_fails_does_not_harm_the_connection(nats_server: NatsServer) -> None:
    async def failing() -> None:
        raise nats.errors.BadSubscriptionError

    async with connected(BusSettings(servers=[nats_server.url], name="ledger")) as bus:
        bus.on_reconnect(failing)
        for _ in range(2):
            nats_server.kill()
            await until(lambda: not bus.nc.is_connected)
            await nats_server.start()
            await until(bus.healthy)


async def test_a_client_that_ceased_to_reconnect_is_revived(nats_server: NatsServer) -> None:
    async with connected(BusSettings(servers=[nats_server.url], name="ledger")) as bus:
        nats_server.kill()
        await until(lambda: bus.nc.is_reconnecting)
        reconnecting = bus.nc._reconnection_task
        assert reconnecting is not None
        reconnecting.cancel()
        await nats_server.start()
        await until(bus.healthy)


async def test_what_is_published_is_stored_in_order_and_known_again(bus: Bus) -> None:
    async with publishing(bus) as publisher:
        stored = await asyncio.gather(*(publisher.publish(message(number)) for number in range(1000)))
        assert [one.sequence for one in stored] == list(range(1, 1001))
        again = await publisher.publish(message(7))
        assert (again.sequence, again.is_duplicate) == (8, True)


async def test_a_batch_is_stored_as_a_whole_or_not_at_all(bus: Bus) -> None:
    async with publishing(bus) as publisher:
        assert (await publisher.publish_atomically([message(number) for number in range(100)])).sequence == 100
        with pytest.raises(PublishRefusedError) as refusal:
            await publisher.publish_atomically([message(number) for number in range(99, 120)])
        assert refusal.value.facts["code"] == DUPLICATE_IN_BATCH
        assert (await bus.js.stream_info(subjects.STREAM_EVENTS)).state.messages == 100
        assert (await publisher.publish_atomically([message(500)])).sequence == 101


async def test_a_full_stream_is_told(bus: Bus) -> None:
    config = (await bus.js.stream_info(subjects.STREAM_EVENTS)).config
    await bus.js.update_stream(config.evolve(max_msgs=1))
    async with publishing(bus) as publisher:
        await publisher.publish(message(1))
        with pytest.raises(StreamFullError):
            await publisher.publish(message(2))
        with pytest.raises(StreamFullError):
            await publisher.publish_atomically([message(3), message(4)])


async def test_a_subject_without_a_stream_is_told(bus: Bus) -> None:
    async with publishing(bus) as publisher:
        with pytest.raises(UpstreamUnavailableError):
            await publisher.publish(message(1, subject="no.stream"))


async def test_a_message_that_is_too_large_is_told(bus: Bus) -> None:
    async with publishing(bus) as publisher:
        with pytest.raises(PublishRefusedError):
            await publisher.publish(message(1, body=b"x" * 2_000_000))


async def test_a_frozen_server_fails_the_publish_at_its_deadline(bus: Bus, nats_server: NatsServer) -> None:
    async with publishing(bus, deadline_s=0.3) as publisher:
        nats_server.freeze()
        try:
            with pytest.raises(TimedOutError):
                await publisher.publish(message(1))
        finally:
            nats_server.thaw()


@pytest.mark.faults
async def test_a_killed_server_fails_everything_in_flight(bus: Bus, nats_server: NatsServer) -> None:
    async with publishing(bus, deadline_s=30) as publisher:
        nats_server.freeze()  # so that nothing is answered before it dies
        publishing_all = [asyncio.create_task(publisher.publish(message(number))) for number in range(1000)]
        await asyncio.sleep(0.1)
        nats_server.kill()
        outcomes = await asyncio.wait_for(asyncio.gather(*publishing_all, return_exceptions=True), 10)
        assert {isinstance(outcome, ServiceError) for outcome in outcomes} == {True}

        await nats_server.start()
        await until(bus.healthy)
        stored = await asyncio.gather(*(publisher.publish(message(number)) for number in range(1000)))
        assert max(one.sequence for one in stored) == 1000


async def test_the_bus_can_be_closed_while_the_server_is_away(nats_server: NatsServer) -> None:
    async with connected(BusSettings(servers=[nats_server.url], name="ledger")) as bus:
        nats_server.kill()
        await until(lambda: not bus.nc.is_connected)
    assert bus.nc.is_closed
    with pytest.raises(nats.errors.ConnectionClosedError):
        await bus.nc.publish("a", b"")
