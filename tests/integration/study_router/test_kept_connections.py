"""Connections to archives that are kept for the next question, and die meanwhile."""

import asyncio

import httpx
import pytest

from integration.forgetful_archive import forgetful
from study_router.adapters.connectors import connecting
from study_router.adapters.dicomweb import DicomWeb
from study_router.domain.registry import Archive, FeedKind
from udckit.clock import SystemClock
from udckit.errors import UpstreamUnavailableError

pytestmark = pytest.mark.connected


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
        hospital = await connectors.connector(
            Archive(
                archive="hospital",
                organisation="o",
                feed=FeedKind.DICOMWEB,
                dicomweb_url=archive.url,
                orthanc_url="",
                credentials="",
                profile="air",
            )
        )
        await hospital.counts("1.2")
        await asyncio.sleep(0.9)  # less than the second after which Orthanc closes it
        await hospital.counts("1.2")
    assert archive.connections == 2
