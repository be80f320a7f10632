"""Settings of the study router, from ``STUDY_ROUTER_*`` variables."""

from datetime import timedelta
from pathlib import Path
from typing import Final, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, model_validator
from pydantic_settings import SettingsConfigDict

from study_router.domain.sweeps import DEFAULT_TIERS, Reach, Tier
from udckit import subjects
from udckit.errors import InvalidRequestError
from udckit.settings import ServiceSettings

_KEY_BYTES: Final = 32


class SweepTier(BaseModel):
    """One line of the table of sweeps; see ``domain.sweeps.Tier``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    reach: Reach
    every_s: PositiveFloat
    days: int = Field(default=0, ge=0)
    at_hour: int | None = Field(default=None, ge=0, le=23)

    @classmethod
    def of(cls, tier: Tier) -> "SweepTier":
        """Return the line that says what ``tier`` is."""
        return cls(
            name=tier.name,
            reach=tier.reach,
            every_s=tier.every.total_seconds(),
            days=tier.days,
            at_hour=tier.at_hour,
        )

    def tier(self) -> Tier:
        """Return what the line says."""
        return Tier(
            name=self.name,
            reach=self.reach,
            every=timedelta(seconds=self.every_s),
            days=self.days,
            at_hour=self.at_hour,
        )


class Settings(ServiceSettings):
    """What the study router needs to know, beside what every service does. Times are seconds."""

    model_config = SettingsConfigDict(env_prefix="STUDY_ROUTER_")

    golden_url: str = f"nats:{subjects.BUCKET_GOLDEN}"
    """Where golden cases and their images are kept for as long as their versions: for ever."""

    secrets_dir: Path | None = None
    """Directory of files ``<name>`` with ``user:password``, to which archives refer by name."""
    identity_key_file: Path
    """File with the key of the patient fingerprint, shared with the result archiver; at least 32 bytes."""

    feed_poll_s: PositiveFloat = 1.0
    """Pause between looks at a feed that has nothing new."""
    feed_back_off_s: PositiveFloat = 15.0
    """Longest pause between looks at an archive that is away."""
    feed_tolerance_s: PositiveFloat = 120.0
    """How far an archive's clock may be off; a change older than this came while nobody looked."""
    arrival_pause_s: NonNegativeFloat = 0.5
    """How long nothing must come to a series before its metadata are read."""
    sweep_every_s: PositiveFloat = 3600.0
    """How often everything in an archive with a feed of changes is compared with the index."""

    time_zone: ZoneInfo = ZoneInfo("Europe/Moscow")
    """Time zone of the region, by its IANA name: what "today" means in Study Dates."""
    sweeps: tuple[SweepTier, ...] = tuple(map(SweepTier.of, DEFAULT_TIERS))
    """The table of sweeps through archives that only answer queries, as a JSON list."""

    input_quiet_s: NonNegativeFloat = 15.0
    """How long the stacks a device needs must be silent before its job starts; longer where a sender pauses longer."""
    longest_input_quiet_s: NonNegativeFloat = 120.0
    """How long they must be silent at most, however long the sender pauses."""
    study_quiet_s: NonNegativeFloat = 600.0
    """How long a study must be silent before it is closed; longer where a sender pauses longer between stacks."""
    longest_study_quiet_s: NonNegativeFloat = Field(default=3600.0, le=3600.0)
    """How long it must be silent at most, however long the sender pauses."""
    evaluation_poll_s: PositiveFloat = 0.25
    """Pause between looks for studies that are due."""
    max_study_age_days: PositiveFloat | None = None
    """Studies older than this by Study Date are history and taken by no attachment. Unset: no limit."""

    dimse_port: int | None = Field(default=None, ge=1, le=65535)
    """Port on which modalities and archives tell by MPPS and IAN what they have done. Unset: nobody listens."""
    dimse_ae_title: str = Field(default="UDC", pattern=r"^[\x21-\x7e]{1,16}$")
    """Application entity title by which they must call."""
    dimse_peers: tuple[str, ...] = ()
    """Application entity titles of those who may call, as a JSON list; nobody else may."""
    dimse_tls: bool = True
    """Whether they must show a certificate of the region's authority. Off only where a modality cannot."""

    dispatch_poll_s: PositiveFloat = 0.25
    """Pause between looks for jobs that may start."""
    watchdog_poll_s: PositiveFloat = 1.0
    """Pause between looks for timers that have run out."""
    max_attempts: int = Field(default=3, ge=1)
    """How often the work of a job may fail."""
    attempt_back_off_s: tuple[NonNegativeFloat, ...] = Field(default=(5.0, 30.0, 120.0), min_length=1)
    """Pauses before the next attempt, by the number of failures; the last repeats."""
    batch_ageing_s: PositiveFloat = 3600.0
    """When waiting batch work counts as routine."""
    job_deadline_s: PositiveFloat = 86400.0
    """From the making of a job to the end of all waiting."""
    archiving_deadline_s: PositiveFloat = 14400.0
    """How long archiving may take once it has begun; longer than the outages that are to cost nothing but time."""
    backfill_poll_s: PositiveFloat = 1.0
    """Pause between looks for older studies that attachments are to look at."""
    backfill_backlog: int = Field(default=64, ge=1)
    """How many studies and jobs of a backfill may wait at a time, so that new studies never wait for old ones."""
    measure_s: PositiveFloat = 10.0
    """Pause between counts of what is open, for the metrics."""
    lease_s: PositiveFloat = 10.0
    """How long a replica that vanished keeps the others from its roles."""

    def tiers(self) -> tuple[Tier, ...]:
        """Return the table of sweeps.

        Raises:
            InvalidRequestError: two lines have the same name.
        """
        tiers = tuple(line.tier() for line in self.sweeps)
        if len({tier.name for tier in tiers}) < len(tiers):
            raise InvalidRequestError("two lines of the setting sweeps have the same name")
        return tiers

    @model_validator(mode="after")
    def _somebody_may_call(self) -> Self:
        if self.dimse_port is not None and not self.dimse_peers:
            raise ValueError("STUDY_ROUTER_DIMSE_PORT is set and STUDY_ROUTER_DIMSE_PEERS names nobody who may call")
        return self

    def identity_key(self) -> bytes:
        """Read the key of the patient fingerprint.

        Raises:
            InvalidRequestError: the file is missing or too short.
        """
        try:
            key = self.identity_key_file.read_bytes().strip()
        except OSError as error:
            raise InvalidRequestError(f"cannot read {self.identity_key_file}: {error.strerror}") from error
        if len(key) < _KEY_BYTES:
            raise InvalidRequestError(f"{self.identity_key_file} holds {len(key)} bytes; {_KEY_BYTES} are needed")
        return key
