"""The adapters keep the promises of the ports."""

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from integration.model_serving.world import World, a_world, add_python_model
from model_serving.adapters.artefacts import StoredArtefacts
from model_serving.adapters.secrets import Secrets
from model_serving.adapters.store import RUNS, SqlRuns
from model_serving.adapters.triton import TritonBackend
from model_serving.domain.answer import check_answer
from model_serving.domain.failure import Consequence, Failed, Reason, RunFailedError
from model_serving.domain.progress import Reached, Stage
from model_serving.domain.run import Abandoned, Abandonment, Ending, Inferred, Returned
from model_serving.ports import ModelLostError, PinnedModel
from udc.events.v1 import job_pb2
from udckit import subjects
from udckit.bus import Bus, BusSettings, connected
from udckit.database import Database, opened
from udckit.errors import InvalidRequestError, PreconditionError, UpstreamUnavailableError
from udckit.objects import FileObjects
from udckit.plumbing_tables import OUTBOX
from udckit.replica import Replica, ReplicaRow, replica_writer, replicating
from udckit.testing import NatsServer, Triton
from udckit.topology import provision
from udcmodel.codec import encode_record, encode_stack
from udcmodel.grant import registry_key
from udcmodel.registry import CopiedRegistry
from udcmodel.vocabulary import ErrorCategory
from unit.model_serving.contracts import (
    ARCHIVE,
    ATTACHMENT,
    STACK,
    VERSION,
    ArtefactsContract,
    BackendContract,
    RegistryContract,
    RunsContract,
    a_dispatch,
)
from unit.model_serving.manifests import BRAIN
from unit.model_serving.stand_ins import NOON, HandClock

numbers = itertools.count()


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    async with connected(BusSettings(servers=[nats_server.url], name="model-serving")) as bus:
        await provision(bus, pools=["cpu"], object_bytes=16 << 20, max_bytes=64 << 20)
        yield bus


async def until_fresh(replica: Replica) -> Replica:
    async with asyncio.timeout(10):
        while replica.is_stale:  # noqa: ASYNC110 another process sets no event
            await asyncio.sleep(0.02)
    return replica


@pytest.mark.connected
class TestCopiedRegistry(RegistryContract):
    @pytest.fixture
    async def replica(self, bus: Bus) -> AsyncIterator[Replica]:
        async with (
            replica_writer(bus, subjects.BUCKET_REGISTRY) as writer,
            replicating(bus, subjects.BUCKET_REGISTRY) as replica,
        ):
            for key, record in (
                (registry_key("version", VERSION.device, VERSION.version), VERSION),
                (registry_key("attachment", ATTACHMENT.attachment), ATTACHMENT),
                (registry_key("archive", ARCHIVE.archive), ARCHIVE),
            ):
                await writer.put(ReplicaRow(key=key, revision=1, body=encode_record(record, revision=1)))
            await writer.beat()
            await asyncio.sleep(0.5)
            await writer.beat()
            yield await until_fresh(replica)

    @pytest.fixture
    def registry(self, replica: Replica) -> CopiedRegistry:
        return CopiedRegistry(replica.get)

    @pytest.fixture
    async def stale_registry(self, replica: Replica) -> CopiedRegistry:
        await asyncio.sleep(2.1)  # nobody beats any more
        return CopiedRegistry(replica.get)


