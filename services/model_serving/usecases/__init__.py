"""What a worker does: run jobs, keep models proven, stop what nobody needs."""

from model_serving.usecases.abandonment import CanceledError, InFlight
from model_serving.usecases.models import Models, ModelStatus
from model_serving.usecases.run_job import RunJob

__all__ = ["CanceledError", "InFlight", "ModelStatus", "Models", "RunJob"]
