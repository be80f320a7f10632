"""Column types that mean the same in SQLite and PostgreSQL."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, String
from sqlalchemy.types import TypeDecorator, TypeEngine

SerialId: Final = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit number that the database gives out; SQLite does so only for a column declared ``INTEGER``."""


def utc(moment: datetime) -> datetime:
    """Return ``moment`` in UTC.

    Raises:
        ValueError: it is naive; nobody can say when it was.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone")
    return moment.astimezone(UTC)


class UtcTime(TypeDecorator[datetime]):
    """A moment: aware, in UTC, to the microsecond.

    PostgreSQL stores ``timestamptz``. SQLite stores text of fixed width such as ``2026-03-01T08:15:00.000000+00:00``,
    whose order is the order in time.
    """

    impl = String(32)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime] | TypeEngine[str]:
        """Return the type in which ``dialect`` stores a moment."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(DateTime(timezone=True))
        return dialect.type_descriptor(String(32))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | str | None:
        """Refuse a naive time."""
        if value is None:
            return None
        moment = utc(value)
        return moment if dialect.name == "postgresql" else moment.isoformat(timespec="microseconds")

    def process_result_value(self, value: datetime | str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 SQLAlchemy's signature
        """Return the moment, aware, in UTC."""
        if isinstance(value, str):
            return datetime.fromisoformat(value)
        return None if value is None else value.astimezone(UTC)
