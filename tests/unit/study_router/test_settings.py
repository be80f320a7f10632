"""What the router is told about sweeps and time."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from study_router.domain.sweeps import DEFAULT_TIERS, Reach
from study_router.settings import Settings
from udckit.errors import InvalidRequestError


def settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    given = {
        "region": "r77",
        "database_url": "sqlite:///router.db",
        "objects_url": "nats:objects",
        "nats_url": "tls://127.0.0.1:1",
        **dict.fromkeys(("tls_ca", "tls_cert", "tls_key", "identity_key_file"), str(Path(__file__))),
        **variables,
    }
    for name, value in given.items():
        monkeypatch.setenv(f"STUDY_ROUTER_{name.upper()}", value)
    return Settings()


def test_the_table_of_sweeps_is_that_of_the_domain_unless_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings(monkeypatch).tiers() == DEFAULT_TIERS
    line = '[{"name": "year", "reach": "DATED", "days": 365, "every_s": 604800, "at_hour": 3}]'
    [tier] = settings(monkeypatch, sweeps=line).tiers()
    assert (tier.name, tier.reach, tier.days, tier.every.days, tier.at_hour) == ("year", Reach.DATED, 365, 7, 3)


@pytest.mark.parametrize(
    "line",
    [
        '[{"name": "year", "reach": "DATED", "every_s": 0}]',
        '[{"name": "year", "reach": "SOMETIMES", "every_s": 1}]',
        '[{"name": "year", "reach": "DATED", "every_s": 1, "day": 3}]',
        '[{"name": "year", "reach": "DATED", "every_s": 1, "at_hour": 24}]',
    ],
)
def test_a_line_that_makes_no_sense_stops_the_start(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    with pytest.raises(ValidationError, match="sweeps"):
        settings(monkeypatch, sweeps=line)


def test_two_lines_of_one_name_would_share_their_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = '[{"name": "a", "reach": "OPEN", "every_s": 1}, {"name": "a", "reach": "UNDATED", "every_s": 1}]'
    with pytest.raises(InvalidRequestError, match="same name"):
        settings(monkeypatch, sweeps=twice).tiers()


def test_today_is_that_of_the_time_zone_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings(monkeypatch, time_zone="Asia/Kamchatka").time_zone == ZoneInfo("Asia/Kamchatka")
    with pytest.raises(ValidationError, match="time_zone"):
        settings(monkeypatch, time_zone="Europe/Atlantis")
