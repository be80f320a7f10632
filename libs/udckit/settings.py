"""Settings that are typed, frozen, read once from the environment, and refuse strangers."""

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, PositiveFloat, StringConstraints, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

RegionCode = Annotated[str, StringConstraints(pattern=r"^r[0-9]{2,3}$")]
"""A region of the country, such as ``r77``; part of every derived id, identity and subject account."""

_MADE_BY_KUBERNETES: Final = re.compile(
    r"^(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)$"
)


class ServiceSettings(BaseSettings):
    """What every service needs to know to start.

    A subclass says ``model_config = SettingsConfigDict(env_prefix="STUDY_ROUTER_")``; its variables are then the
    field names in upper case behind that prefix. A variable with the prefix that names no field stops the start:
    a misspelt limit must not silently become the default.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    region: RegionCode
    """Region that this deployment serves."""
    replica: str = Field(default_factory=lambda: f"{os.uname().nodename}-{os.getpid()}", min_length=1)
    """Name of this process among its replicas, for logs, traces and leases."""

    database_url: str = Field(repr=False)
    """``sqlite:///<path>`` or ``postgresql+psycopg://…``. Kept out of ``repr``: it may hold a password."""
    objects_url: str
    """Where content-addressed objects are kept; see ``udckit.objects``."""
    nats_url: str
    """``tls://<host>:<port>``, several separated by commas."""

    tls_ca: Path
    """PEM file of the authority that signs every certificate of the region."""
    tls_cert: Path
    """PEM file of this service's certificate; re-read for each new connection."""
    tls_key: Path
    """PEM file of this service's private key."""
    token_keys: Path | None = None
    """Directory of public keys (or one such file) that sign the tokens of people. Unset: no token is accepted."""

    grpc_host: str = "127.0.0.1"
    """Address to listen on."""
    grpc_port: int = Field(default=0, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
    address_file: Path | None = None
    """Where to write ``<host>:<port>`` once the service listens."""
    health_port: int | None = Field(default=None, ge=1, le=65535)
    """Port for health checks alone, without TLS: the probes of Kubernetes cannot present a certificate."""

    otlp_endpoint: str | None = None
    """OpenTelemetry collector, such as ``http://collector:4317``. Unset: nothing is sent."""
    trace_file: Path | None = None
    """File to which every finished span is appended as one line of JSON."""
    trace_ratio: float = Field(default=1.0, ge=0.0, le=1.0)
    """Share of traces begun here that are recorded; a caller's decision is always followed."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe log line that is written."""

    grace_s: PositiveFloat = 10.0
    """How long running calls may take to finish after SIGTERM, in seconds."""

    @property
    def service(self) -> str:
        """Name of the service, such as ``study-router``; the same in certificates, traces and NATS."""
        return self.model_config.get("env_prefix", "").strip("_").lower().replace("_", "-")

    @classmethod
    def from_environment(cls) -> Self:
        """Read the settings, first thing in ``main``.

        Raises:
            SystemExit: a variable is missing, misspelt or malformed; the sentence names each, without values.
        """
        try:
            return cls()
        except ValidationError as error:
            complaints = "; ".join(cls._complaint(list(fault["loc"]), fault["msg"]) for fault in error.errors())
            raise SystemExit(f"cannot start: {complaints}") from None

    @classmethod
    def _complaint(cls, location: list[int | str], message: str) -> str:
        if not location:
            return message.removeprefix("Value error, ")
        prefix = cls.model_config.get("env_prefix", "")
        return f"{prefix}{str(location[0]).upper()}: {message[0].lower()}{message[1:]}"

    @model_validator(mode="after")
    def _refuse_strangers(self) -> Self:
        prefix = self.model_config.get("env_prefix", "").upper()
        known = {prefix + name.upper() for name in type(self).model_fields}
        for variable in sorted(os.environ):
            name = variable.upper()
            if not prefix or not name.startswith(prefix) or name in known:
                continue
            if _MADE_BY_KUBERNETES.match(name.removeprefix(prefix)):
                continue
            closest = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.0)
            raise ValueError(f"the variable {variable} names no setting; the closest is {closest[0]}")
        return self
