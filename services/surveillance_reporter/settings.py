"""Settings of the surveillance reporter, from ``SURVEILLANCE_REPORTER_*`` variables."""

from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import PositiveFloat, model_validator
from pydantic_settings import SettingsConfigDict

from udckit.settings import ServiceSettings


class Settings(ServiceSettings):
    """What the reporter needs to know to start."""

    model_config = SettingsConfigDict(env_prefix="SURVEILLANCE_REPORTER_")

    router_address: str
    """``<host>:<port>`` of the study router; several replicas separated by commas."""
    serving_addresses: str
    """``<host>:<port>`` of model serving; several replicas separated by commas."""
    archiver_address: str
    """``<host>:<port>`` of the result archiver; several replicas separated by commas."""

    zone: str = "Europe/Moscow"
    """Time zone of the region: in it a day begins. With another one everything is counted anew at the start."""
    gap_look_s: PositiveFloat = 5.0
    """How often it is looked whether missing events have arrived, in seconds."""

    @model_validator(mode="after")
    def _zone_exists(self) -> Self:
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"there is no time zone {self.zone}") from error
        return self
