"""What the platform costs, measured against the bare way of doing the same; run by ``scripts/bench``."""
