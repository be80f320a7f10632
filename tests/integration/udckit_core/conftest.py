"""A small service's database on either engine, and NATS as it is provisioned."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from udckit.bus import Bus, BusSettings, connected
from udckit.database import Database, opened
from udckit.testing import NatsServer
from udckit.topology import provision

MIGRATIONS = "integration.udckit_core.ledger_service.migrations"


@pytest.fixture(autouse=True, scope="session")
def plain_log() -> None:
    """Without this, structlog draws tracebacks with all local variables, which holds up the event loop for seconds."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ]
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url, migrations=MIGRATIONS) as database:
        yield database


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    async with connected(BusSettings(servers=[nats_server.url], name="ledger")) as bus:
        await provision(bus, pools=["gpu"])
        yield bus
