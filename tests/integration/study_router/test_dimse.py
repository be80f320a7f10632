"""A modality and an archive say by DIMSE what they have done, and hear of success only when it is kept."""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from pydicom.dataset import Dataset

from modality import Modality, begun
from study_router.adapters.dimse import MAX_BYTES, Address, listening
from study_router.adapters.store import SqlStore
from study_router.domain.finished import Kind, Statement, Status
from study_router.ports import Transaction
from study_router.usecases.hearing import HearStatement
from udckit.clock import SystemClock
from udckit.database import Database, opened
from udckit.errors import PreconditionError, UpstreamUnavailableError
from udckit.security.ca import files_in
from udckit.security.identity import Service
from udckit.security.installation import install
from udckit.testing.ports import LOOPBACK

pytestmark = [
    pytest.mark.connected,
    pytest.mark.usefixtures("sockets_collected"),
    # The calling side of the library leaves its socket to the collector where a connection is refused.
    pytest.mark.filterwarnings("ignore:unclosed <:ResourceWarning"),
]

T = TypeVar("T")
STEP, STUDY = "1.9.1", "1.2"
IMAGES = {"1.2.1": ["1.2.1.2", "1.2.1.1"], "1.2.2": ["1.2.2.1"]}


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with opened(f"sqlite:///{tmp_path}/router.db", migrations="study_router.migrations") as database:
        yield database


class AwayStore(SqlStore):
    """A database that is away until it is said to be back."""

    is_away = True

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        if self.is_away:
            raise UpstreamUnavailableError("the database is away")
        return await super().transact(work)


@asynccontextmanager
async def ears(
    database: Database,
    port: int,
    *,
    peers: tuple[str, ...] = ("CT1", "PACS"),
    tls: ssl.SSLContext | None = None,
    store: SqlStore | None = None,
) -> AsyncIterator[None]:
    hear = HearStatement(store=store or SqlStore(database), clock=SystemClock())
    async with listening(Address(host=LOOPBACK, port=port, ae_title="UDC", peers=peers, tls=tls), hear):
        yield


async def call(work: Callable[..., T], *arguments: object, **named: object) -> T:
    return await asyncio.to_thread(work, *arguments, **named)


async def kept(database: Database, study: str = STUDY) -> list[Statement]:
    return list(await SqlStore(database).read(lambda transaction: transaction.statements.of_study(study)))


async def test_a_step_is_kept_from_its_beginning_to_its_end(database: Database, port: int) -> None:
    modality = Modality(port=port)
    async with ears(database, port):
        assert await call(modality.echo) == 0x0000
        assert await call(modality.begin, STEP, STUDY) == 0x0000
        [said] = await kept(database)
        assert (said.kind, said.status, said.sender, said.series) == (Kind.MPPS, Status.IN_PROGRESS, "CT1", {})
        assert await call(modality.end, STEP, IMAGES) == 0x0000
        assert await call(modality.end, STEP, IMAGES) == 0x0000
        assert await call(modality.begin, STEP, STUDY) == 0x0000
        assert await call(modality.end, STEP, {}, status="DISCONTINUED") == 0x0110
    [said] = await kept(database)
    assert (said.status, said.series) == (
        Status.COMPLETED,
        {"1.2.1": ("1.2.1.1", "1.2.1.2"), "1.2.2": ("1.2.2.1",)},
    )


async def test_an_archive_tells_which_images_can_be_had(database: Database, port: int) -> None:
    archive = Modality(port=port, ae_title="PACS")
    async with ears(database, port):
        assert await call(archive.notify, "1.8.1", STUDY, IMAGES, of_step=STEP) == 0x0000
        # Without a UID: the same content is the same notification.
        assert await call(archive.notify, None, STUDY, {"1.2.1": ["1.2.1.1"]}) == 0x0000
        assert await call(archive.notify, None, STUDY, {"1.2.1": ["1.2.1.1"]}) == 0x0000
        assert await call(archive.notify, "1.8.1", STUDY, {}, of_step=STEP) == 0x0111
    first, second = await kept(database)
    assert (first.kind, first.status, len(first.images)) == (Kind.IAN, Status.COMPLETED, 3)
    assert (second.status, second.series) == (Status.AVAILABLE, {"1.2.1": ("1.2.1.1",)})
    assert second.statement.startswith("2.25.")


def only_a_name() -> Dataset:
    said = Dataset()
    said.PatientName = "Ivanov^Ivan"
    return said


