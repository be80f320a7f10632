"""A region's identities, and a running sample service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from grpc import aio

from udckit.clock import SystemClock
from udckit.grpc_client import Channel, open_channel
from udckit.runtime import Readiness, serving
from udckit.security.identity import Role, Service
from udckit.security.installation import Installation, install
from udckit.security.tokens import issue_token

from .sample_service import RULES, Sample, SampleStub, Settings

REGION = "r77"
HOSPITAL = "1.2.643.5.1.13.13.12.2.77.7801"


@dataclass
class Region:
    """Identities, and a running sample service."""

    installation: Installation
    settings: Settings
    sample: Sample
    address: str = ""
    readiness: Readiness | None = None

    def channel(self, service: Service = Service.RESULT_ARCHIVER, **options: Any) -> Channel:
        return open_channel(self.address, tls=self.installation.tls_of(service), **options)

    def stub(self, service: Service = Service.RESULT_ARCHIVER, **options: Any) -> SampleStub:
        return SampleStub(self.channel(service, **options))

    def token(self, **changes: Any) -> str:
        given = {
            "subject": "p-5f0c",
            "roles": [Role.OPERATOR],
            "organisations": [HOSPITAL],
            "region": REGION,
            "clock": SystemClock(),
        }
        return issue_token(self.installation.signing_key, **{**given, **changes})

    def as_person(self, **changes: Any) -> SampleStub:
        return self.stub(Service.CLI, token=self.token(**changes))


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    made, _ = install(tmp_path / "identities", region=REGION, clock=SystemClock())
    return made


def settings_of(installation: Installation, **changes: Any) -> Settings:
    tls = installation.tls_of(Service.STUDY_ROUTER)
    given: dict[str, Any] = {
        "region": REGION,
        "database_url": "sqlite:///unused.db",
        "objects_url": "file:///unused",
        "nats_url": "tls://unused:4222",
        "tls_ca": tls.ca,
        "tls_cert": tls.cert,
        "tls_key": tls.key,
        "token_keys": installation.token_keys,
        "grace_s": 2.0,
    }
    return Settings(**{**given, **changes})


@pytest.fixture
async def region(installation: Installation) -> AsyncIterator[Region]:
    running = Region(installation, settings_of(installation), Sample())

    @asynccontextmanager
    async def lifespan(_settings: Settings, server: aio.Server, _readiness: Readiness) -> AsyncIterator[None]:
        running.sample.add_to(server)
        yield

    async with serving(running.settings, lifespan, rules=RULES) as (address, readiness):
        running.address, running.readiness = address, readiness
        yield running
