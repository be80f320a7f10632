"""Alembic revisions of the study router."""
