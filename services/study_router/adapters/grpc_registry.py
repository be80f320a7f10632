# ruff: noqa: ARG002, N802 gRPC prescribes names and signatures
"""``DeviceRegistryService``, ``AttachmentsService`` and ``ArchivesService``: translate, call, translate."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

from study_router.adapters.wire import (
    archive_from_proto,
    archive_to_proto,
    attachment_from_proto,
    attachment_to_proto,
    device_to_proto,
)
from study_router.usecases.reading import CheckArchive, ReadRegistry
from study_router.usecases.registering import AddArchive, CreateAttachment, PutObject, RegisterDevice, SuspendDevice
from udc.router.v1 import archives_pb2, archives_pb2_grpc, devices_pb2, devices_pb2_grpc
from udckit.errors import InvalidRequestError
from udckit.security.identity import Role, current_identity
from udcmodel.codec import certificate_from_proto

_LONGEST_CASE_INPUT: Final = 512 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRegistryApi(devices_pb2_grpc.DeviceRegistryServiceServicer):
    """Devices and their immutable versions.

    Attributes:
        put_case: Keeps the images of a golden case.
        changed: Called after a change, so that it reaches the replicas at once.
    """

    register: RegisterDevice
    suspend: SuspendDevice
    put_case: PutObject
    registry: ReadRegistry
    changed: Callable[[], None]

    async def RegisterDevice(
        self, request: devices_pb2.RegisterDeviceRequest, context: Any
    ) -> devices_pb2.RegisterDeviceResponse:
        """Register a version."""
        device, created = await self.register(
            manifest_yaml=request.manifest_yaml,
            model_digest=request.model_digest,
            certificate=certificate_from_proto(request.certificate) if request.HasField("certificate") else None,
            may_certify=Role.REGIONAL_ADMIN in current_identity().roles,
            golden_json=request.golden_json,
        )
        self.changed()
        return devices_pb2.RegisterDeviceResponse(device=device_to_proto(device), created=created)

    async def PutCaseInput(
        self, request_iterator: AsyncIterator[devices_pb2.PutCaseInputRequest], context: Any
    ) -> devices_pb2.PutCaseInputResponse:
        """Keep the images of one input of a golden case."""
        content = bytearray()
        async for request in request_iterator:
            content += request.chunk
            if len(content) > _LONGEST_CASE_INPUT:
                raise InvalidRequestError(f"an input of a golden case has at most {_LONGEST_CASE_INPUT >> 20} MiB")
        if not content:
            raise InvalidRequestError("an input of a golden case is empty")
        return devices_pb2.PutCaseInputResponse(digest=await self.put_case(bytes(content)))

    async def ListDevices(
        self, request: devices_pb2.ListDevicesRequest, context: Any
    ) -> devices_pb2.ListDevicesResponse:
        """List all versions."""
        return devices_pb2.ListDevicesResponse(devices=map(device_to_proto, await self.registry.devices()))

    async def SuspendDevice(
        self, request: devices_pb2.SuspendDeviceRequest, context: Any
    ) -> devices_pb2.SuspendDeviceResponse:
        """Stop new work of a version."""
        if not request.reason:
            raise InvalidRequestError("reason is missing")
        device = await self.suspend(
            device=request.device, version=request.version, is_suspended=True, reason=request.reason
        )
        self.changed()
        return devices_pb2.SuspendDeviceResponse(device=device_to_proto(device))

    async def ResumeDevice(
        self, request: devices_pb2.ResumeDeviceRequest, context: Any
    ) -> devices_pb2.ResumeDeviceResponse:
        """Allow new work of a version again."""
        device = await self.suspend(device=request.device, version=request.version, is_suspended=False, reason="")
        self.changed()
        return devices_pb2.ResumeDeviceResponse(device=device_to_proto(device))


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentsApi(devices_pb2_grpc.AttachmentsServiceServicer):
    """Where device versions run. ``changed`` is called after a change."""

    create: CreateAttachment
    registry: ReadRegistry
    changed: Callable[[], None]

    async def CreateAttachment(
        self, request: devices_pb2.CreateAttachmentRequest, context: Any
    ) -> devices_pb2.CreateAttachmentResponse:
        """Create or change an attachment."""
        attachment, created = await self.create(attachment_from_proto(request.attachment))
        self.changed()
        return devices_pb2.CreateAttachmentResponse(attachment=attachment_to_proto(attachment), created=created)

    async def ListAttachments(
        self, request: devices_pb2.ListAttachmentsRequest, context: Any
    ) -> devices_pb2.ListAttachmentsResponse:
        """List all attachments."""
        attachments = await self.registry.attachments()
        return devices_pb2.ListAttachmentsResponse(attachments=map(attachment_to_proto, attachments))


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivesApi(archives_pb2_grpc.ArchivesServiceServicer):
    """Image archives of the region. ``changed`` is called after a change."""

    add: AddArchive
    check: CheckArchive
    registry: ReadRegistry
    changed: Callable[[], None]

    async def AddArchive(
        self, request: archives_pb2.AddArchiveRequest, context: Any
    ) -> archives_pb2.AddArchiveResponse:
        """Add or change an archive."""
        archive, created = await self.add(archive_from_proto(request.archive))
        self.changed()
        return archives_pb2.AddArchiveResponse(archive=archive_to_proto(archive), created=created)

    async def ListArchives(
        self, request: archives_pb2.ListArchivesRequest, context: Any
    ) -> archives_pb2.ListArchivesResponse:
        """List all archives."""
        return archives_pb2.ListArchivesResponse(archives=map(archive_to_proto, await self.registry.archives()))

    async def CheckArchive(
        self, request: archives_pb2.CheckArchiveRequest, context: Any
    ) -> archives_pb2.CheckArchiveResponse:
        """Talk to an archive."""
        steps = [
            archives_pb2.CheckArchiveResponse.Step(name=step.name, ok=step.ok, detail=step.detail)
            for step in await self.check(request.archive)
        ]
        return archives_pb2.CheckArchiveResponse(steps=steps)
