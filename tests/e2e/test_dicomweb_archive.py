"""A region whose archive only answers queries: Orthanc as any other DICOMweb archive would be attached."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import TIMES
from e2e.terminal import Terminal
from e2e.watching import Watcher
from region.commands import ARCHIVE, set_up
from region.stack import Region
from region.story import current, is_settled
from udcphantom.ct import render_ct
from udcphantom.geometry import evenly, scan
from udcphantom.heads import head
from udcphantom.identity import Identity
from udcphantom.study import Study

pytestmark = pytest.mark.connected

ATTACHMENTS = 2


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """A running region whose one archive was attached without Orthanc's own interface."""
    region = Region(tmp_path_factory.mktemp("region"), times=TIMES, say=print)
    asyncio.run(region.__aenter__())
    try:
        set_up(region, feed="dicomweb")
        yield region
    finally:
        asyncio.run(region.__aexit__())


def head_ct(study_date: str, *, seed: int) -> Study:
    return render_ct(head(), scan(evenly(32, spacing=5.0)), identity=Identity(study_date=study_date), seed=seed)


def answered(terminal: Terminal, *arguments: str) -> Any:
    """Return what a command printed as JSON."""
    answer = terminal.udc(*arguments)
    assert answer.code == 0, answer.said
    return json.loads(answer.said)


def outcomes(watcher: Watcher, study: Study) -> dict[str, str]:
    settled = asyncio.run(watcher.until([study.uid], lambda found: is_settled(found, attachments=ATTACHMENTS)))
    found = settled[study.uid]
    assert found.revision == 1
    assert len(current(found)) == ATTACHMENTS
    return {device: row.outcome for device, row in asyncio.run(watcher.rows(found)).items()}


EXPECTED = {"ct-brain-hyperdensity": "ARCHIVED", "cxr-opacity": "NOT_ELIGIBLE"}


def test_a_study_of_today_is_found_and_its_results_are_returned(
    region: Region, watcher: Watcher, terminal: Terminal, tmp_path: Path
) -> None:
    study = head_ct(f"{datetime.now(UTC):%Y%m%d}", seed=1)
    asyncio.run(region.orthanc.store(study.write(tmp_path)))
    assert outcomes(watcher, study) == EXPECTED
    checked = answered(terminal, "archive", "check", ARCHIVE, "--json")
    assert [(step["name"], step["ok"]) for step in checked["steps"]] == [("query", True), ("sweeps", True)]


def test_an_old_study_is_left_alone_until_it_is_submitted(
    region: Region, watcher: Watcher, terminal: Terminal, tmp_path: Path
) -> None:
    study = head_ct("20240315", seed=2)
    asyncio.run(region.orthanc.store(study.write(tmp_path)))
    listed = answered(terminal, "study", "list", "--json")
    assert study.uid not in {item["study_instance_uid"] for item in listed}
    [submitted] = answered(terminal, "study", "submit", ARCHIVE, study.uid, "--json")["studies"]
    assert (submitted["instances"], submitted["series_to_read"]) == (32, 1)
    assert outcomes(watcher, study) == EXPECTED
    again = answered(terminal, "study", "submit", ARCHIVE, study.uid, "--json")["studies"]
    # Its own results count for the archive, and change nothing.
    assert again[0]["instances"] > 32
    assert outcomes(watcher, study) == EXPECTED


def test_an_archive_that_lacks_a_study_says_so(terminal: Terminal) -> None:
    ended = terminal.udc("study", "submit", ARCHIVE, "2.25.1")
    assert ended.code != 0
    assert f"archive {ARCHIVE} holds no study 2.25.1" in ended.said
