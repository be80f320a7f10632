"""Cyrillic texts of a scanner that declares no character set, through a real archive."""

from pathlib import Path

import httpx
import pytest
from pydicom.dataset import Dataset

from study_router.adapters.dicomweb import DicomWeb
from study_router.domain.facts import known_facts
from study_router.domain.sender_profiles import RegisteredProfile, parse_profile
from study_router.domain.understanding import understand
from udckit.testing import Orthanc
from udcphantom.study import Study
from unit.study_router.phantoms import phantom

pytestmark = pytest.mark.connected

SOURCE = """\
schema: udc.sender/v1alpha1
profile: phantom
match: {station: [PHANTOM]}
charset: windows-1251
"""
CODECS = {"": "cp1251", "ISO_IR 144": "iso8859-5", "ISO_IR 192": "utf-8"}


def write(study: Study, path: Path, *, declared: str) -> Dataset:
    """Write an image with a Cyrillic body part, which is against the standard, and what scanners do."""
    sent = "ГОЛОВА".encode(CODECS[declared])
    dataset = next(study.datasets())
    del dataset.SpecificCharacterSet
    if declared:
        dataset.SpecificCharacterSet = declared
    dataset.BodyPartExamined = "X" * len(sent)
    dataset.save_as(path)
    path.write_bytes(path.read_bytes().replace(b"X" * len(sent), sent))
    return dataset


# The names of the phantom cannot be written without a character set.
@pytest.mark.filterwarnings("ignore:Failed to encode value:UserWarning")
@pytest.mark.parametrize(("declared", "received"), [("", "ÃÎËÎÂÀ"), ("ISO_IR 144", "ГОЛОВА"), ("ISO_IR 192", "ГОЛОВА")])
async def test_the_body_part_is_read_whatever_the_scanner_declares(
    tmp_path: Path, declared: str, received: str
) -> None:
    profile = RegisteredProfile(organisation="", revision=1, content=parse_profile(SOURCE.encode()), source=SOURCE)
    dataset = write(phantom("dx"), tmp_path / "image.dcm", declared=declared)
    async with Orthanc(tmp_path / "orthanc", default_encoding="Latin1") as archive:
        await archive.store([tmp_path / "image.dcm"])
        async with httpx.AsyncClient(auth=archive.credentials) as client:
            connector = DicomWeb(client, archive.dicomweb_url, archive="hospital")
            [seen] = await connector.series(dataset.StudyInstanceUID, dataset.SeriesInstanceUID)
        archive.kill()  # an orderly stop takes it seconds, and nobody will read this state
    assert seen.header.body_part == received
    understood = known_facts(understand(seen.header, profile))["body_part"]
    assert (understood.raw, understood.value) == ("ГОЛОВА", "HEAD")
