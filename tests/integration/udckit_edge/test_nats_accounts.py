"""What each service may say and hear, tried on a real broker with the configuration that is installed."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from udckit.bus import Bus, BusSettings, connected
from udckit.errors import UpstreamUnavailableError
from udckit.objects import opened_objects
from udckit.presence import presenting, watching_roster
from udckit.publisher import Message, publishing
from udckit.replica import ReplicaRow, replica_writer, replicating
from udckit.security.identity import Service
from udckit.security.installation import Installation
from udckit.security.nats_accounts import CONNECTING, server_configuration
from udckit.testing.nats import NatsServer
from udckit.topology import provision, require_safe

pytestmark = pytest.mark.connected

Connect = Callable[[Service], AbstractAsyncContextManager[Bus]]

# Written by hand from the table of services in the design, not from the code under test.
SPEAKS = {
    Service.STUDY_ROUTER: {
        "udc.events.v1.study.completed",
        "udc.events.v1.study.revised",
        "udc.events.v1.study.quarantined",
        "udc.events.v1.job.dispatched.default.urgent",
        "udc.events.v1.job.canceled",
        "udc.events.v1.job.ended",
        "udc.events.v1.result.accepted",
        "udc.events.v1.device.registered",
        "udc.events.v1.device.attached",
        "dlq.udc.events.v1.job.started",
        "dlq.udc.events.v1.job.progressed",
        "dlq.udc.events.v1.job.returned",
        "dlq.udc.events.v1.job.inferred",
        "dlq.udc.events.v1.job.failed",
        "dlq.udc.events.v1.result.archived",
        "dlq.udc.events.v1.result.failed",
    },
    Service.MODEL_SERVING: {
        "udc.events.v1.job.started",
        "udc.events.v1.job.progressed",
        "udc.events.v1.job.returned",
        "udc.events.v1.job.inferred",
        "udc.events.v1.job.failed",
        "dlq.udc.events.v1.job.dispatched.default.urgent",
    },
    Service.RESULT_ARCHIVER: {
        "udc.events.v1.result.archived",
        "udc.events.v1.result.failed",
        "dlq.udc.events.v1.result.accepted",
    },
    # It takes every event, so there is none that it might not have to give up.
    Service.SURVEILLANCE_REPORTER: {
        "dlq.udc.events.v1.job.started",
        "dlq.udc.events.v1.job.progressed",
        "dlq.udc.events.v1.job.returned",
        "dlq.udc.events.v1.job.inferred",
        "dlq.udc.events.v1.job.failed",
        "dlq.udc.events.v1.job.dispatched.default.urgent",
        "dlq.udc.events.v1.result.accepted",
        "dlq.udc.events.v1.result.archived",
        "dlq.udc.events.v1.result.failed",
    },
    Service.EHR_FEATURES: set[str](),
    Service.PROVISIONER: set[str](),
}
EVERYTHING_SAID = sorted(set[str]().union(*SPEAKS.values()))
HEARS = {
    "study-router-job": Service.STUDY_ROUTER,
    "study-router-result": Service.STUDY_ROUTER,
    "model-serving-job-default": Service.MODEL_SERVING,
    "result-archiver-result": Service.RESULT_ARCHIVER,
    "surveillance-reporter-all": Service.SURVEILLANCE_REPORTER,
}
FILTERS = {
    "study-router-job": [
        "udc.events.v1.job.started",
        "udc.events.v1.job.progressed",
        "udc.events.v1.job.returned",
        "udc.events.v1.job.inferred",
        "udc.events.v1.job.failed",
    ],
    "study-router-result": ["udc.events.v1.result.archived", "udc.events.v1.result.failed"],
    "model-serving-job-default": ["udc.events.v1.job.dispatched.default.*"],
    "result-archiver-result": ["udc.events.v1.result.accepted"],
    "surveillance-reporter-all": ["udc.events.v1.>"],
}


@pytest.fixture
async def connect(installation: Installation, tmp_path: Path) -> AsyncIterator[Connect]:
    """A broker with the region's configuration and everything provisioned; gives connections of services."""
    async with NatsServer(tmp_path / "nats", config=installation.nats_configuration.read_text()) as server:

        @asynccontextmanager
        async def connecting(service: Service) -> AsyncIterator[Bus]:
            settings = BusSettings(
                servers=[f"tls://127.0.0.1:{server.port}"],
                name=service.value,
                tls=installation.tls_of(service).client_context(),
                connect_within_s=3.0,
            )
            async with connected(settings) as bus:
                yield bus

        async with connecting(Service.PROVISIONER) as bus:
            await provision(bus, pools=["default"])
            assert bus.violations == 0
        yield connecting


