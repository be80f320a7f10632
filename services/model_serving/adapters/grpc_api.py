"""``udc.serving.v1``: what this worker has and does."""

from grpc import aio

from model_serving.domain.processing_version import PROCESSING_VERSION
from model_serving.usecases import Models
from udc.serving.v1 import serving_pb2 as pb
from udc.serving.v1 import serving_pb2_grpc


class ServingApi(serving_pb2_grpc.ServingServiceServicer):
    """Answers about this worker alone; nothing here infers."""

    def __init__(self, models: Models, *, replica: str, pool: str) -> None:
        self._models = models
        self._replica = replica
        self._pool = pool

    async def GetStatus(  # noqa: N802 the generated name
        self,
        request: pb.GetStatusRequest,  # noqa: ARG002 it asks for everything
        context: aio.ServicerContext[pb.GetStatusRequest, pb.GetStatusResponse],  # noqa: ARG002 gRPC's signature
    ) -> pb.GetStatusResponse:
        """Return slots and models."""
        return pb.GetStatusResponse(
            replica=self._replica,
            pool=self._pool,
            slots=self._models.slots,
            busy=self._models.busy,
            models=[
                pb.LoadedModel(
                    device=status.device,
                    version=status.version,
                    model=status.model,
                    ready=status.is_ready,
                    canary=status.canary,
                )
                for status in self._models.statuses()
            ],
            processing_version=PROCESSING_VERSION,
        )
