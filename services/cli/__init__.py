"""The ``udc`` command: what people do with the platform, through its gRPC APIs and nothing else."""
