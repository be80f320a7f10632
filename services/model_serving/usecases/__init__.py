"""What a worker does: run jobs, keep models proven, stop what nobody needs."""

from model_serving.usecases.abandonment import CanceledError, InFlight
from model_serving.usecases.archives import Archives
from model_serving.usecases.devices import ManageDevices
from model_serving.usecases.golden import ProveGolden
from model_serving.usecases.inference import Inference
from model_serving.usecases.models import Models, ModelStatus
from model_serving.usecases.run_job import RunJob

__all__ = [
    "Archives",
    "CanceledError",
    "InFlight",
    "Inference",
    "ManageDevices",
    "ModelStatus",
    "Models",
    "ProveGolden",
    "RunJob",
]
