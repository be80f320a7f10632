"""Values and rules of archiving; no I/O."""
