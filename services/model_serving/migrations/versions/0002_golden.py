"""Runs of golden cases."""

from alembic import op
from sqlalchemy.schema import CreateIndex, CreateTable

from model_serving.adapters.golden_store import GOLDEN_RUNS

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # A new database has the table already: the first schema makes all there are.
    op.execute(CreateTable(GOLDEN_RUNS, if_not_exists=True))
    for index in GOLDEN_RUNS.indexes:
        op.execute(CreateIndex(index, if_not_exists=True))
