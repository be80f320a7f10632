"""The servers that every other test stands on are real: they answer, and keep what they acknowledged."""

import asyncio
import os
import select
import socket
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import httpx
import nats
import numpy as np
import psycopg
import pydicom
import pytest
import tritonclient.grpc.aio as triton_client
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from sqlalchemy.engine import make_url

from udckit.testing import NatsServer, Orthanc, PostgreSQL, ServerFailedError, Triton
from udckit.testing.ports import LOOPBACK, ReservedPorts
from udckit.testing.process import Server

pytestmark = pytest.mark.connected


def ct_instance(pixels: np.ndarray) -> pydicom.Dataset:
    instance = pydicom.Dataset()
    instance.file_meta = FileMetaDataset()
    instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    instance.SpecificCharacterSet = "ISO_IR 192"
    instance.SOPClassUID = CTImageStorage
    instance.SOPInstanceUID = generate_uid()
    instance.StudyInstanceUID = generate_uid()
    instance.SeriesInstanceUID = generate_uid()
    instance.PatientID = "PHANTOM-1"
    instance.PatientName = "Фантом^Первый"
    instance.Modality = "CT"
    instance.Rows, instance.Columns = pixels.shape
    instance.SamplesPerPixel = 1
    instance.PhotometricInterpretation = "MONOCHROME2"
    instance.BitsAllocated, instance.BitsStored, instance.HighBit = 16, 16, 15
    instance.PixelRepresentation = 1
    instance.PixelData = pixels.astype("<i2").tobytes()
    return instance


async def test_nats_keeps_an_acknowledged_message_over_a_kill(nats_server: NatsServer) -> None:
    async with await nats.connect(nats_server.url) as client:
        js = client.jetstream()
        await js.add_stream(name="KEPT", subjects=["kept.>"])
        acknowledged = await js.publish("kept.one", b"before the kill")
    port = nats_server.port

    nats_server.kill()
    await nats_server.start()

    assert nats_server.port == port
    async with await nats.connect(nats_server.url) as client:
        found = await client.jetstream().get_msg("KEPT", acknowledged.seq)
        assert found.data == b"before the kill"


async def test_a_frozen_nats_answers_nothing_until_it_is_thawed(nats_server: NatsServer) -> None:
    async with await nats.connect(nats_server.url) as client:
        nats_server.freeze()
        with pytest.raises(nats.errors.TimeoutError):
            await client.request("$SYS.REQ.USER.INFO", timeout=1)
        nats_server.thaw()
        assert (await client.request("$SYS.REQ.USER.INFO", timeout=5)).data


async def test_a_frozen_nats_can_be_stopped(tmp_path: Path) -> None:
    async with NatsServer(tmp_path) as server:
        server.freeze()
        await server.stop()
        assert not server.running


async def test_a_nats_that_acknowledges_before_it_syncs_is_refused(tmp_path: Path) -> None:
    server = NatsServer(tmp_path, config="jetstream {}")
    with pytest.raises(ServerFailedError, match="sync_interval: always"):
        await server.start()
    assert not server.running


async def test_a_program_that_is_an_old_nats_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "nats-server"
    old.write_text("#!/bin/sh\necho 'nats-server: v2.9.10'\n")
    old.chmod(0o755)
    with pytest.raises(ServerFailedError, match=r"2\.9\.10, which can lose acknowledged messages"):
        await NatsServer(tmp_path / "state", binary=old).start()


async def test_a_wrong_configuration_fails_with_the_servers_own_words(tmp_path: Path) -> None:
    with pytest.raises(ServerFailedError) as failed:
        await NatsServer(tmp_path, config="no_such_setting: 1\n").start()
    assert any("no_such_setting" in line for line in failed.value.last_lines)


async def test_a_port_that_somebody_took_between_choice_and_start_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody = socket.socket()
    chosen: list[int] = []

    def reserved_too_late(count: int) -> ReservedPorts:
        reserved = ReservedPorts(count)
        if not chosen:
            chosen.extend(reserved)
            somebody.bind((LOOPBACK, chosen[0]))
            somebody.listen()
        return reserved

    monkeypatch.setattr("udckit.testing.process.ReservedPorts", reserved_too_late)
    with somebody:
        async with NatsServer(tmp_path) as server:
            assert server.port != chosen[0]
            async with await nats.connect(server.url) as client:
                assert client.is_connected


class Stubborn(Server):
    """A program that never answers and does not listen to SIGTERM."""

    name: ClassVar[str] = "stubborn"

    def _command(self) -> Sequence[str]:
        return ["bash", "-c", "trap '' TERM; echo I will not; while :; do sleep 0.05; done"]

    async def _ready(self) -> bool:
        return False


