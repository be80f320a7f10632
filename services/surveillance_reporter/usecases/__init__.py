"""What the reporter does."""
