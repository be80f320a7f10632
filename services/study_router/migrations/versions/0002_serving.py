"""Golden cases of device versions, the archives that a job reads from, and how far its worker is."""

from alembic import op
from sqlalchemy import Column, inspect
from sqlalchemy.schema import CreateTable

from study_router.adapters.tables import DEVICE_VERSIONS, JOB_PROGRESS, JOBS

revision = "0002"
down_revision = "0001"

_ADDED = ((DEVICE_VERSIONS, ("golden_digest", "golden_cases")), (JOBS, ("archives",)))


def upgrade() -> None:
    # A new database has all of it already: the first schema makes everything there is.
    op.execute(CreateTable(JOB_PROGRESS, if_not_exists=True))
    known = inspect(op.get_bind())
    for table, names in _ADDED:
        present = {column["name"] for column in known.get_columns(table.name)}
        for name in names:
            if name not in present:
                column = table.c[name]
                op.add_column(
                    table.name, Column(name, column.type, nullable=False, server_default=column.server_default)
                )