@pytest.mark.parametrize(
    ("said", "step", "status"),
    [
        (begun(STUDY, status="COMPLETED"), STEP, 0x0106),
        (begun(), STEP, 0x0120),
        (begun(""), STEP, 0x0120),
        (begun("1.2/../3"), STEP, 0x0106),
        (begun("1." * 32 + "1"), STEP, 0x0106),
        (only_a_name(), STEP, 0x0106),
    ],
    ids=["ended before it began", "no study", "empty", "no UID", "too long", "nothing"],
)
async def test_what_makes_no_sense_is_refused_and_not_kept(
    database: Database, port: int, said: Dataset, step: str, status: int
) -> None:
    async with ears(database, port):
        assert await call(Modality(port=port).create, said, step) == status
    assert await kept(database) == []


async def test_an_unknown_step_cannot_end_and_another_study_cannot_have_its_uid(database: Database, port: int) -> None:
    modality = Modality(port=port)
    async with ears(database, port):
        assert await call(modality.end, STEP, IMAGES) == 0x0112
        assert await call(modality.begin, STEP, STUDY) == 0x0000
        assert await call(modality.begin, STEP, "1.3") == 0x0111
        assert await call(modality.end, STEP, IMAGES, status="DONE") == 0x0106


async def test_who_is_not_on_the_list_is_not_heard(database: Database, port: int) -> None:
    async with ears(database, port):
        assert await call(Modality(port=port, ae_title="STRANGER").begin, STEP, STUDY) is None
        assert await call(Modality(port=port, called="ELSE").begin, STEP, STUDY) is None
        assert await call(Modality(port=port).begin, STEP, STUDY) == 0x0000
    assert len(await kept(database)) == 1


async def test_what_is_not_durable_is_not_answered_with_success(database: Database, port: int) -> None:
    store = AwayStore(database)
    async with ears(database, port, store=store):
        assert await call(Modality(port=port).begin, STEP, STUDY) == 0x0110
        assert await kept(database) == []
        store.is_away = False
        assert await call(Modality(port=port).begin, STEP, STUDY) == 0x0000
    assert len(await kept(database)) == 1


async def test_a_message_without_end_is_broken_off_and_others_are_heard(database: Database, port: int) -> None:
    endless = begun(STUDY)
    endless.add_new(0x00091010, "UN", b"x" * (2 * MAX_BYTES))
    async with ears(database, port):
        assert await call(Modality(port=port).create, endless, STEP) is None
        assert await kept(database) == []
        assert await call(Modality(port=port).begin, STEP, STUDY) == 0x0000


async def test_bytes_that_are_no_dicom_do_no_harm(database: Database, port: int) -> None:
    async with ears(database, port):
        with socket.create_connection((LOOPBACK, port), timeout=5) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n" * 100)
        assert await call(Modality(port=port).begin, STEP, STUDY) == 0x0000


async def test_nothing_that_names_a_patient_is_kept_or_logged(
    database: Database, port: int, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    async with ears(database, port):
        assert await call(Modality(port=port).begin, STEP, STUDY, patient="Sidorov^Sidor") == 0x0000
        assert await call(Modality(port=port).end, STEP, IMAGES) == 0x0000
    stored = b"".join(path.read_bytes() for path in await call(lambda: list(tmp_path.glob("router.db*"))))
    written = "".join(capfd.readouterr()) + caplog.text
    assert STEP.encode() in stored
    for name in ("Sidorov", "SECRET-7"):
        assert name.encode() not in stored
        assert name not in written


async def test_with_tls_only_who_has_a_certificate_of_the_region_is_heard(
    database: Database, port: int, tmp_path: Path
) -> None:
    installation, _ = install(tmp_path / "security", region="r77", clock=SystemClock(), pools=["cpu"])
    server = files_in(installation.directory, Service.STUDY_ROUTER)
    known = files_in(installation.directory, Service.CLI).client_context()
    nameless = ssl.create_default_context(cafile=server.ca)
    async with ears(database, port, tls=server.server_context()):
        with socket.create_connection((LOOPBACK, port), timeout=5):
            # Whoever calls and says nothing keeps nobody out.
            assert await call(Modality(port=port, tls=known).begin, STEP, STUDY) == 0x0000
        assert await call(Modality(port=port, tls=nameless).begin, "1.9.2", STUDY) is None
        assert await call(Modality(port=port).begin, "1.9.3", STUDY) is None
    assert [said.statement for said in await kept(database)] == [STEP]


async def test_a_port_that_is_taken_is_named(database: Database, port: int) -> None:
    with socket.create_server((LOOPBACK, port)), pytest.raises(PreconditionError, match=str(port)):
        async with ears(database, port):
            pytest.fail("it listens")
