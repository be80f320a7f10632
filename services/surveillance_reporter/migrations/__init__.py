"""Database revisions of the reporter."""
