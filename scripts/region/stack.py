"""Everything a region runs, started in order and stopped in reverse."""

import secrets
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from region.models import build_models
from region.service import ServiceProcess
from udckit.bus import BusSettings, connected
from udckit.clock import SystemClock
from udckit.security.ca import files_in
from udckit.security.files import write_private
from udckit.security.identity import Service
from udckit.security.installation import Installation, install
from udckit.testing.nats import NatsServer
from udckit.testing.orthanc import Orthanc
from udckit.testing.triton import Triton
from udckit.topology import provision, require_safe

REGION: Final = "r77"
POOL: Final = "cpu"
ORGANISATION: Final = "1.2.643.5.1.13.13.12.2.77.99999"
"""An organisation OID of the right form that no organisation has."""
ARCHIVE_SECRET: Final = "hospital-archive"  # noqa: S105 - the name of a secret, not a secret
IDENTITY_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long the router waits for more input, seconds."""

    input_quiet_s: float = 15.0
    study_quiet_s: float = 600.0


class Region:
    """The servers and services of one region, on loopback ports.

    Args:
        state: Directory for everything that is kept.
        times: How patient the router is.
        say: Told what is being started.
        router_settings: Further settings of the router, by field name.
    """

    def __init__(
        self,
        state: Path,
        *,
        times: Times,
        say: Callable[[str], None],
        router_settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.state = state.absolute()
        self.security = self.state / "security"
        self.models = self.state / "models"
        self.secrets = self.state / "secrets"
        self.environment_file = self.state / "udc.env"
        self._times = times
        self._more_router_settings = router_settings
        self._say = say
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        self.secrets.mkdir(parents=True, exist_ok=True, mode=0o700)
        installation, _ = install(self.security, region=REGION, clock=SystemClock(), pools=[POOL])
        self._say("NATS with JetStream, mutual TLS, a user per service")
        self.nats = await self._stack.enter_async_context(
            NatsServer(self.state / "nats", config=installation.nats_configuration.read_text())
        )
        self._say("Orthanc, the image archive")
        self.orthanc = await self._stack.enter_async_context(Orthanc(self.state / "orthanc"))
        self._say("Triton Inference Server with the reference models")
        build_models(self.models)
        self.triton = await self._stack.enter_async_context(Triton(self.state / "triton", self.models))
        self._write_secrets()
        await self._provision()
        self._say("study_router")
        self.router = await self._serve(Service.STUDY_ROUTER, self._router_settings())
        self._say("model_serving")
        self.serving = await self._serve(Service.MODEL_SERVING, self._serving_settings())
        self._say("result_archiver")
        self.archiver = await self._serve(Service.RESULT_ARCHIVER, self._archiver_settings())
        self._say("surveillance_reporter")
        self.reporter = await self._serve(Service.SURVEILLANCE_REPORTER, self._reporter_settings())
        self._write_environment(installation)

    async def _serve(self, service: Service, variables: Mapping[str, str]) -> ServiceProcess:
        state = self.state / service
        common = {
            "region": REGION,
            "database_url": f"sqlite:///{state / 'data.db'}",
            "objects_url": "nats:objects",
            "nats_url": self.nats_url,
            "trace_file": str(state / "spans.jsonl"),
        }
        process = ServiceProcess(state, service=service, security=self.security, variables={**common, **variables})
        return await self._stack.enter_async_context(process)

    @property
    def nats_url(self) -> str:
        """Where services find the broker."""
        return self.nats.url.replace("nats://", "tls://")

    async def _provision(self) -> None:
        tls = files_in(self.security, Service.PROVISIONER).client_context()
        settings = BusSettings(servers=[self.nats_url], name=str(Service.PROVISIONER), tls=tls)
        async with connected(settings) as bus:
            await provision(bus, pools=[POOL])
            await require_safe(bus)

    def _write_secrets(self) -> None:
        user, password = self.orthanc.credentials
        write_private(self.secrets / ARCHIVE_SECRET, f"{user}:{password}".encode())
        key = self.secrets / "identity.key"
        if not key.exists():
            write_private(key, secrets.token_hex(IDENTITY_KEY_BYTES).encode())

    def _router_settings(self) -> Mapping[str, str]:
        return {
            "secrets_dir": str(self.secrets),
            "identity_key_file": str(self.secrets / "identity.key"),
            "input_quiet_s": str(self._times.input_quiet_s),
            "study_quiet_s": str(self._times.study_quiet_s),
            **self._more_router_settings,
        }

    def _serving_settings(self) -> Mapping[str, str]:
        return {
            "pool": POOL,
            "slots": "2",
            "secrets_dir": str(self.secrets),
            "triton_address": self.triton.grpc_address,
            "model_repository": str(self.models),
        }

    def _archiver_settings(self) -> Mapping[str, str]:
        return {
            "secrets_dir": str(self.secrets),
            "identity_key_file": str(self.secrets / "identity.key"),
            "router_address": self.router.address,
        }

    def _reporter_settings(self) -> Mapping[str, str]:
        return {
            "router_address": self.router.address,
            "serving_addresses": self.serving.address,
            "archiver_address": self.archiver.address,
        }

    def _write_environment(self, installation: Installation) -> None:
        lines = {
            "UDC_REGION": REGION,
            "UDC_ROUTER": self.router.address,
            "UDC_SERVING": self.serving.address,
            "UDC_ARCHIVER": self.archiver.address,
            "UDC_SURVEILLANCE": self.reporter.address,
            "UDC_SECURITY": str(installation.directory),
            "UDC_TOKEN_FILE": str(self.state / "token"),
        }
        self.environment_file.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
