"""``INSERT … ON CONFLICT`` in the words of either database."""

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

Insert = postgresql.Insert | sqlite.Insert


def insert(table: Table, *, dialect: str) -> Insert:
    """Return an INSERT into ``table`` that has ``on_conflict_do_nothing`` and ``on_conflict_do_update``.

    Args:
        table: Where to insert.
        dialect: ``connection.dialect.name``.
    """
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
