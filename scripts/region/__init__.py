"""A whole region on one machine: broker, archive, Triton and the services."""
