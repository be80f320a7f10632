"""Where the services are and who the caller is; read from the environment or an environment file."""

import os
from pathlib import Path
from typing import Final, Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from udckit.errors import InvalidRequestError

ENVIRONMENT_FILE: Final = Path(".udc/udc.env")
"""Written by ``scripts/up`` and ``scripts/demo``; used when ``UDC_ENV_FILE`` names no other."""


class Settings(BaseSettings):
    """Settings of the command line, from ``UDC_*`` variables or the environment file."""

    model_config = SettingsConfigDict(env_prefix="UDC_", frozen=True, extra="ignore")

    region: str = Field(min_length=1)
    """Code of the region, such as ``r77``."""
    router: str = Field(min_length=1)
    """``<host>:<port>`` of the study router."""
    serving: str = ""
    """``<host>:<port>`` of a replica of model serving; needed by ``udc device check``, ``load``, ``unload``."""
    archiver: str = ""
    """``<host>:<port>`` of the result archiver; needed to show stored objects."""
    surveillance: str = ""
    """``<host>:<port>`` of the surveillance reporter; needed by ``udc surveillance`` only."""
    security: Path
    """Directory with ``ca.crt`` and ``cli/tls.crt``, ``cli/tls.key``."""
    token_file: Path
    """Where ``udc login`` keeps the token."""

    @classmethod
    def load(cls) -> Self:
        """Read the settings.

        Raises:
            InvalidRequestError: something is missing; the sentence says what to do.
        """
        file = Path(os.environ.get("UDC_ENV_FILE", ENVIRONMENT_FILE))
        try:
            return cls(_env_file=file if file.exists() else None)
        except ValidationError as error:
            missing = ", ".join(f"UDC_{str(fault['loc'][0]).upper()}" for fault in error.errors() if fault["loc"])
            raise InvalidRequestError(
                f"{missing} not set: run scripts/up, or set UDC_ENV_FILE to the environment file of an installation"
            ) from None
