"""Transactions on SQLite or PostgreSQL: state and the events that tell of it become true together."""

from sqlalchemy import Connection

from udckit.database.core import Database, opened
from udckit.database.statements import insert
from udckit.database.types import SerialId, UtcTime
from udckit.database.work import Work

__all__ = ["Connection", "Database", "SerialId", "UtcTime", "Work", "insert", "opened"]
