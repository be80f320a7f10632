"""The reporter with a broker of its own and two producers, on either database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integration.surveillance_reporter.world import Broker, Tellers, tellers
from udckit.clock import SystemClock
from udckit.consumer.gaps import GapWatch
from udckit.security.identity import Service
from udckit.security.installation import install
from udckit.testing import NatsServer
from udckit.topology import provision


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return f"sqlite:///{tmp_path}/reporter.db"


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    installation, _ = install(tmp_path / "security", region="r77", clock=SystemClock(), pools=["cpu"])
    config = installation.nats_configuration.read_text()
    async with NatsServer(tmp_path / "nats", config=config) as server:
        broker = Broker(installation, server)
        async with broker.as_service(Service.PROVISIONER) as bus:
            await provision(bus, pools=["cpu"])
        yield broker


@pytest.fixture
async def producers(broker: Broker, tmp_path: Path) -> AsyncIterator[Tellers]:
    async with tellers(broker, tmp_path) as made:
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let consumers look for gaps every 0.2 s; in service they give late events ten seconds to arrive."""
    monkeypatch.setattr(GapWatch.__init__, "__kwdefaults__", {"look_s": 0.2})
