"""The router's database on either engine."""

import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from udckit.database import Database, opened
from udckit.testing.ports import ReservedPorts


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return f"sqlite:///{tmp_path}/router.db"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url, migrations="study_router.migrations") as database:
        yield database


@pytest.fixture
def sockets_collected() -> Iterator[None]:
    """Sockets that a caller left to the collector end here, where the warning is expected, and in no other test."""
    yield
    gc.collect()


@pytest.fixture
def port() -> Iterator[int]:
    with ReservedPorts(1) as reserved:
        yield next(iter(reserved))
