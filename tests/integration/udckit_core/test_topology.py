"""What is declared is what the server has; a server that could lose acknowledged messages is refused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.js.api import DiscardPolicy, StorageType

from udckit import subjects
from udckit.bus import Bus, BusSettings, connected
from udckit.errors import PreconditionError
from udckit.testing import NatsServer
from udckit.topology import provision, require_safe

pytestmark = pytest.mark.connected

PROVABLE = """
jetstream {{ {settings} }}
system_account: SYS
accounts {{
  SYS {{ exports: [ {{ service: "$SYS.REQ.SERVER.PING.JSZ", response_type: stream }} ] }}
  R77 {{
    jetstream: enabled
    users: [ {{ user: provisioner, password: secret }} ]
    imports: [ {{ service: {{ account: SYS, subject: "$SYS.REQ.SERVER.PING.JSZ" }}, to: "health.server.jsz" }} ]
  }}
}}
"""


@asynccontextmanager
async def provisioned(state: Path, settings: str) -> AsyncIterator[Bus]:
    config = PROVABLE.format(settings=settings)
    async with NatsServer(state, config=config, require_durable=False) as server:
        url = server.url.replace("nats://", "nats://provisioner:secret@")
        async with connected(BusSettings(servers=[url], name="provisioner")) as bus:
            await provision(bus, pools=["gpu", "cpu"])
            yield bus


async def test_streams_keep_what_they_acknowledged(bus: Bus) -> None:
    for name in (subjects.STREAM_EVENTS, subjects.STREAM_DEAD_LETTERS):
        config = (await bus.js.stream_info(name)).config
        assert (config.storage, config.discard, config.duplicate_window) == (StorageType.FILE, DiscardPolicy.NEW, 120)
        assert config.max_bytes is not None
        assert config.max_bytes > 0
        assert config.max_age


async def test_every_pool_has_its_durable(bus: Bus) -> None:
    info = await bus.js.consumer_info(subjects.STREAM_EVENTS, subjects.durable_serving_jobs("gpu"))

    assert info.config.filter_subject == f"{subjects.JOB_DISPATCHED}.gpu.*" or info.config.filter_subjects == [
        f"{subjects.JOB_DISPATCHED}.gpu.*"
    ]
    assert (info.config.ack_wait, info.config.max_deliver, info.config.max_ack_pending) == (30, -1, 64)


async def test_provisioning_again_changes_nothing_and_adds_what_is_new(bus: Bus) -> None:
    await bus.js.publish(subjects.STUDY_COMPLETED, b"kept")
    await provision(bus, pools=["gpu", "cpu"])

    assert (await bus.js.stream_info(subjects.STREAM_EVENTS)).state.messages == 1
    assert await bus.js.consumer_info(subjects.STREAM_EVENTS, subjects.durable_serving_jobs("cpu"))


async def test_a_server_that_writes_before_it_acknowledges_is_accepted(tmp_path: Path) -> None:
    async with provisioned(tmp_path / "nats", "sync_interval: always") as bus:
        await require_safe(bus)


async def test_a_server_that_acknowledges_before_it_writes_is_refused(tmp_path: Path) -> None:
    async with provisioned(tmp_path / "nats", 'sync_interval: "2m"') as bus:
        with pytest.raises(PreconditionError, match="sync_interval: always"):
            await require_safe(bus)


async def test_a_server_that_proves_nothing_is_refused(bus: Bus) -> None:
    with pytest.raises(PreconditionError, match=r"SERVER\.PING\.JSZ"):
        await require_safe(bus)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [({"discard": DiscardPolicy.OLD}, "drops old messages"), ({"storage": StorageType.MEMORY}, "not stored in files")],
)
async def test_a_stream_that_was_changed_behind_our_back_is_refused(
    tmp_path: Path, change: dict[str, object], complaint: str
) -> None:
    async with provisioned(tmp_path / "nats", "sync_interval: always") as bus:
        config = (await bus.js.stream_info(subjects.STREAM_EVENTS)).config
        await bus.js.delete_stream(subjects.STREAM_EVENTS)
        await bus.js.add_stream(config.evolve(**change))
        with pytest.raises(PreconditionError, match=complaint):
            await require_safe(bus)


async def test_a_missing_stream_is_told(tmp_path: Path) -> None:
    async with provisioned(tmp_path / "nats", "sync_interval: always") as bus:
        await bus.js.delete_stream(subjects.STREAM_DEAD_LETTERS)
        with pytest.raises(PreconditionError, match="run the provisioning"):
            await require_safe(bus)
