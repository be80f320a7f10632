"""A result reaches a real archive once, unchanged, or not at all and with a reason."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from integration.result_archiver.world import (
    ARCHIVE,
    ATTACHMENT,
    DEADLINE,
    Router,
    SetClock,
    accepted,
    archiving,
    registry_of,
    send,
    stored_results,
    write_secret,
)
from result_archiver.adapters.dicom.builder import AirBuilder
from result_archiver.adapters.dicom.drawing import Typeface
from result_archiver.adapters.ledger import SqlLedger
from result_archiver.domain.delivery import Delivery, DeliveryKey, State
from result_archiver.domain.objects import BuildOrder, EncodedObject
from result_archiver.ports import AcceptedResult, Line
from udc.events.v1 import job_pb2, result_pb2
from udckit.database import Database
from udckit.errors import UpstreamUnavailableError
from udckit.objects import FileObjects
from udckit.plumbing_tables import OUTBOX
from udckit.testing import Orthanc
from udcmodel.vocabulary import Mode
from udcphantom.ct import render_ct
from udcphantom.geometry import evenly, scan
from udcphantom.heads import LEFT_BLEED, head
from unit.result_archiver.results import bleed, nothing

pytestmark = pytest.mark.connected

STUDY = render_ct(head((LEFT_BLEED,)), scan(evenly(8, spacing=15.0)))


async def delivery_of(database: Database, result: AcceptedResult) -> Delivery | None:
    key = DeliveryKey(job=result.job, result_digest=result.result_digest, archive=ARCHIVE)
    return await SqlLedger(database).delivery(key)


async def announced(database: Database) -> list[result_pb2.ResultArchived | result_pb2.ResultFailed]:
    rows = await database.read(lambda connection: connection.execute(select(OUTBOX)).all())
    return [
        (result_pb2.ResultArchived if row.type.endswith("ResultArchived") else result_pb2.ResultFailed).FromString(
            row.body
        )
        for row in rows
    ]


async def test_every_object_is_in_the_archive_byte_for_byte_and_that_is_announced_once(
    orthanc: Orthanc, database: Database, objects: FileObjects, secrets: Path, tmp_path: Path
) -> None:
    await send(orthanc, STUDY, tmp_path / "study")
    result = await accepted(objects, STUDY, bleed(STUDY))
    router = Router()
    async with archiving(database, objects, secrets, registry_of(orthanc.dicomweb_url), router=router) as archive:
        await archive(result)
        await archive(result)  # the same event again

    built = await SqlLedger(database).built(result.job, result.result_digest)
    assert built is not None
    assert [encoded.kind for encoded in built.objects] == ["SEG", "SC", "SR"]
    sent = {encoded.sop_instance_uid: encoded.content for encoded in built.objects}
    assert await stored_results(orthanc, STUDY) == sent
    (event,) = await announced(database)
    assert isinstance(event, result_pb2.ResultArchived)
    assert [item.digest for item in event.objects] == [encoded.digest for encoded in built.objects]
    # Before anything was sent the router knew every UID.
    assert router.asked == [(result.job, result.result_digest, tuple(sent))]


async def test_a_result_in_shadow_mode_leaves_no_trace(
    orthanc: Orthanc, database: Database, objects: FileObjects, secrets: Path, tmp_path: Path
) -> None:
    await send(orthanc, STUDY, tmp_path / "study")
    result = await accepted(objects, STUDY, bleed(STUDY), mode=Mode.SHADOW)
    router = Router()
    async with archiving(database, objects, secrets, registry_of(orthanc.dicomweb_url), router=router) as archive:
        await archive(result)
    assert router.asked == []
    assert await stored_results(orthanc, STUDY) == {}
    assert await announced(database) == []


async def test_what_the_router_does_not_grant_is_not_sent(
    orthanc: Orthanc, database: Database, objects: FileObjects, secrets: Path, tmp_path: Path
) -> None:
    await send(orthanc, STUDY, tmp_path / "study")
    result = await accepted(objects, STUDY, nothing(STUDY))
    router = Router(line=Line(granted=False, reason="CANCELED", detail="a person canceled the job"))
    async with archiving(database, objects, secrets, registry_of(orthanc.dicomweb_url), router=router) as archive:
        await archive(result)
    delivery = await delivery_of(database, result)
    assert delivery is not None
    assert (delivery.state, delivery.reason) == (State.STOPPED, "CANCELED")
    assert await stored_results(orthanc, STUDY) == {}


async def test_nothing_is_archived_while_the_router_cannot_be_asked(
    orthanc: Orthanc, database: Database, objects: FileObjects, secrets: Path, tmp_path: Path
) -> None:
    await send(orthanc, STUDY, tmp_path / "study")
    result = await accepted(objects, STUDY, nothing(STUDY))
    router = Router(error=UpstreamUnavailableError("the router is away"))
    async with archiving(database, objects, secrets, registry_of(orthanc.dicomweb_url), router=router) as archive:
        with pytest.raises(UpstreamUnavailableError):
            await archive(result)
        assert await stored_results(orthanc, STUDY) == {}
        router.error = None
        await archive(result)
    assert len(await stored_results(orthanc, STUDY)) == 2


async def test_a_suspended_device_is_stopped_before_anything_is_built(
    orthanc: Orthanc, database: Database, objects: FileObjects, secrets: Path, tmp_path: Path
) -> None:
    await send(orthanc, STUDY, tmp_path / "study")
    result = await accepted(objects, STUDY, nothing(STUDY))
    registry = registry_of(orthanc.dicomweb_url)
    registry.attachments[ATTACHMENT] = replace(registry.attachments[ATTACHMENT], is_suspended=True)
    router = Router()
    async with archiving(database, objects, secrets, registry, router=router) as archive:
        await archive(result)
    (event,) = await announced(database)
    assert isinstance(event, result_pb2.ResultFailed)
    assert event.reason == "ATTACHMENT_SUSPENDED"
    assert router.asked == []
    assert await SqlLedger(database).built(result.job, result.result_digest) is None


async def test_a_study_that_now_belongs_to_another_patient_gets_nothing(
    orthanc: Orthanc, database: Database, objects: FileObjects, secrets: Path, tmp_path: Path
) -> None:
    await send(orthanc, STUDY, tmp_path / "study")
    result = replace(await accepted(objects, STUDY, nothing(STUDY)), patient_fingerprint="0" * 64)
    router = Router()
    async with archiving(database, objects, secrets, registry_of(orthanc.dicomweb_url), router=router) as archive:
        await archive(result)
    (event,) = await announced(database)
    assert isinstance(event, result_pb2.ResultFailed)
    assert (event.reason, event.category) == ("PATIENT_CHANGED", job_pb2.ERROR_CATEGORY_TAG)
    assert router.asked == []
    assert await stored_results(orthanc, STUDY) == {}


async def test_the_patient_is_looked_at_again_before_committed_objects_are_sent(
    orthanc: Orthanc, database: Database, objects: FileObjects, secrets: Path, tmp_path: Path
) -> None:
    await send(orthanc, STUDY, tmp_path / "study")
    result = await accepted(objects, STUDY, nothing(STUDY))
    router = Router(error=UpstreamUnavailableError("the router is away"))
    async with archiving(database, objects, secrets, registry_of(orthanc.dicomweb_url), router=router) as archive:
        with pytest.raises(UpstreamUnavailableError):
            await archive(result)  # built and committed, not sent
        router.error = None
        await archive(replace(result, patient_fingerprint="0" * 64))
    delivery = await delivery_of(database, result)
    assert delivery is not None
    assert (delivery.state, delivery.reason) == (State.FAILED, "PATIENT_CHANGED")
    assert await stored_results(orthanc, STUDY) == {}


async def test_a_source_that_is_gone_is_a_failure_with_its_category(
    orthanc: Orthanc, database: Database, objects: FileObjects, secrets: Path, tmp_path: Path
) -> None:
    await orthanc.store(STUDY.write(tmp_path / "study")[:-1])
    result = await accepted(objects, STUDY, nothing(STUDY))
    async with archiving(database, objects, secrets, registry_of(orthanc.dicomweb_url)) as archive:
        await archive(result)
    (event,) = await announced(database)
    assert isinstance(event, result_pb2.ResultFailed)
    assert (event.reason, event.category) == ("SOURCE_MISSING", job_pb2.ERROR_CATEGORY_NUMBER_OF_IMAGES)


async def test_while_the_archive_is_away_work_waits_until_the_deadline(
    orthanc: Orthanc, database: Database, objects: FileObjects, secrets: Path, tmp_path: Path
) -> None:
    await send(orthanc, STUDY, tmp_path / "study")
    result = await accepted(objects, STUDY, nothing(STUDY))
    clock = SetClock()
    orthanc.kill()
    async with archiving(database, objects, secrets, registry_of(orthanc.dicomweb_url), clock=clock) as archive:
        with pytest.raises(UpstreamUnavailableError):
            await archive(result)
        assert await delivery_of(database, result) is None
        clock.time = DEADLINE + timedelta(seconds=1)
        await archive(result)
    (event,) = await announced(database)
    assert isinstance(event, result_pb2.ResultFailed)
    assert (event.reason, event.category) == ("DEADLINE_PASSED", job_pb2.ERROR_CATEGORY_SERVER_UNAVAILABLE)


async def test_an_archive_without_its_secret_waits_for_the_operator(
    orthanc: Orthanc, database: Database, objects: FileObjects, tmp_path: Path
) -> None:
    await send(orthanc, STUDY, tmp_path / "study")
    result = await accepted(objects, STUDY, nothing(STUDY))
    wrong = write_secret(tmp_path / "wrong", ("udc", "wrong"))
    async with archiving(database, objects, wrong, registry_of(orthanc.dicomweb_url)) as archive:
        with pytest.raises(UpstreamUnavailableError, match="does not let us in"):
            await archive(result)


class NewerBuilder:
    """A later version of the builder, which makes other bytes of everything."""

    version = "2"

    async def __call__(self, order: BuildOrder) -> Sequence[EncodedObject]:
        later = replace(order, accepted_at=order.accepted_at + timedelta(days=1))
        return await AirBuilder(Typeface("DejaVuSans.ttf"))(later)


async def test_an_update_of_the_builder_between_two_attempts_does_not_change_what_is_sent(
    orthanc: Orthanc, database: Database, objects: FileObjects, secrets: Path, tmp_path: Path
) -> None:
    await send(orthanc, STUDY, tmp_path / "study")
    result = await accepted(objects, STUDY, bleed(STUDY))
    registry = registry_of(orthanc.dicomweb_url)
    away = Router(error=UpstreamUnavailableError("the router is away"))
    async with archiving(database, objects, secrets, registry, router=away) as archive:
        with pytest.raises(UpstreamUnavailableError):
            await archive(result)
    first = await SqlLedger(database).built(result.job, result.result_digest)
    async with archiving(database, objects, secrets, registry, builder=NewerBuilder()) as archive:
        await archive(result)
    assert first is not None
    assert first.builder_version == "1"
    assert await stored_results(orthanc, STUDY) == {
        encoded.sop_instance_uid: encoded.content for encoded in first.objects
    }


async def test_other_content_under_our_uid_is_noticed_although_the_archive_says_it_stored_ours(
    orthanc: Orthanc, database: Database, objects: FileObjects, secrets: Path, tmp_path: Path
) -> None:
    await send(orthanc, STUDY, tmp_path / "study")
    result = await accepted(objects, STUDY, bleed(STUDY))
    registry = registry_of(orthanc.dicomweb_url)
    away = Router(error=UpstreamUnavailableError("the router is away"))
    async with archiving(database, objects, secrets, registry, router=away) as archive:
        with pytest.raises(UpstreamUnavailableError):
            await archive(result)
        built = await SqlLedger(database).built(result.job, result.result_digest)
        assert built is not None
        report = built.objects[-1].content
        forged = report.replace("Признаки".encode(), "Исключён".encode())
        assert len(forged) == len(report)
        assert forged != report
        async with httpx.AsyncClient(auth=orthanc.credentials) as client:
            (await client.post(f"{orthanc.rest_url}/instances", content=forged)).raise_for_status()
        away.error = None
        await archive(result)
    (event,) = await announced(database)
    assert isinstance(event, result_pb2.ResultFailed)
    assert event.reason == "STORED_DIFFERENTLY"
    assert "Исключён" not in event.detail


async def test_an_archive_with_an_unknown_profile_is_a_clear_failure(
    orthanc: Orthanc, database: Database, objects: FileObjects, secrets: Path, tmp_path: Path
) -> None:
    await send(orthanc, STUDY, tmp_path / "study")
    result = await accepted(objects, STUDY, nothing(STUDY))
    async with archiving(database, objects, secrets, registry_of(orthanc.dicomweb_url, profile="bft")) as archive:
        await archive(result)
    (event,) = await announced(database)
    assert isinstance(event, result_pb2.ResultFailed)
    assert event.reason == "PROFILE_UNKNOWN"


async def test_a_result_of_another_job_is_refused(
    orthanc: Orthanc, database: Database, objects: FileObjects, secrets: Path, tmp_path: Path
) -> None:
    await send(orthanc, STUDY, tmp_path / "study")
    result = await accepted(objects, STUDY, nothing(STUDY))
    async with archiving(database, objects, secrets, registry_of(orthanc.dicomweb_url)) as archive:
        await archive(replace(result, job="another-job"))
    (event,) = await announced(database)
    assert isinstance(event, result_pb2.ResultFailed)
    assert event.reason == "RESULT_INVALID"


async def test_a_result_that_is_no_longer_kept_is_a_clear_failure(
    orthanc: Orthanc, database: Database, objects: FileObjects, secrets: Path, tmp_path: Path
) -> None:
    await send(orthanc, STUDY, tmp_path / "study")
    result = await accepted(objects, STUDY, nothing(STUDY))
    await objects.delete(result.result_digest)
    async with archiving(database, objects, secrets, registry_of(orthanc.dicomweb_url)) as archive:
        await archive(result)
    (event,) = await announced(database)
    assert isinstance(event, result_pb2.ResultFailed)
    assert event.reason == "RESULT_MISSING"
