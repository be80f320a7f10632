"""A certificate as a file: its days are days of the region."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cli.devices import read_certificate
from cli.settings import Settings
from udckit.errors import InvalidRequestError

MOSCOW = ZoneInfo("Europe/Moscow")
VLADIVOSTOK = ZoneInfo("Asia/Vladivostok")
DAYS = ("2024-01-01", "2026-12-31")
CERTIFICATE = """\
number: "РЗН 2099/00001"
valid_from: {valid_from}
valid_until: {valid_until}
versions: ["1.0.0"]
holder: h
source: file
checked_at: 2024-01-01
"""


@pytest.mark.parametrize(
    ("zone", "days", "begins", "ends"),
    [
        (MOSCOW, DAYS, (2023, 12, 31, 21), (2026, 12, 31, 21)),
        (VLADIVOSTOK, DAYS, (2023, 12, 31, 14), (2026, 12, 31, 14)),
        (MOSCOW, ("2024-01-01T10:00:00Z", "2026-12-31T12:00:00+03:00"), (2024, 1, 1, 10), (2026, 12, 31, 9)),
    ],
)
def test_the_last_day_counts_in_full_where_the_region_is(
    tmp_path: Path,
    zone: ZoneInfo,
    days: tuple[str, str],
    begins: tuple[int, int, int, int],
    ends: tuple[int, int, int, int],
) -> None:
    path = tmp_path / "certificate.yaml"
    path.write_text(CERTIFICATE.format(valid_from=days[0], valid_until=days[1]), encoding="utf-8")

    certificate = read_certificate(path, zone=zone)

    assert certificate.valid_from.ToDatetime(UTC) == datetime(*begins, tzinfo=UTC)
    assert certificate.valid_until.ToDatetime(UTC) == datetime(*ends, tzinfo=UTC)


def test_a_zone_that_does_not_exist_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "UDC_REGION": "r77",
        "UDC_ROUTER": "127.0.0.1:1",
        "UDC_SECURITY": str(tmp_path),
        "UDC_TOKEN_FILE": str(tmp_path / "token"),
        "UDC_ZONE": "Europe/Nowhere",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("UDC_ENV_FILE", raising=False)
    with pytest.raises(InvalidRequestError, match="UDC_ZONE: there is no time zone Europe/Nowhere"):
        assert Settings.load().time_zone
