"""The router's database on either engine."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from udckit.database import Database, opened


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return f"sqlite:///{tmp_path}/router.db"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url, migrations="study_router.migrations") as database:
        yield database
