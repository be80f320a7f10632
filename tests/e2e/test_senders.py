"""A modality says what it has done and its tags lie: the study is closed by its word, and every fact has its source."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from e2e.terminal import Terminal
from e2e.watching import Watcher
from modality import Modality
from region.commands import set_up
from region.stack import Region, Times
from region.story import is_settled
from udc.router.v1 import studies_pb2
from udckit.security.ca import files_in
from udckit.security.identity import Service
from udckit.testing.ports import ReservedPorts
from udcphantom.ct import render_ct
from udcphantom.geometry import evenly, scan
from udcphantom.heads import head
from udcphantom.study import Study

pytestmark = pytest.mark.connected

NEVER_BY_SILENCE = Times(input_quiet_s=120.0, study_quiet_s=3600.0)
"""Longer than anything here is waited for: what is closed was not closed by silence."""
STEP = "1.2.643.9.2"
WRONG_PART = "FOOT"
PROFILE = """\
schema: udc.sender/v1alpha1
profile: phantom-ct
match: {station: [PHANTOM], archive: [hospital]}
facts:
  body_part: {map: {FOOT: HEAD}}
"""
MISSPELT = PROFILE.replace("facts:", "fact:")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with ReservedPorts(1) as reserved:
        yield next(iter(reserved))


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Region]:
    """A region whose router listens to modalities, and whose patience has no end."""
    settings = {"dimse_port": str(port), "dimse_peers": '["CT1"]'}
    state = tmp_path_factory.mktemp("region")
    region = Region(state, times=NEVER_BY_SILENCE, say=print, router_settings=settings)
    asyncio.run(region.__aenter__())
    try:
        set_up(region)
        yield region
    finally:
        asyncio.run(region.__aexit__())


def mislabelled(study: Study, folder: Path) -> tuple[list[Path], Mapping[str, list[str]]]:
    """Write a study whose tags say that it shows a foot; return the files and the images by series."""
    folder.mkdir()
    files: list[Path] = []
    named: dict[str, list[str]] = {}
    for number, dataset in enumerate(study.datasets()):
        dataset.BodyPartExamined = WRONG_PART
        named.setdefault(dataset.SeriesInstanceUID, []).append(dataset.SOPInstanceUID)
        files.append(folder / f"{number:04d}.dcm")
        dataset.save_as(files[-1])
    return files, named


def test_a_study_is_closed_by_the_word_of_its_modality_and_seen_as_what_it_is(
    region: Region, watcher: Watcher, terminal: Terminal, port: int, tmp_path: Path
) -> None:
    profile, wrong = tmp_path / "phantom-ct.yaml", tmp_path / "wrong.yaml"
    profile.write_text(PROFILE)
    wrong.write_text(MISSPELT)
    refused = terminal.udc("sender", "add", str(wrong))
    assert (refused.code, "line 4: fact: this key is not known" in refused.said) == (2, True)
    assert "sender profile phantom-ct r1: in use" in terminal.udc("sender", "add", str(profile)).said
    assert "known already, unchanged" in terminal.udc("sender", "add", str(profile)).said
    assert "phantom-ct" in terminal.udc("sender", "list").said
    assert "match: {station: [PHANTOM], archive: [hospital]}" in terminal.udc("sender", "show", "phantom-ct").said

    study = render_ct(head(), scan(evenly(30, spacing=5.0)))
    files, named = mislabelled(study, tmp_path / "study")
    modality = Modality(port=port, tls=files_in(region.security, Service.CLI).client_context())
    assert modality.begin(STEP, study.uid) == 0x0000
    asyncio.run(region.orthanc.store(files[:20]))
    assert modality.end(STEP, named) == 0x0000
    asyncio.run(region.orthanc.store(files[20:]))

    def is_closed(found: studies_pb2.Study) -> bool:
        return is_settled(found, attachments=2)

    found = asyncio.run(watcher.until([study.uid], is_closed))[study.uid]
    outcomes = {row.device: row.outcome for row in asyncio.run(watcher.rows(found)).values()}
    assert sorted(outcomes.values()) == ["ARCHIVED", "NOT_ELIGIBLE"], outcomes
    explained = terminal.udc("study", "explain", study.uid).said
    assert "end of the study: MPPS COMPLETED names 30 images, all are here" in explained
    assert "body_part FOOT HEAD profile phantom-ct r1" in explained
    traced = terminal.udc("study", "trace", study.uid).said
    assert "MPPS COMPLETED from CT1 names 30 images" in traced
    assert "study completed, revision 1: MPPS COMPLETED names 30 images, all are here" in traced
    assert "input complete, MPPS COMPLETED names 30 images, all are here" in traced
    assert "no longer in use" in terminal.udc("sender", "remove", "phantom-ct").said
    gone = terminal.udc("sender", "show", "phantom-ct")
    assert (gone.code, "there is no sender profile phantom-ct" in gone.said) == (1, True)
