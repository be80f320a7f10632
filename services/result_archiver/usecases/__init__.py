"""What the archiver does."""
