"""Settings of the result archiver."""

from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, PositiveFloat, model_validator
from pydantic_settings import SettingsConfigDict

from udckit.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of the result archiver, from ``RESULT_ARCHIVER_*`` variables."""

    model_config = SettingsConfigDict(env_prefix="RESULT_ARCHIVER_")

    router_address: str
    """``<host>:<port>`` of the study router."""
    identity_key_file: Path
    """Key of the patients' fingerprints; the same file as the router's."""
    secrets_dir: Path
    """Directory with one file ``user:password`` for each name of credentials in the registry."""

    zone: str = "Europe/Moscow"
    """Time zone of the region: in it times are written where the study declares no offset."""
    font: str = "DejaVuSans.ttf"
    """TrueType font with Cyrillic letters: a file, or a name in the font directories of the system."""

    concurrency: int = Field(default=4, ge=1, le=64)
    """Results archived at once; each holds its objects in memory."""
    archive_timeout_s: PositiveFloat = 60.0
    """Longest silence of an archive during a request, in seconds."""
    handling_limit_s: PositiveFloat = 600.0
    """Longest time for one result before it is tried again, in seconds."""

    @model_validator(mode="after")
    def _zone_exists(self) -> Self:
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"there is no time zone {self.zone}") from error
        return self
