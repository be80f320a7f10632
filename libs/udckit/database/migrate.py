"""Brings a database to the schema its service was written for."""

from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

_ENVIRONMENT: Final = "udckit.database:environment"
_LOCK_KEY: Final = 0x7564636D  # any constant of ours: replicas that start together migrate one after the other


def migrate(connection: Connection, migrations: str, *, to: str = "head") -> None:
    """Apply the Alembic revisions that ``connection``'s database lacks, in the running transaction.

    Args:
        connection: Inside a transaction; the caller commits.
        migrations: Package whose folder ``versions`` holds the revisions, such as ``study_router.migrations``.
        to: The last revision to apply.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
    versions: Traversable = resources.files(migrations) / "versions"
    config = Config()
    config.set_main_option("script_location", _ENVIRONMENT)
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(versions).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