async def refused(bus: Bus, subjects: list[str]) -> set[str]:
    """Publish to each subject, and return those that the broker refused."""
    seen: list[str] = []
    failed = bus.failed

    async def noting(error: Exception) -> None:
        seen.append(str(error))
        await failed(error)

    bus.nc._error_cb = noting
    for subject in subjects:
        await bus.nc.publish(subject, b"")
    # Answers come in order: after this one every refusal is here.
    await bus.nc.request("health.server.jsz", b"{}", timeout=2)
    # The server writes the subject in lower case.
    return {subject for subject in subjects if any(f'"{subject.lower()}"' in text for text in seen)}


@pytest.mark.parametrize("service", SPEAKS)
async def test_a_service_announces_its_own_events_and_no_others(connect: Connect, service: Service) -> None:
    async with connect(service) as bus:
        assert await refused(bus, EVERYTHING_SAID) == set(EVERYTHING_SAID) - SPEAKS[service]


async def test_what_a_service_announces_is_stored(connect: Connect) -> None:
    async with connect(Service.STUDY_ROUTER) as bus:
        stored = await bus.js.publish("udc.events.v1.study.completed", b"1")
        dead = await bus.js.publish("dlq.udc.events.v1.job.failed", b"1")

        assert (stored.stream, dead.stream) == ("EVENTS", "DLQ")
        assert bus.healthy()


@pytest.mark.parametrize(("durable", "owner"), HEARS.items())
async def test_a_service_takes_from_its_own_consumer_and_acknowledges(
    connect: Connect, durable: str, owner: Service
) -> None:
    subject = FILTERS[durable][0].replace("*", "urgent").replace(">", "job.ended")
    speaker = next(service for service, spoken in SPEAKS.items() if subject in spoken)
    async with connect(speaker) as bus:
        await bus.js.publish(subject, b"work")

    async with connect(owner) as bus:
        subscription = await bus.js.pull_subscribe_bind(durable=durable, stream="EVENTS")
        [message] = await subscription.fetch(1, timeout=2)
        await message.in_progress()
        await message.ack_sync(timeout=2)
        info = await subscription.consumer_info()

        assert (message.data, info.num_ack_pending, info.num_pending) == (b"work", 0, 0)
        assert bus.healthy()


@pytest.mark.parametrize("service", SPEAKS)
async def test_nobody_takes_from_or_acknowledges_for_the_consumer_of_another(
    connect: Connect, service: Service
) -> None:
    asked = {durable: f"$JS.API.CONSUMER.MSG.NEXT.EVENTS.{durable}" for durable in HEARS}
    acknowledged = {durable: f"$JS.ACK.EVENTS.{durable}.1.1.1.1.1" for durable in HEARS}
    if service is Service.PROVISIONER:
        asked = {}  # it makes the consumers, so it could always give itself another one
    foreign = {durable for durable, owner in HEARS.items() if owner is not service}

    async with connect(service) as bus:
        assert await refused(bus, [*asked.values(), *acknowledged.values()]) == {
            table[durable] for table in (asked, acknowledged) for durable in foreign if durable in table
        }


@pytest.mark.parametrize("service", [each for each in SPEAKS if each is not Service.PROVISIONER])
async def test_only_the_provisioner_makes_changes_or_removes_streams_and_consumers(
    connect: Connect, service: Service
) -> None:
    destructive = [
        "$JS.API.STREAM.CREATE.MORE",
        "$JS.API.STREAM.UPDATE.EVENTS",
        "$JS.API.STREAM.DELETE.EVENTS",
        "$JS.API.STREAM.PURGE.EVENTS",
        "$JS.API.STREAM.MSG.DELETE.EVENTS",
        "$JS.API.STREAM.MSG.GET.EVENTS",
        "$JS.API.DIRECT.GET.EVENTS",
        "$JS.API.STREAM.PURGE.KV_registry",
        "$JS.API.STREAM.DELETE.OBJ_objects",
        "$JS.API.STREAM.PURGE.OBJ_objects",
        "$JS.API.STREAM.DELETE.OBJ_golden",
        "$JS.API.STREAM.PURGE.OBJ_golden",
        "$JS.API.CONSUMER.CREATE.EVENTS",
        "$JS.API.CONSUMER.CREATE.EVENTS.mine",
        "$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.mine",
        "$JS.API.CONSUMER.DELETE.EVENTS.study-router-job",
        "$SYS.REQ.SERVER.PING.JSZ",
    ]
    async with connect(service) as bus:
        assert await refused(bus, destructive) == set(destructive)


