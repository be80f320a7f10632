"""What senders really send."""

from alembic import op
from sqlalchemy import inspect
from sqlalchemy.schema import CreateTable

from study_router.adapters.tables import SENDER_PROFILES

revision = "0002_senders"
down_revision = "0001"


def upgrade() -> None:
    # The first revision makes whatever the tables module names; only a database that is older lacks this one.
    if not inspect(op.get_bind()).has_table(SENDER_PROFILES.name):
        op.execute(CreateTable(SENDER_PROFILES))
