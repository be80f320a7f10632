"""The archiver's record means the same in SQLite and PostgreSQL."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select

from integration.result_archiver.world import ARCHIVE, NOW, Registry, SetClock, accepted
from result_archiver.adapters.dicom.comparison import difference
from result_archiver.adapters.ledger import SqlLedger, has_ended
from result_archiver.adapters.results_api import ResultsApi
from result_archiver.adapters.tables import OBJECTS
from result_archiver.domain.delivery import DeliveryKey, State
from result_archiver.domain.failure import FailureReason
from result_archiver.domain.objects import EncodedObject, ObjectKind, Snapshot
from result_archiver.ports import AcceptedResult, Archive, Built, Line
from result_archiver.usecases.verify_results import VerifyResults
from udc.archive.v1 import results_pb2
from udckit import outbox
from udckit.database import Database, opened
from udckit.errors import ConflictError, NotFoundError
from udckit.objects import FileObjects
from udcmodel.grant import ArchiveRecord
from udcphantom.ct import render_ct
from udcphantom.geometry import evenly, scan
from udcphantom.heads import head
from unit.result_archiver.results import nothing

pytestmark = pytest.mark.connected

STUDY = render_ct(head(()), scan(evenly(3, spacing=40.0), rows=16, columns=16))
SNAPSHOT = Snapshot(headers=({"00100020": {"vr": "LO", "Value": ["Я"]}},), key_images={"1": b""})


def built(content: bytes = b"report") -> Built:
    report = EncodedObject(
        kind=ObjectKind.SR,
        sop_class_uid="1.2",
        sop_instance_uid="2.25.1",
        series_instance_uid="2.25.2",
        content=content,
    )
    return Built(study_instance_uid="2.25.9", witness=("2.25.3", "2.25.4"), builder_version="1", objects=(report,))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return f"sqlite:///{tmp_path}/archiver.db"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url, migrations="result_archiver.migrations") as database:
        yield database


@pytest.fixture
async def result(tmp_path: Path) -> AcceptedResult:
    return await accepted(FileObjects(tmp_path / "objects"), STUDY, nothing(STUDY))


@pytest.fixture
def key(result: AcceptedResult) -> DeliveryKey:
    return DeliveryKey(job=result.job, result_digest=result.result_digest, archive=ARCHIVE)


async def backlog(database: Database) -> int:
    return await database.read(outbox.backlog)


async def test_what_was_kept_first_stays(database: Database, key: DeliveryKey) -> None:
    ledger = SqlLedger(database)
    assert await ledger.keep(key, built(), SNAPSHOT, at=NOW) == built()
    assert await ledger.keep(key, built(b"newer"), SNAPSHOT, at=NOW) == built()
    assert await ledger.built(key.job, key.result_digest) == built()


async def test_a_second_archive_gets_the_same_objects(database: Database, key: DeliveryKey) -> None:
    ledger = SqlLedger(database)
    await ledger.keep(key, built(), SNAPSHOT, at=NOW)
    other = replace(key, archive="central")
    assert (await ledger.open(other, at=NOW)).state is State.BUILT
    count = await database.read(lambda connection: connection.scalar(select(func.count()).select_from(OBJECTS)))
    assert count == 1


async def test_a_delivery_is_archived_once_and_announced_once(
    database: Database, key: DeliveryKey, result: AcceptedResult
) -> None:
    ledger = SqlLedger(database)
    await ledger.keep(key, built(), SNAPSHOT, at=NOW)
    with pytest.raises(ConflictError):
        await ledger.archived(result, key, built().objects, at=NOW)
    assert await ledger.grant(key, at=NOW) is State.STORING
    for _ in range(2):
        await ledger.archived(result, key, built().objects, at=NOW)
    await ledger.fail(result, key, FailureReason.NOT_STORED, "too late", at=NOW)
    delivery = await ledger.delivery(key)
    assert delivery is not None
    assert delivery.state is State.ARCHIVED
    assert await backlog(database) == 1


async def test_what_the_router_stopped_it_need_not_be_told(database: Database, key: DeliveryKey) -> None:
    ledger = SqlLedger(database)
    await ledger.keep(key, built(), SNAPSHOT, at=NOW)
    await ledger.stop(key, Line(granted=False, reason="CANCELED", detail="by a person"), at=NOW)
    assert await ledger.grant(key, at=NOW) is State.STOPPED
    assert await backlog(database) == 0


async def test_a_failure_before_anything_was_built_is_kept_and_announced(
    database: Database, key: DeliveryKey, result: AcceptedResult
) -> None:
    ledger = SqlLedger(database)
    for _ in range(2):
        await ledger.fail(result, key, FailureReason.PATIENT_CHANGED, "another patient", at=NOW)
    delivery = await ledger.delivery(key)
    assert delivery is not None
    assert (delivery.state, delivery.reason) == (State.FAILED, "PATIENT_CHANGED")
    assert await backlog(database) == 1


def _verifying_nothing(ledger: SqlLedger) -> VerifyResults:
    def unknown(record: ArchiveRecord) -> Archive:
        raise AssertionError(f"nobody asks {record.archive} for what is in the ledger")

    return VerifyResults(
        registry=Registry(), ledger=ledger, open_archive=unknown, difference=difference, clock=SetClock()
    )


async def test_the_first_proof_counts(database: Database, key: DeliveryKey) -> None:
    ledger = SqlLedger(database)
    api = ResultsApi(database, _verifying_nothing(ledger))
    with pytest.raises(NotFoundError):
        await api.GetResult(results_pb2.GetResultRequest(job=key.job), None)
    await ledger.keep(key, built(), SNAPSHOT, at=NOW)
    await ledger.note_stored(key, "2.25.1", at=NOW)
    await ledger.note_stored(key, "2.25.1", at=NOW + timedelta(hours=1))
    await ledger.note_verified(key, "2.25.1", at=NOW + timedelta(minutes=1))
    answer = await api.GetResult(results_pb2.GetResultRequest(job=key.job), None)
    (item,) = answer.objects
    assert item.stored_at.ToSeconds() == int(NOW.timestamp())
    assert item.verified_at.ToSeconds() == int(NOW.timestamp()) + 60
    assert (answer.state, answer.archive) == (results_pb2.DELIVERY_STATE_BUILT, ARCHIVE)


async def test_a_dead_letter_is_not_replayed_when_its_result_has_ended(
    database: Database, key: DeliveryKey, result: AcceptedResult
) -> None:
    ledger = SqlLedger(database)
    await ledger.keep(key, built(), SNAPSHOT, at=NOW)
    ended = partial(has_ended, job=key.job, result_digest=key.result_digest)
    assert not await database.read(ended)
    await ledger.fail(result, key, FailureReason.NOT_STORED, "gone", at=NOW)
    assert await database.read(ended)
