"""What happened to a study as a whole."""

from alembic import op
from sqlalchemy.schema import CreateIndex, CreateTable

from study_router.adapters.tables import STUDY_HISTORY

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # A database made today has the table from the first schema already.
    op.execute(CreateTable(STUDY_HISTORY, if_not_exists=True))
    for index in STUDY_HISTORY.indexes:
        op.execute(CreateIndex(index, if_not_exists=True))