class StubbornButReady(Stubborn):
    async def _ready(self) -> bool:
        return self.last_lines() == ["I will not"]


async def test_a_server_that_never_answers_is_killed_and_quoted(tmp_path: Path) -> None:
    server = Stubborn(tmp_path, port_count=1, ready_within_s=0.5)
    with pytest.raises(ServerFailedError, match=r"did not answer within 0\.5 s") as failed:
        await server.start()
    assert failed.value.last_lines == ("I will not",)
    assert not server.running


async def test_a_server_that_does_not_stop_when_asked_is_killed(tmp_path: Path) -> None:
    async with StubbornButReady(tmp_path, port_count=1, stop_within_s=0.3) as server:
        process = os.pidfd_open(server.pid)
    assert await has_ended(process)


async def test_a_cancelled_start_leaves_no_process(tmp_path: Path) -> None:
    server = Stubborn(tmp_path, port_count=1)
    start = asyncio.create_task(server.start())
    while not server.running:  # noqa: ASYNC110 - a process sets no asyncio event
        await asyncio.sleep(0.01)
    process = os.pidfd_open(server.pid)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert await has_ended(process)


async def test_a_cancelled_stop_leaves_no_process(tmp_path: Path) -> None:
    server = StubbornButReady(tmp_path, port_count=1, stop_within_s=60)
    await server.start()
    process = os.pidfd_open(server.pid)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await server.aclose()
    assert await has_ended(process)


async def has_ended(pidfd: int) -> bool:
    """Whether the process of ``pidfd`` ends within ten seconds; closes ``pidfd``."""
    try:
        # A pidfd becomes readable when its process has ended.
        ended, _, _ = await asyncio.to_thread(select.select, [pidfd], [], [], 10)
        return ended == [pidfd]
    finally:
        os.close(pidfd)


async def test_a_server_dies_with_the_program_that_started_it(tmp_path: Path) -> None:
    program = """
        import asyncio, sys
        from pathlib import Path
        from udckit.testing import NatsServer

        async def main():
            async with NatsServer(Path(sys.argv[1])) as server:
                print(server.pid, flush=True)
                await asyncio.Event().wait()

        asyncio.run(main())
    """
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(program), str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    server = os.pidfd_open(int(await owner.stdout.readline()))
    owner.kill()
    await owner.wait()
    assert await has_ended(server)


async def test_orthanc_returns_the_stored_pixels_by_dicomweb_over_a_kill(orthanc: Orthanc, tmp_path: Path) -> None:
    pixels = np.arange(-512, 512, dtype=np.int16).reshape(32, 32)
    instance = ct_instance(pixels)
    instance.save_as(tmp_path / "one.dcm", enforce_file_format=True)
    await orthanc.store([tmp_path / "one.dcm"])

    orthanc.kill()
    await orthanc.start()

    async with httpx.AsyncClient(base_url=orthanc.dicomweb_url, auth=orthanc.credentials) as client:
        found = await client.get("/studies", params={"PatientID": "PHANTOM-1"})
        assert [study["0020000D"]["Value"] for study in found.json()] == [[instance.StudyInstanceUID]]
        assert found.json()[0]["00100010"]["Value"] == [{"Alphabetic": "Фантом^Первый"}]
        frame = await client.get(
            f"/studies/{instance.StudyInstanceUID}/series/{instance.SeriesInstanceUID}"
            f"/instances/{instance.SOPInstanceUID}/frames/1",
            headers={"Accept": 'multipart/related; type="application/octet-stream"'},
        )
    _, _, part = frame.content.partition(b"\r\n\r\n")
    assert part.startswith(pixels.astype("<i2").tobytes())
    assert len(part) < pixels.nbytes + 100  # only the closing boundary follows


async def test_orthanc_answers_nobody_without_the_password(orthanc: Orthanc) -> None:
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{orthanc.rest_url}/system")).status_code == 401
        assert (await client.get(f"{orthanc.dicomweb_url}/studies", auth=("udc", "wrong"))).status_code == 401


async def test_orthanc_stores_nothing_from_an_unknown_sender(orthanc: Orthanc, tmp_path: Path) -> None:
    ct_instance(np.zeros((4, 4), np.int16)).save_as(tmp_path / "one.dcm", enforce_file_format=True)
    with pytest.raises(ServerFailedError, match="did not store every object"):
        await orthanc.store([tmp_path / "one.dcm"], ae_title="STRANGER")
    async with httpx.AsyncClient(auth=orthanc.credentials) as client:
        assert (await client.get(f"{orthanc.rest_url}/instances")).json() == []