WRITES_TABLE = {("registry", Service.STUDY_ROUTER), ("pools", Service.MODEL_SERVING)}
READS_TABLE = {
    ("registry", Service.STUDY_ROUTER),
    ("registry", Service.MODEL_SERVING),
    ("registry", Service.RESULT_ARCHIVER),
    ("registry", Service.SURVEILLANCE_REPORTER),
    ("pools", Service.STUDY_ROUTER),
}


@pytest.mark.parametrize("bucket", ["registry", "pools"])
@pytest.mark.parametrize("service", [each for each in SPEAKS if each is not Service.PROVISIONER])
async def test_tables_are_written_by_one_service_and_watched_by_those_that_need_them(
    connect: Connect, bucket: str, service: Service
) -> None:
    async with connect(service) as bus:
        denied = await refused(bus, [f"$KV.{bucket}.key", f"$JS.API.CONSUMER.CREATE.KV_{bucket}"])

    assert (f"$KV.{bucket}.key" not in denied) == ((bucket, service) in WRITES_TABLE)
    assert (f"$JS.API.CONSUMER.CREATE.KV_{bucket}" not in denied) == ((bucket, service) in READS_TABLE)


@pytest.mark.parametrize(
    ("bucket", "writer", "reader"),
    [
        ("registry", Service.STUDY_ROUTER, Service.MODEL_SERVING),
        ("registry", Service.STUDY_ROUTER, Service.RESULT_ARCHIVER),
        ("registry", Service.STUDY_ROUTER, Service.SURVEILLANCE_REPORTER),
        ("pools", Service.MODEL_SERVING, Service.STUDY_ROUTER),
    ],
)
async def test_a_table_is_written_here_and_seen_there(
    connect: Connect, bucket: str, writer: Service, reader: Service
) -> None:
    async with connect(writer) as ours, connect(reader) as theirs:
        mine = await ours.js.key_value(bucket)
        revision = await mine.put("device", b"1")
        await mine.update("device", b"2", last=revision)
        seen = await theirs.js.key_value(bucket)
        watcher: Any = await seen.watchall()
        # More than one flow-control window.
        for number in range(600):
            await ours.nc.publish(f"$KV.{bucket}.row{number}", b"x" * 1_500)
        found: set[str] = set()
        async with asyncio.timeout(10):
            while len(found) < 601:
                update = await watcher.updates(timeout=5)
                if update is not None:
                    found.add(update.key)
        await watcher.stop()

        assert (await seen.get("device")).value == b"2"
        assert ours.healthy()
        assert theirs.healthy()


async def test_the_registry_is_replicated_within_the_permissions_of_both(connect: Connect) -> None:
    async with (
        connect(Service.STUDY_ROUTER) as router,
        connect(Service.RESULT_ARCHIVER) as archiver,
        replica_writer(router, "registry") as writer,
        replicating(archiver, "registry") as replica,
    ):
        arrived = asyncio.Event()
        replica.listen(lambda _row: arrived.set())
        assert await writer.put(ReplicaRow(key="device", revision=2, body=b"suspended"))
        assert not await writer.put(ReplicaRow(key="device", revision=1, body=b"live"))
        async with asyncio.timeout(5):
            await arrived.wait()
            while replica.is_stale:
                await writer.beat()
                await asyncio.sleep(0.05)

        assert replica.get("device") == b"suspended"
        assert router.healthy()
        assert archiver.healthy()


