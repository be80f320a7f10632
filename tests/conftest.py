"""Fixtures that start the real servers."""

import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from udckit.testing import NatsServer, Orthanc, PostgreSQL, Triton


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A nats-server with an empty, durable JetStream and neither TLS nor users."""
    async with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def orthanc(tmp_path: Path) -> AsyncIterator[Orthanc]:
    """An empty Orthanc."""
    async with Orthanc(tmp_path / "orthanc") as server:
        yield server
        server.kill()  # an orderly stop takes it seconds, and nobody will read this state


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def triton(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Triton]:
    """A tritonserver with an empty model repository, shared by all tests: each adds models of its own name."""
    folder = tmp_path_factory.mktemp("triton")
    async with Triton(folder / "state", folder / "models") as server:
        yield server


@pytest.fixture(scope="session")
def directory_for_everybody() -> Iterator[Path]:
    """A directory that users without rights can reach; pytest's own are closed to them."""
    with tempfile.TemporaryDirectory(prefix="udc-") as folder:
        path = Path(folder)
        path.chmod(0o711)
        yield path


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgresql(directory_for_everybody: Path) -> AsyncIterator[PostgreSQL]:
    """A PostgreSQL shared by all tests: each has a database of its own."""
    async with PostgreSQL(directory_for_everybody / "postgresql") as server:
        yield server


@pytest.fixture
async def postgresql_url(postgresql: PostgreSQL) -> AsyncIterator[str]:
    """The URL of an empty database that no other test sees."""
    name = f"test_{uuid.uuid4().hex}"
    yield await postgresql.create_database(name)
    await postgresql.drop_database(name)