async def test_orthanc_says_when_a_file_is_no_dicom(orthanc: Orthanc, tmp_path: Path) -> None:
    (tmp_path / "text.dcm").write_text("no DICOM")
    with pytest.raises(ServerFailedError, match="did not store every object"):
        await orthanc.store([tmp_path / "text.dcm"])


AFFINE_MODEL = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor("OUT", 2 * pb_utils.get_input_tensor_by_name(request, "IN").as_numpy() + 1)]
            )
            for request in requests
        ]
"""

AFFINE_CONFIG = """
backend: "python"
input { name: "IN" data_type: TYPE_FP32 dims: [ -1 ] }
output { name: "OUT" data_type: TYPE_FP32 dims: [ -1 ] }
instance_group { kind: KIND_CPU }
"""


def add_affine_model(repository: Path, name: str) -> None:
    version = repository / name / "1"
    version.mkdir(parents=True)
    (version / "model.py").write_text(AFFINE_MODEL)
    (version.parent / "config.pbtxt").write_text(AFFINE_CONFIG)


async def affine(server: Triton, model: str, values: np.ndarray) -> np.ndarray | None:
    client = triton_client.InferenceServerClient(server.grpc_address)
    try:
        await client.load_model(model, client_timeout=60)
        sent = triton_client.InferInput("IN", list(values.shape), "FP32")
        sent.set_data_from_numpy(values)
        answer = await client.infer(model, [sent], client_timeout=60)
        output: np.ndarray | None = answer.as_numpy("OUT")
        return output
    finally:
        await client.close()


async def test_triton_computes_with_a_python_model(triton: Triton) -> None:
    add_affine_model(triton.model_repository, "affine_of_test_servers")
    answer = await affine(triton, "affine_of_test_servers", np.array([0.0, 1.5, -3.0], np.float32))
    np.testing.assert_array_equal(answer, np.array([1.0, 4.0, -5.0], np.float32))


def shared_memory_of(server: Triton) -> list[Path]:
    return list(Path("/dev/shm").glob(f"*{server.grpc_port}*"))  # noqa: S108 - where Linux has POSIX shared memory


async def test_triton_computes_again_after_a_kill_and_leaves_no_shared_memory(tmp_path: Path) -> None:
    add_affine_model(tmp_path / "models", "affine")
    async with Triton(tmp_path / "state", tmp_path / "models") as server:
        await affine(server, "affine", np.ones(1, np.float32))
        assert shared_memory_of(server) != []
        server.kill()
        assert shared_memory_of(server) == []
        await server.start()
        assert await affine(server, "affine", np.array([20.0], np.float32)) == np.array([41.0])
        server.kill()


async def test_triton_without_its_environment_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ServerFailedError, match="scripts/install"):
        await Triton(tmp_path / "state", tmp_path / "models", environment=tmp_path).start()


async def test_postgresql_keeps_a_committed_row_over_a_kill(directory_for_everybody: Path) -> None:
    async with PostgreSQL(directory_for_everybody / "killed") as server:
        url = make_url(await server.create_database("kept"))
        assert url.drivername == "postgresql+psycopg"
        conninfo = psycopg.conninfo.make_conninfo(
            host=url.host, port=url.port, user=url.username, password=url.password, dbname=url.database
        )
        async with await psycopg.AsyncConnection.connect(conninfo) as connection:
            await connection.execute("CREATE TABLE kept (word text)")
            await connection.execute("INSERT INTO kept VALUES ('committed')")

        server.kill()
        await server.start()

        async with await psycopg.AsyncConnection.connect(conninfo) as connection:
            rows = await (await connection.execute("SELECT word FROM kept")).fetchall()
        assert rows == [("committed",)]


async def test_every_test_gets_an_empty_database(postgresql_url: str) -> None:
    url = make_url(postgresql_url)
    async with await psycopg.AsyncConnection.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, dbname=url.database
    ) as connection:
        tables = await connection.execute("SELECT * FROM pg_tables WHERE schemaname = 'public'")
        assert await tables.fetchall() == []


async def test_postgresql_lets_nobody_in_without_the_password(postgresql: PostgreSQL) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        await psycopg.AsyncConnection.connect(
            host=LOOPBACK, port=postgresql.port, user="udc", password="wrong", dbname="postgres"
        )


async def test_postgresql_in_a_directory_it_cannot_reach_says_so(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = PostgreSQL(closed / "state")
    if os.geteuid() == 0:
        with pytest.raises(ServerFailedError, match="cannot reach"):
            await server.start()
    else:
        async with server:
            assert server.running
