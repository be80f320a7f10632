"""Calls to the services in the name of the person who logged in."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from cli.settings import Settings
from udc.archive.v1.results_pb2_grpc import ResultsServiceStub
from udc.events.v1.events_service_pb2_grpc import EventsServiceStub
from udc.router.v1.archives_pb2_grpc import ArchivesServiceStub
from udc.router.v1.devices_pb2_grpc import AttachmentsServiceStub, DeviceRegistryServiceStub
from udc.router.v1.jobs_pb2_grpc import JobsServiceStub
from udc.router.v1.reconciliation_pb2_grpc import ReconciliationServiceStub
from udc.router.v1.senders_pb2_grpc import SenderProfilesServiceStub
from udc.router.v1.studies_pb2_grpc import StudiesServiceStub
from udc.serving.v1.serving_pb2_grpc import ServingServiceStub
from udc.surveillance.v1.surveillance_pb2_grpc import SurveillanceServiceStub
from udckit.errors import InvalidRequestError, UnauthenticatedError
from udckit.grpc_client import Channel, open_channel
from udckit.security.ca import files_in
from udckit.security.identity import Service

T = TypeVar("T")


class Services:
    """The gRPC services of the platform, as stubs."""

    def __init__(self, router: Channel, archiver: Channel | None, others: dict[Service, Channel]) -> None:
        self.archives = ArchivesServiceStub(router)
        self.devices = DeviceRegistryServiceStub(router)
        self.attachments = AttachmentsServiceStub(router)
        self.senders = SenderProfilesServiceStub(router)
        self.studies = StudiesServiceStub(router)
        self.jobs = JobsServiceStub(router)
        self.reconciliation = ReconciliationServiceStub(router)
        self.results = None if archiver is None else ResultsServiceStub(archiver)
        self._channels = others

    def surveillance(self) -> SurveillanceServiceStub:
        """Return the surveillance API.

        Raises:
            InvalidRequestError: its address is not set.
        """
        unset = "UDC_SURVEILLANCE is not set: where is the surveillance reporter?"
        return SurveillanceServiceStub(self._channel(Service.SURVEILLANCE_REPORTER, unset))

    def serving(self) -> ServingServiceStub:
        """Return the API of a worker.

        Raises:
            InvalidRequestError: its address is not set.
        """
        unset = "UDC_SERVING is not set: where is a replica of model serving?"
        return ServingServiceStub(self._channel(Service.MODEL_SERVING, unset))

    def _channel(self, service: Service, unset: str) -> Channel:
        channel = self._channels.get(service)
        if channel is None:
            raise InvalidRequestError(unset)
        return channel

    def events(self) -> dict[Service, EventsServiceStub]:
        """Return the events API of every service whose address is known."""
        return {service: EventsServiceStub(channel) for service, channel in self._channels.items()}

    def events_of(self, service: str) -> EventsServiceStub:
        """Return the events API of one service.

        Raises:
            InvalidRequestError: there is no such service, or its address is not set.
        """
        known = {str(name): stub for name, stub in self.events().items()}
        if service not in known:
            raise InvalidRequestError(f"the service {service!r} is not known here; there is {', '.join(sorted(known))}")
        return known[service]


def call(use: Callable[[Services], Awaitable[T]]) -> T:
    """Open the channels, run ``use`` and close them.

    Raises:
        UnauthenticatedError: nobody has logged in.
        ServiceError: what the service answered.
    """

    async def run() -> T:
        async with connected(Settings.load()) as services:
            return await use(services)

    return asyncio.run(run())


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Services]:
    """Yield the services, called with the token of the person who logged in."""
    tls = files_in(settings.security, Service.CLI)
    try:
        token = settings.token_file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise UnauthenticatedError("nobody is logged in: run udc login") from None
    addresses = {
        Service.STUDY_ROUTER: settings.router,
        Service.MODEL_SERVING: settings.serving,
        Service.RESULT_ARCHIVER: settings.archiver,
        Service.SURVEILLANCE_REPORTER: settings.surveillance,
    }
    channels = {
        service: open_channel(address, tls=tls, token=token, service=str(service))
        for service, address in addresses.items()
        if address
    }
    try:
        yield Services(channels[Service.STUDY_ROUTER], channels.get(Service.RESULT_ARCHIVER), channels)
    finally:
        for channel in channels.values():
            await channel.close()
