"""Instances of closed studies as lists."""

from alembic import op
from sqlalchemy.schema import CreateIndex, CreateTable

from study_router.adapters.tables import INSTANCE_LISTS

revision = "0003_instance_lists"
down_revision = "0002_sweeps"


def upgrade() -> None:
    # The first revision makes all tables of the code it runs with: on a fresh database this is there already.
    op.execute(CreateTable(INSTANCE_LISTS, if_not_exists=True))
    for index in INSTANCE_LISTS.indexes:
        op.execute(CreateIndex(index, if_not_exists=True))
