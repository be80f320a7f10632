"""One service of the platform as a process of its own."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from grpc_health.v1 import health_pb2, health_pb2_grpc

from udckit.errors import ServiceError
from udckit.grpc_client import open_channel
from udckit.runtime import READINESS
from udckit.security.ca import files_in
from udckit.security.identity import Service
from udckit.testing.ports import LOOPBACK
from udckit.testing.process import Server


class ServiceProcess(Server):
    """A service, ready when its own readiness check says so.

    Args:
        state: Directory for its database and log.
        service: Which one.
        security: Directory of the region's identities.
        variables: Its settings, by field name.
        replica: Name among replicas.
    """

    def __init__(
        self, state: Path, *, service: Service, security: Path, variables: Mapping[str, str], replica: str = "1"
    ) -> None:
        super().__init__(state, port_count=1, ready_within_s=60.0, stop_within_s=30.0)
        self.service = service
        self.name = str(service)  # type: ignore[misc]  # one class serves all services, each under its own name
        self._security = security
        self._variables = variables
        self._replica = replica
        self.module = service.replace("-", "_")
        """What is run; a fault test puts a sabotaged one in its place."""
        self.environment_changes: dict[str, str] = {}
        """Further variables for the next start, such as ``UDC_CRASH_AT``."""

    @property
    def address(self) -> str:
        """``<host>:<port>`` of its gRPC API."""
        return f"{LOOPBACK}:{self.ports[0]}"

    def _command(self) -> Sequence[str]:
        return [sys.executable, "-m", self.module]

    def _environment(self) -> Mapping[str, str]:
        prefix = self.service.replace("-", "_").upper()
        tls = files_in(self._security, self.service)
        own = {
            **self._variables,
            "replica": f"{self.service}-{self._replica}",
            "grpc_port": str(self.ports[0]),
            "tls_ca": str(tls.ca),
            "tls_cert": str(tls.cert),
            "tls_key": str(tls.key),
            "token_keys": str(self._security / "tokens" / "keys"),
        }
        settings = {f"{prefix}_{name.upper()}": value for name, value in own.items()}
        return {**os.environ, **settings, **self.environment_changes}

    async def _ready(self) -> bool:
        tls = files_in(self._security, Service.CLI)
        async with open_channel(self.address, tls=tls, service=str(self.service), timeout_s=2.0) as channel:
            try:
                answer = await health_pb2_grpc.HealthStub(channel).Check(
                    health_pb2.HealthCheckRequest(service=READINESS)
                )
            except ServiceError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
