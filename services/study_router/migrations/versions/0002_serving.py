"""Golden cases of device versions, and the archives that a job reads from."""

from alembic import op
from sqlalchemy import Column, inspect

from study_router.adapters.tables import DEVICE_VERSIONS, JOBS

revision = "0002"
down_revision = "0001"

_ADDED = ((DEVICE_VERSIONS, ("golden_digest", "golden_cases")), (JOBS, ("archives",)))


def upgrade() -> None:
    # A new database has the columns already: the first schema makes all there are.
    known = inspect(op.get_bind())
    for table, names in _ADDED:
        present = {column["name"] for column in known.get_columns(table.name)}
        for name in names:
            if name not in present:
                column = table.c[name]
                op.add_column(
                    table.name, Column(name, column.type, nullable=False, server_default=column.server_default)
                )
