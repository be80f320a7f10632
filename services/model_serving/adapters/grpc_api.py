# ruff: noqa: ARG002, N802 gRPC prescribes names and signatures
"""``udc.serving.v1``: what this worker has and does."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from model_serving.domain.golden import CaseResult
from model_serving.domain.processing_version import PROCESSING_VERSION
from model_serving.usecases import Archives, ManageDevices, Models, ModelStatus
from udc.serving.v1 import serving_pb2 as pb
from udc.serving.v1 import serving_pb2_grpc


class ServingApi(serving_pb2_grpc.ServingServiceServicer):
    """Answers about this worker alone; what is inferred here is never a patient's."""

    def __init__(
        self,
        models: Models,
        devices: ManageDevices,
        archives: Archives,
        *,
        replica: str,
        pool: str,
        processing_build: str,
    ) -> None:
        self._models = models
        self._archives = archives
        self._devices = devices
        self._replica = replica
        self._pool = pool
        self._processing_build = processing_build

    async def GetStatus(self, request: pb.GetStatusRequest, context: Any) -> pb.GetStatusResponse:
        """Return slots and models."""
        return pb.GetStatusResponse(
            replica=self._replica,
            pool=self._pool,
            slots=self._models.slots,
            busy=self._models.busy,
            models=map(_model, self._models.statuses()),
            processing_version=PROCESSING_VERSION,
            processing_build=self._processing_build,
            archives_away=[pb.ArchiveAway(archive=name, reason=why) for name, why in self._archives.away.items()],
        )

    async def CheckDevice(self, request: pb.CheckDeviceRequest, context: Any) -> AsyncIterator[pb.CheckDeviceResponse]:
        """Run the golden cases of a version and yield what each gave."""
        async with aclosing(self._devices.check(request.device, request.version)) as results:
            async for result in results:
                yield _case(result)

    async def LoadDevice(self, request: pb.LoadDeviceRequest, context: Any) -> pb.LoadDeviceResponse:
        """Load and prove a version's model."""
        return pb.LoadDeviceResponse(model=_model(await self._devices.load(request.device, request.version)))

    async def UnloadDevice(self, request: pb.UnloadDeviceRequest, context: Any) -> pb.UnloadDeviceResponse:
        """Take a version's model out of memory."""
        await self._devices.unload(request.device, request.version)
        return pb.UnloadDeviceResponse()


def _model(status: ModelStatus) -> pb.LoadedModel:
    return pb.LoadedModel(
        device=status.device,
        version=status.version,
        model=status.model,
        ready=status.is_ready,
        canary=status.canary,
        golden=status.golden,
        activated=status.is_activated,
    )


def _case(result: CaseResult) -> pb.CheckDeviceResponse:
    return pb.CheckDeviceResponse(
        case=result.case,
        picture=result.picture,
        passed=result.is_passed,
        checks=[
            pb.GoldenCheck(what=check.what, expected=check.expected, got=check.got, passed=check.is_passed)
            for check in result.checks
        ],
    )