async def test_slots_of_a_pool_are_seen_by_the_router_within_the_permissions_of_both(connect: Connect) -> None:
    async with (
        connect(Service.STUDY_ROUTER) as router,
        connect(Service.MODEL_SERVING) as serving,
        watching_roster(router, "pools") as roster,
    ):
        changed = asyncio.Event()
        roster.listen(changed.set)
        async with asyncio.timeout(5):
            async with presenting(serving, "pools") as presence:
                await presence.publish("default.a", b"4 slots")
                await changed.wait()
                assert roster.items() == {"default.a": b"4 slots"}
                changed.clear()
            await changed.wait()

        assert roster.items() == {}
        assert router.healthy()
        assert serving.healthy()


async def test_events_are_published_in_batches_within_the_permissions(connect: Connect) -> None:
    batch = [
        Message(subject="udc.events.v1.job.ended", headers={"Nats-Msg-Id": f"e{number}"}, body=b"")
        for number in range(50)
    ]
    async with connect(Service.STUDY_ROUTER) as bus, publishing(bus) as publisher:
        stored = await publisher.publish_atomically(batch)

        assert stored.sequence == 50
        assert bus.healthy()


async def test_an_object_is_put_by_serving_and_read_by_the_archiver(connect: Connect) -> None:
    content = bytes(range(256)) * 2_000
    async with connect(Service.MODEL_SERVING) as bus, opened_objects("nats:objects", bus) as objects:
        digest = await objects.put(content)
        assert await objects.put(content) == digest
        assert bus.healthy()
    async with connect(Service.RESULT_ARCHIVER) as bus, opened_objects("nats:objects", bus) as objects:
        assert await objects.get(digest) == content
        assert bus.healthy()


async def test_golden_cases_are_put_by_the_router_and_only_read_by_serving(connect: Connect) -> None:
    async with connect(Service.STUDY_ROUTER) as bus, opened_objects("nats:golden", bus) as cases:
        digest = await cases.put(b"case")
        assert await cases.put(b"case") == digest
        assert bus.healthy()
    writing = ["$O.golden.C.x", "$O.golden.M.x"]
    async with connect(Service.MODEL_SERVING) as bus, opened_objects("nats:golden", bus) as cases:
        assert await cases.get(digest) == b"case"
        assert bus.healthy()
        assert await refused(bus, writing) == set(writing)


async def test_the_archiver_does_not_write_objects(connect: Connect) -> None:
    subjects = ["$O.objects.C.x", "$O.objects.M.x"]
    async with connect(Service.RESULT_ARCHIVER) as bus:
        assert await refused(bus, subjects) == set(subjects)


@pytest.mark.parametrize("subject", [">", "udc.events.v1.>", "_INBOX_result-archiver.>", "_INBOX.>", "$KV.registry.>"])
async def test_nobody_listens_beside_the_streams(connect: Connect, subject: str) -> None:
    async with connect(Service.MODEL_SERVING) as bus:
        await bus.nc.subscribe(subject)
        await bus.nc.request("health.server.jsz", b"{}", timeout=2)

        assert bus.violations == 1


@pytest.mark.parametrize("service", CONNECTING)
async def test_every_service_can_prove_that_the_broker_is_durable(connect: Connect, service: Service) -> None:
    async with connect(service) as bus:
        answer = await bus.nc.request("health.server.jsz", b'{"config": true}', timeout=2)
        assert json.loads(answer.data)["data"]["config"]["sync_always"] is True

        await require_safe(bus)
        assert bus.healthy()


@pytest.mark.parametrize("service", [Service.CLI, Service.NATS])
async def test_an_identity_without_a_user_is_not_let_in(connect: Connect, service: Service) -> None:
    assert service not in CONNECTING
    with pytest.raises(UpstreamUnavailableError):
        async with connect(service):
            pass


async def test_every_pool_has_its_own_consumer_to_take_from(installation: Installation, tmp_path: Path) -> None:
    config = server_configuration("r77", installation.tls_of(Service.NATS), pools=["gpu", "cpu"])
    async with NatsServer(tmp_path / "nats", config=config) as server:
        settings = BusSettings(
            servers=[f"tls://127.0.0.1:{server.port}"],
            name="model-serving",
            tls=installation.tls_of(Service.MODEL_SERVING).client_context(),
        )
        next_of = "$JS.API.CONSUMER.MSG.NEXT.EVENTS.model-serving-job-{}".format
        async with connected(settings) as bus:
            assert await refused(bus, [next_of("gpu"), next_of("cpu"), next_of("default")]) == {next_of("default")}
