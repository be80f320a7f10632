"""What an archive confirmed is asked for again, and stored again only where that is safe."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from sqlalchemy import select

from integration.result_archiver.world import (
    NOW,
    Registry,
    SetClock,
    accepted,
    archiving,
    registry_of,
    send,
    stored_results,
)
from result_archiver.adapters.archives import Archives
from result_archiver.adapters.dicom.comparison import difference
from result_archiver.adapters.ledger import SqlLedger
from result_archiver.ports import AcceptedResult
from result_archiver.usecases.verify_results import Verified, VerifyResults
from udckit.database import Database
from udckit.objects import FileObjects
from udckit.plumbing_tables import AUDIT
from udckit.security.identity import Identity, IdentityKind, Role, acting_as
from udckit.testing import Orthanc
from udcphantom.ct import render_ct
from udcphantom.geometry import evenly, scan
from udcphantom.heads import LEFT_BLEED, head
from unit.result_archiver.results import bleed

pytestmark = pytest.mark.connected

SOMEBODY = Identity(kind=IdentityKind.PERSON, name="anna", region="r77", roles=frozenset({Role.SRE}))
STUDY = render_ct(head((LEFT_BLEED,)), scan(evenly(8, spacing=15.0)))


@pytest.fixture
async def result(
    orthanc: Orthanc, database: Database, objects: FileObjects, secrets: Path, tmp_path: Path
) -> AcceptedResult:
    """A result that the archive has confirmed."""
    await send(orthanc, STUDY, tmp_path / "study")
    result = await accepted(objects, STUDY, bleed(STUDY))
    async with archiving(database, objects, secrets, registry_of(orthanc.dicomweb_url)) as archive:
        await archive(result)
    return result


async def verify(
    database: Database, secrets: Path, registry: Registry, *, repair: bool, since: datetime = NOW
) -> Verified | None:
    """Verify the one result there is, if it is among those since then."""
    async with httpx.AsyncClient(timeout=10) as client:
        use = VerifyResults(
            registry=registry,
            ledger=SqlLedger(database),
            open_archive=Archives(client, secrets),
            difference=difference,
            clock=SetClock(),
        )
        with acting_as(SOMEBODY):
            found = [verified async for verified in use(since=since, jobs=[], repair=repair)]
    assert len(found) <= 1
    return found[0] if found else None


async def ask(orthanc: Orthanc, method: str, path: str, **arguments: Any) -> Any:
    async with httpx.AsyncClient(base_url=orthanc.rest_url, auth=orthanc.credentials, timeout=10) as client:
        answer = await client.request(method, path, **arguments)
        answer.raise_for_status()
        return answer.json()


async def delete(orthanc: Orthanc, sop_instance_uid: str) -> None:
    [found] = await ask(orthanc, "POST", "/tools/lookup", content=sop_instance_uid)
    await ask(orthanc, "DELETE", f"/instances/{found['ID']}")


async def test_a_result_that_is_there_is_verified_and_an_older_one_is_not_asked_for(
    orthanc: Orthanc, database: Database, secrets: Path, result: AcceptedResult
) -> None:
    registry = registry_of(orthanc.dicomweb_url)

    verified = await verify(database, secrets, registry, repair=False)

    assert verified is not None
    assert (verified.key.job, verified.objects, verified.absent, verified.away) == (result.job, 3, (), "")
    assert await verify(database, secrets, registry, repair=False, since=NOW + timedelta(seconds=1)) is None


async def test_a_missing_object_is_named_and_stored_again_only_when_that_is_asked_for(
    orthanc: Orthanc, database: Database, secrets: Path, result: AcceptedResult
) -> None:
    before = await stored_results(orthanc, STUDY)
    lost = min(before)
    await delete(orthanc, lost)
    registry = registry_of(orthanc.dicomweb_url)

    seen = await verify(database, secrets, registry, repair=False)
    between = await stored_results(orthanc, STUDY)
    mended = await verify(database, secrets, registry, repair=True)

    assert seen is not None
    assert mended is not None
    assert [(item.encoded.sop_instance_uid, item.repair) for item in seen.absent] == [(lost, "")]
    assert lost not in between
    assert [item.encoded.sop_instance_uid for item in mended.absent if item.repair] == [lost]
    assert await stored_results(orthanc, STUDY) == before
    rows = await database.read(lambda connection: connection.execute(select(AUDIT)).all())
    assert [(row.actor, row.action, row.subject) for row in rows] == [
        ("person/anna", "object.stored_again", f"jobs/{result.job}")
    ]


async def test_nothing_is_stored_again_into_a_study_that_was_moved_to_another_patient(
    orthanc: Orthanc, database: Database, secrets: Path, result: AcceptedResult, tmp_path: Path
) -> None:
    [study] = await ask(orthanc, "POST", "/tools/lookup", content=STUDY.uid)
    await ask(orthanc, "DELETE", f"/studies/{study['ID']}")
    images = STUDY.write(tmp_path / "moved")
    for image in images:
        dataset = pydicom.dcmread(image)
        dataset.PatientID = "ANOTHER"
        dataset.save_as(image)
    await orthanc.store(images)

    verified = await verify(database, secrets, registry_of(orthanc.dicomweb_url), repair=True)

    assert verified is not None
    assert (verified.key.job, len(verified.absent)) == (result.job, 3)
    assert not any(item.repair for item in verified.absent)
    assert await stored_results(orthanc, STUDY) == {}


async def test_an_archive_that_is_away_is_no_missing_object(
    orthanc: Orthanc, database: Database, secrets: Path, result: AcceptedResult
) -> None:
    orthanc.kill()

    verified = await verify(database, secrets, registry_of(orthanc.dicomweb_url), repair=True)

    assert verified is not None
    assert (verified.key.job, verified.absent) == (result.job, ())
    assert "cannot be reached" in verified.away
