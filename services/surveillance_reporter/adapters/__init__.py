"""How the reporter meets the database, the broker and its callers."""
