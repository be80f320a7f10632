"""Settings of model serving, from ``MODEL_SERVING_*`` variables."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt, StringConstraints
from pydantic_settings import SettingsConfigDict

from udckit import subjects
from udckit.settings import ServiceSettings

Token = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
"""A word that may stand in a subject."""


class Settings(ServiceSettings):
    """What a worker needs to know to start. Times are in seconds."""

    model_config = SettingsConfigDict(env_prefix="MODEL_SERVING_")

    golden_url: str = f"nats:{subjects.BUCKET_GOLDEN}"
    """Where golden cases and their images are kept for as long as their versions: for ever."""

    pool: Token = "cpu"
    """Pool whose jobs this worker takes; all replicas of it can run the same devices."""
    slots: PositiveInt = 2
    """How many jobs run at the same time."""
    longest_run_s: PositiveFloat = 4 * 3600.0
    """No job's deadline is further away than this."""

    triton_address: str
    """``<host>:<port>`` of the gRPC API of Triton, on this machine: tensors travel by shared memory."""
    model_repository: Path
    """Triton's model repository as this process sees it; read to prove that models are the registered ones."""
    load_s: PositiveFloat = 300.0
    """How long Triton may take to load a model."""
    progress_s: PositiveFloat = 2.0
    """Pause between two reports of how far a run is; only what has changed is told."""
    canary_s: PositiveFloat = 60.0
    """How long a model may take to answer on a phantom."""

    secrets_dir: Path
    """Directory with one file ``user:password`` for each archive that wants to know who asks."""
    archive_ca: Path | None = None
    """PEM file of authorities that may sign certificates of archives, besides those of the system."""
    archive_idle_s: PositiveFloat = 30.0
    """How long an archive may send nothing in the middle of an answer."""
    archive_series_at_once: PositiveInt = 4
    """How many series come from one archive at the same time."""
    longest_instance_mib: PositiveInt = 2048
    """No DICOM instance is longer."""

    volume_memory_mib: PositiveInt = 4096
    """Memory for volumes as they come, of all slots together."""
    tensor_memory_mib: PositiveInt = 4096
    """Shared memory for tensors, of all slots together."""
    decoders: PositiveInt = Field(default_factory=lambda: os.cpu_count() or 1)
    """Threads that decode JPEG 2000 and JPEG-LS; by default as many as there are processors."""
