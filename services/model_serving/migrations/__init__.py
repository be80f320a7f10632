"""Alembic revisions of model serving."""
