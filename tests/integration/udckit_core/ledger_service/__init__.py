"""A service as small as can be: entries that must be announced exactly when they are booked."""

from sqlalchemy import Column, Integer, MetaData, String, Table

METADATA = MetaData()
ENTRIES = Table("entries", METADATA, Column("id", String, primary_key=True), Column("amount", Integer, nullable=False))
