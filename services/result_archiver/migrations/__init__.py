"""Database revisions of the archiver."""
