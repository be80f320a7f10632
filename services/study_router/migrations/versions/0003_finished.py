"""What senders say about the end of a study, and when a study was closed."""

from alembic import op
from sqlalchemy import Column, inspect
from sqlalchemy.schema import CreateIndex, CreateTable

from study_router.adapters.tables import SENDER_STATEMENTS, STUDIES
from udckit.database import UtcTime

revision = "0003_finished"
down_revision = "0002_senders"


def upgrade() -> None:
    # The first revision makes whatever the tables module names; only a database that is older lacks these.
    there = inspect(op.get_bind())
    if not there.has_table(SENDER_STATEMENTS.name):
        op.execute(CreateTable(SENDER_STATEMENTS))
        for index in SENDER_STATEMENTS.indexes:
            op.execute(CreateIndex(index))
    if "closed_at" not in {column["name"] for column in there.get_columns(STUDIES.name)}:
        op.add_column(STUDIES.name, Column("closed_at", UtcTime))
