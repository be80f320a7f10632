"""What the reporter knows without any I/O: facts, and how they are counted."""
