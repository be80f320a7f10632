"""An archiver's database, objects and secrets."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integration.result_archiver.world import write_secret
from udckit.database import Database, opened
from udckit.objects import FileObjects
from udckit.testing import Orthanc


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    url = f"sqlite:///{tmp_path}/archiver.db"
    async with opened(url, migrations="result_archiver.migrations") as database:
        yield database


@pytest.fixture
def objects(tmp_path: Path) -> FileObjects:
    return FileObjects(tmp_path / "objects")


@pytest.fixture
def secrets(tmp_path: Path, orthanc: Orthanc) -> Path:
    return write_secret(tmp_path / "secrets", orthanc.credentials)
