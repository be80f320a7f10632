"""Whatever version made a database, opening it gives it the schema of the code and keeps what is in it."""

import importlib
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, inspect, text

from study_router.adapters.store import SqlStore
from udckit import plumbing_tables
from udckit.database import opened
from udckit.database.migrate import migrate

pytestmark = pytest.mark.connected

TABLES = {
    "study_router": ("study_router.adapters.tables",),
    "model_serving": ("model_serving.adapters.store", "model_serving.adapters.golden_store"),
    "result_archiver": ("result_archiver.adapters.tables",),
    "surveillance_reporter": ("surveillance_reporter.adapters.tables",),
}
"""Where each service says what its tables are."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return f"sqlite:///{tmp_path}/older.db"


def tables_of(service: str) -> MetaData:
    """Return the tables that the code of a service works with, those of the plumbing included."""
    modules = [importlib.import_module(name) for name in TABLES[service]]
    together = MetaData()
    for table in (*modules[0].METADATA.sorted_tables, *plumbing_tables.METADATA.sorted_tables):
        table.to_metadata(together)
    return together


async def make(url: str, service: str, *, first: bool) -> None:
    """Make a database as the first version of a service did, or as this one does."""
    async with opened(url) as database:
        to = "0001" if first else "head"
        await database.transact(lambda connection: migrate(connection, f"{service}.migrations", to=to))


def differences(connection: Connection, expected: MetaData) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": False})
    return [item for item in compare_metadata(context, expected) if "alembic_version" not in str(item)]


@pytest.mark.parametrize("first", [True, False], ids=["first-version", "new"])
@pytest.mark.parametrize("service", TABLES)
async def test_a_database_has_the_schema_of_the_code(database_url: str, service: str, first: bool) -> None:
    await make(database_url, service, first=first)

    async with opened(database_url, migrations=f"{service}.migrations") as database:
        assert await database.read(lambda connection: differences(connection, tables_of(service))) == []


@pytest.mark.parametrize("service", ["study_router", "model_serving"])
async def test_the_comparison_sees_what_the_first_version_lacks(database_url: str, service: str) -> None:
    await make(database_url, service, first=True)

    async with opened(database_url) as database:
        assert await database.read(lambda connection: differences(connection, tables_of(service)))


async def test_a_study_of_the_first_version_is_still_there(database_url: str) -> None:
    await make(database_url, "study_router", first=True)
    async with opened(database_url) as database:
        await database.transact(_add_study)

    async with opened(database_url, migrations="study_router.migrations") as database:
        study = await SqlStore(database).read(lambda transaction: transaction.studies.get("one"))

    assert (study.study_instance_uid, study.revision, study.closed_at) == ("1.2", 3, None)


def _add_study(connection: Connection) -> None:
    given = {"study": "one", "study_instance_uid": "1.2", "state": "OPEN", "revision": 3, "version": 1}
    for column in inspect(connection).get_columns("studies"):
        if column["name"] in given or column["nullable"]:
            continue
        if column["name"].endswith("_at"):
            given[column["name"]] = "2026-01-01T00:00:00+00:00"
        else:
            given[column["name"]] = False if column["name"].startswith("is_") else ""
    names = ", ".join(given)
    values = ", ".join(f":{name}" for name in given)
    connection.execute(text(f"INSERT INTO studies ({names}) VALUES ({values})"), given)  # noqa: S608 - our own names
