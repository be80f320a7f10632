"""What was seen of archives that only answer queries."""

from alembic import op
from sqlalchemy.schema import CreateIndex, CreateTable

from study_router.adapters.tables import ARRIVALS_BY_AGE, SEEN_STUDIES, SWEEPS

revision = "0002_sweeps"
down_revision = "0001"


def upgrade() -> None:
    # The first revision makes all tables of the code it runs with: on a fresh database these are there already.
    for table in (SWEEPS, SEEN_STUDIES):
        op.execute(CreateTable(table, if_not_exists=True))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            op.execute(CreateIndex(index, if_not_exists=True))
    op.execute(CreateIndex(ARRIVALS_BY_AGE, if_not_exists=True))
