"""Where the services are and who the caller is; read from the environment or an environment file."""

import os
from pathlib import Path
from typing import Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from udckit.errors import InvalidRequestError

ENVIRONMENT_FILE: Final = Path(".udc/region/udc.env")
"""Written by ``scripts/up``; used when ``UDC_ENV_FILE`` names no other."""


class Settings(BaseSettings):
    """Settings of the command line, from ``UDC_*`` variables or the environment file."""

    model_config = SettingsConfigDict(env_prefix="UDC_", frozen=True, extra="ignore")

    region: str = Field(min_length=1)
    """Code of the region, such as ``r77``."""
    router: str = Field(min_length=1)
    """``<host>:<port>`` of the study router."""
    serving: str = ""
    """``<host>:<port>`` of a replica of model serving; needed by ``udc device check|load|unload``, ``udc dlq`` and
    ``udc reconcile`` only."""
    archiver: str = ""
    """``<host>:<port>`` of the result archiver; needed to show stored objects."""
    surveillance: str = ""
    """``<host>:<port>`` of the surveillance reporter; needed by ``udc surveillance`` only."""
    security: Path
    """Directory with ``ca.crt`` and ``cli/tls.crt``, ``cli/tls.key``."""
    token_file: Path
    """Where ``udc login`` keeps the token."""
    zone: str = "Europe/Moscow"
    """Time zone of the region: in it a certificate's days begin and end."""

    @property
    def time_zone(self) -> ZoneInfo:
        """The time zone of the region.

        Raises:
            InvalidRequestError: there is none of that name.
        """
        try:
            return ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise InvalidRequestError(f"UDC_ZONE: there is no time zone {self.zone}") from error

    @classmethod
    def load(cls) -> Self:
        """Read the settings.

        Raises:
            InvalidRequestError: something is missing; the sentence says what to do.
        """
        named = os.environ.get("UDC_ENV_FILE")
        file = Path(named) if named else ENVIRONMENT_FILE
        if named and not file.is_file():
            raise InvalidRequestError(
                f"UDC_ENV_FILE names {file}, and there is no such file: run scripts/up, or name that of an installation"
            )
        try:
            return cls(_env_file=file if file.exists() else None)
        except ValidationError as error:
            missing = ", ".join(f"UDC_{str(fault['loc'][0]).upper()}" for fault in error.errors() if fault["loc"])
            raise InvalidRequestError(
                f"{missing} not set: run scripts/up, or set UDC_ENV_FILE to the environment file of an installation"
            ) from None