class TestStoredArtefacts(ArtefactsContract):
    @pytest.fixture
    def objects(self, tmp_path: Path) -> FileObjects:
        return FileObjects(tmp_path)

    @pytest.fixture
    async def artefacts(self, objects: FileObjects) -> StoredArtefacts:
        assert await objects.put(BRAIN.canonical()) == BRAIN.digest
        return StoredArtefacts(objects, objects)

    @pytest.fixture
    async def stack_digest(self, objects: FileObjects) -> str:
        return await objects.put(encode_stack(STACK))

    async def test_an_object_of_another_kind_is_refused(self, artefacts: StoredArtefacts, objects: FileObjects) -> None:
        with pytest.raises(InvalidRequestError, match="no manifest"):
            await artefacts.manifest(await objects.put(b"{}"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'serving.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url, migrations="model_serving.migrations") as database:
        yield database


@pytest.fixture
def runs(database: Database) -> SqlRuns:
    return SqlRuns(database, worker="worker-1", clock=HandClock())


@pytest.mark.connected
class TestSqlRuns(RunsContract):
    pass


INFERRED = Inferred(
    result_digest="sha256:r",
    processing_version="1.0.0",
    findings_present=1,
    findings_undetermined=0,
    highest_probability=0.75,
    inference_started_at=NOON,
    inference_ended_at=NOON,
)
FAILED = Failed(
    reason="FRAME_MISSING",
    detail="1 of 8 frames did not come",
    consequence=Consequence(ErrorCategory.NUMBER_OF_IMAGES, is_insufficient=True),
)


RETURNED = Returned(reason="ARCHIVE_AWAY", detail="pacs does not answer")


async def announced(database: Database) -> list[tuple[str, bytes]]:
    query = select(OUTBOX.c.type, OUTBOX.c.body).order_by(OUTBOX.c.position)
    return [(row.type, row.body) for row in await database.read(lambda connection: connection.execute(query).all())]


@pytest.mark.connected
async def test_a_repeated_attempt_announces_its_start_once(database: Database, runs: SqlRuns) -> None:
    for _ in range(3):
        await runs.begin(a_dispatch(attempt=1))
    ((kind, body),) = await announced(database)
    started = job_pb2.JobStarted.FromString(body)
    assert kind == "udc.events.v1.JobStarted"
    assert (started.job, started.attempt, started.worker) == ("job-1", 1, "worker-1")


@pytest.mark.connected
@pytest.mark.parametrize(
    ("ending", "state", "types"),
    [
        (INFERRED, "INFERRED", ["udc.events.v1.JobInferred"]),
        (FAILED, "FAILED", ["udc.events.v1.JobFailed"]),
        (RETURNED, "RETURNED", ["udc.events.v1.JobReturned"]),
        (Abandoned(Abandonment.EXPIRED), "ABANDONED", []),
    ],
)
async def test_an_ending_is_recorded_and_announced_together(
    database: Database, runs: SqlRuns, ending: Ending, state: str, types: list[str]
) -> None:
    for _ in range(2):
        await database.transact(runs.ended(a_dispatch(attempt=1), ending))
    (row,) = await database.read(lambda connection: connection.execute(select(RUNS)).all())
    assert (row.job, row.attempt, row.state, row.worker) == ("job-1", 1, state, "worker-1")
    assert row.ended_at == NOON
    assert [kind for kind, _ in await announced(database)] == types


@pytest.mark.connected
async def test_progress_is_announced_once_for_each_step(database: Database, runs: SqlRuns) -> None:
    for retrieved in (3, 3, 7):
        await runs.progressed(a_dispatch(attempt=1), Reached(stage=Stage.RETRIEVING, retrieved=retrieved, wanted=20))
    told = [job_pb2.JobProgressed.FromString(body) for _, body in await announced(database)]
    assert [(event.stage, event.retrieved, event.wanted) for event in told] == [
        (job_pb2.JOB_STAGE_RETRIEVING, 3, 20),
        (job_pb2.JOB_STAGE_RETRIEVING, 7, 20),
    ]


@pytest.mark.connected
async def test_a_failure_says_what_follows_from_it(database: Database, runs: SqlRuns) -> None:
    await database.transact(runs.ended(a_dispatch(attempt=2), FAILED))
    ((_, body),) = await announced(database)
    failed = job_pb2.JobFailed.FromString(body)
    assert (failed.attempt, failed.reason, failed.detail) == (2, FAILED.reason, FAILED.detail)
    assert failed.category == job_pb2.ERROR_CATEGORY_NUMBER_OF_IMAGES
    assert failed.insufficient
    assert not failed.retryable


class TestTritonBackend(BackendContract):
    pytestmark = pytest.mark.connected
    config = """
    backend: "python"
    input { name: "IN" data_type: TYPE_FP32 dims: [ -1 ] }
    output { name: "OUT" data_type: TYPE_FP32 dims: [ -1 ] }
    instance_group { kind: KIND_CPU }
    """
    double = 'def answer(request):\n    return {"OUT": 2 * tensor(request, "IN")}\n'
    triple = 'def answer(request):\n    return {"OUT": tensor(request, "IN") * 3}\n'

    slowly = 'def answer(request):\n    time.sleep(1)\n    return {"OUT": tensor(request, "IN")}\n'

    hangs_when_told = (
        'def answer(request):\n    given = tensor(request, "IN")\n    if given[0] == 1.0:\n'
        '        time.sleep(100_000)\n    return {"OUT": given}\n'
    )

    @pytest.fixture
    async def world(self, triton: Triton) -> AsyncIterator[World]:
        async with a_world(triton) as world:
            yield world

    @pytest.fixture
    def backend(self, world: World) -> TritonBackend:
        return world.backend

    @pytest.fixture
    def model(self, triton: Triton) -> PinnedModel:
        return self.added(triton, self.double)

    @pytest.fixture
    def late(self, triton: Triton) -> PinnedModel:
        return self.added(triton, self.slowly)

    @pytest.fixture
    def absent(self) -> PinnedModel:
        return PinnedModel(device="d", version="1", name="absent", number=1, digest="sha256:x")

    async def test_a_model_that_hangs_answers_again_once_it_is_loaded_anew(
        self, backend: TritonBackend, triton: Triton
    ) -> None:
        wedged = self.added(triton, self.hangs_when_told)
        await backend.load(wedged, timeout_s=60)
        for told in (1.0, 0.0):
            # It has one instance, and that never ends: the second call is as late as the first.
            async with backend.exchange(wedged, self.inputs, self.outputs) as exchange:
                exchange.inputs["IN"][:] = told
                with pytest.raises(RunFailedError) as failure:
                    await exchange.infer(timeout_s=1.0)
            assert failure.value.reason is Reason.INFERENCE_TIMED_OUT

        await backend.unload(wedged, timeout_s=20)
        await backend.load(wedged, timeout_s=60)
        async with backend.exchange(wedged, self.inputs, self.outputs) as exchange:
            exchange.inputs["IN"][:] = 0.0
            answered = check_answer(await exchange.infer(timeout_s=20), self.outputs, model_version=1)
            np.testing.assert_array_equal(answered["OUT"], [0, 0, 0])

    @pytest.fixture
    def replacing(self, triton: Triton) -> Callable[[PinnedModel], PinnedModel]:
        def replace_files(model: PinnedModel) -> PinnedModel:
            folder = triton.model_repository / model.name
            shutil.rmtree(folder)
            digest = add_python_model(triton.model_repository, model.name, self.config, self.triple)
            return replace(model, version="2", digest=digest)

        return replace_files

    async def test_an_answer_is_refused_when_other_files_were_loaded_while_it_was_waited_for(
        self, backend: TritonBackend, late: PinnedModel, replacing: Callable[[PinnedModel], PinnedModel]
    ) -> None:
        await backend.load(late, timeout_s=60)
        async with backend.exchange(late, self.inputs, self.outputs) as exchange:
            exchange.inputs["IN"][:] = (1, 2, 3)
            running = asyncio.create_task(exchange.infer(timeout_s=20))
            await asyncio.sleep(0.3)  # it takes a second
            await backend.load(replacing(late), timeout_s=60)
            with pytest.raises(ModelLostError):
                await running

    def added(self, triton: Triton, execute: str) -> PinnedModel:
        name = f"contract_model_{next(numbers)}"
        digest = add_python_model(triton.model_repository, name, self.config, execute)
        return PinnedModel(device="d", version="1", name=name, number=1, digest=digest)


def test_a_secret_is_read_when_it_is_needed(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    with pytest.raises(UpstreamUnavailableError):
        secrets("pacs")
    (tmp_path / "pacs").write_text("user:first\n")
    assert secrets("pacs") == "user:first"
    (tmp_path / "pacs").write_text("user:second")
    assert secrets("pacs") == "user:second"


@pytest.mark.parametrize("name", ["", "../pacs", "/etc/passwd", "a/b", ".hidden"])
def test_a_secret_lies_in_its_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(PreconditionError):
        Secrets(tmp_path)(name)
