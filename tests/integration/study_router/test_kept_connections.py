"""Connections to archives that are kept for the next question, and die meanwhile."""

import asyncio
from base64 import b64encode
from pathlib import Path

import httpx
import pytest

from integration.forgetful_archive import forgetful
from study_router.adapters.connectors import connecting
from study_router.adapters.dicomweb import DicomWeb
from study_router.domain.registry import Archive, FeedKind
from udckit.clock import SystemClock
from udckit.errors import UpstreamUnavailableError

pytestmark = pytest.mark.connected


def hospital_at(url: str, *, credentials: str = "") -> Archive:
    return Archive(
        archive="hospital",
        organisation="o",
        feed=FeedKind.DICOMWEB,
        dicomweb_url=url,
        orthanc_url="",
        credentials=credentials,
        profile="air",
    )


async def test_a_password_that_was_changed_is_used_from_the_next_question_on(tmp_path: Path) -> None:
    async with (
        forgetful(answers=9) as archive,
        connecting(secrets=tmp_path, clock=SystemClock(), tolerance_s=1.0) as connectors,
    ):
        for password in ("old", "new"):
            (tmp_path / "secret").write_text(f"user:{password}")
            hospital = await connectors.connector(hospital_at(archive.url, credentials="secret"))
            await hospital.counts("1.2")
    sent = [b64encode(f"user:{password}".encode()).decode() for password in ("old", "new")]
    assert archive.authorizations == [f"Basic {credentials}" for credentials in sent]
    assert archive.connections == 1, "both questions go through one client"


async def test_a_kept_connection_that_died_is_no_outage() -> None:
    async with forgetful() as archive, httpx.AsyncClient(trust_env=False) as client:
        hospital = DicomWeb(client, archive.url, archive="hospital")
        for _ in range(3):
            assert await hospital.counts("1.2") == {}
    assert archive.connections == 3
    assert len(archive.asked) == 5, "the second and third question came twice"


async def test_an_archive_that_never_answers_is_asked_twice_and_is_away() -> None:
    async with forgetful(answers=0) as archive, httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(UpstreamUnavailableError, match="hospital"):
            await DicomWeb(client, archive.url, archive="hospital").counts("1.2")
    assert archive.asked == ["GET", "GET"]


async def test_a_connection_that_was_idle_for_long_is_not_used_again() -> None:
    async with (
        forgetful(answers=9) as archive,
        connecting(secrets=None, clock=SystemClock(), tolerance_s=1.0) as connectors,
    ):
        hospital = await connectors.connector(hospital_at(archive.url))
        await hospital.counts("1.2")
        await asyncio.sleep(0.9)  # less than the second after which Orthanc closes it
        await hospital.counts("1.2")
    assert archive.connections == 2
