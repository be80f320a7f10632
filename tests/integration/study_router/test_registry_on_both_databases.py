"""Changes of the registry at the same moment, on SQLite and PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from integration.study_router.routing import DEVICE, MANIFEST, NOON, SOMEBODY, Routing
from study_router.adapters.manifests import KeepingManifests
from study_router.domain.registry import DeviceVersion
from study_router.usecases.registering import AddArchive, AlreadyRegisteredError, RegisterDevice, SuspendDevice
from udckit.database import Database
from udckit.errors import DeniedError, InvalidRequestError
from udckit.security.identity import acting_as
from udcmodel.grant import Certificate
from udcmodel.ids import digest_of

pytestmark = pytest.mark.connected

ROUNDS = 10
RENEWED = Certificate(
    number="РЗН 2099/2",
    valid_from=NOON,
    valid_until=NOON + timedelta(days=90),
    versions=("1.0.0",),
    holder="",
    source="",
    checked_at=NOON,
)


@pytest.fixture
async def routing(database: Database) -> Routing:
    """A router with one archive, the reference device and one attachment."""
    routing = Routing(database)
    await routing.ready()
    return routing


async def device(routing: Routing) -> DeviceVersion:
    known = await routing.store.read(lambda transaction: transaction.registry.device(DEVICE, "1.0.0"))
    assert known is not None
    return known


async def certify(routing: Routing, certificate: Certificate, *, may_certify: bool = True) -> None:
    register = RegisterDevice(
        store=routing.store,
        put=routing.put,
        put_case=routing.put_case,
        has_case=routing.has_case,
        compiler=routing.rules.compiler,
        clock=routing.clock,
    )
    await register(
        manifest_yaml=MANIFEST.read_bytes(),
        model_digest=digest_of(b"model"),
        certificate=certificate,
        may_certify=may_certify,
    )


async def test_a_suspension_is_not_undone_by_a_certificate_of_the_same_moment(routing: Routing) -> None:
    suspend = SuspendDevice(store=routing.store, clock=routing.clock)
    with acting_as(SOMEBODY):
        for number in range(ROUNDS):
            certificate = replace(RENEWED, number=f"РЗН 2099/{number}")
            is_suspended = number % 2 == 0
            await asyncio.gather(
                certify(routing, certificate),
                suspend(device=DEVICE, version="1.0.0", is_suspended=is_suspended, reason="wrong findings"),
            )
            known = await device(routing)
            assert (known.is_suspended, known.certificate) == (is_suspended, certificate)


async def test_a_vendor_changes_no_certificate_of_a_version_that_may_be_at_work(routing: Routing) -> None:
    before = await device(routing)
    assert before.certificate is not None
    with acting_as(SOMEBODY):
        with pytest.raises(DeniedError, match="only an administrator of the region"):
            await certify(routing, RENEWED, may_certify=False)
        await certify(routing, before.certificate, may_certify=False)
        assert await device(routing) == before
        await certify(routing, RENEWED)
    assert (await device(routing)).certificate == RENEWED


async def test_of_two_contents_of_one_version_at_the_same_moment_one_is_registered(routing: Routing) -> None:
    for number in range(ROUNDS):
        manifest = MANIFEST.read_bytes().replace(b"version: 1.0.0", f"version: 2.0.{number}".encode())
        models = [f"model {number} {which}".encode() for which in range(2)]
        results = await asyncio.gather(
            *(routing.register(manifest=manifest, model=model) for model in models), return_exceptions=True
        )
        [refused] = [item for item in results if isinstance(item, BaseException)]
        assert isinstance(refused, AlreadyRegisteredError)


async def test_two_changes_of_an_attachment_at_the_same_moment_are_two_revisions(routing: Routing) -> None:
    for number in range(ROUNDS):
        changed = await asyncio.gather(*(routing.attach(deadline_s=1000 + 2 * number + which) for which in range(2)))
        assert sorted(item.revision for item in changed) == [2 * number + 2, 2 * number + 3]


async def test_the_manifest_of_every_version_is_put_again_from_time_to_time(routing: Routing) -> None:
    put: list[bytes] = []

    async def again(content: bytes) -> str:
        put.append(content)
        return digest_of(content)

    await KeepingManifests(store=routing.store, put=again, every_s=0.0).keep()
    known = await device(routing)
    assert (put, digest_of(put[0])) == ([known.manifest], known.manifest_digest)


@pytest.mark.parametrize("url", ["http://user:password@archive/dicom-web", "https://user@archive"])
async def test_an_address_of_an_archive_has_no_password_in_it(routing: Routing, url: str) -> None:
    known = await routing.store.read(lambda transaction: transaction.registry.archive("hospital"))
    add = AddArchive(store=routing.store, clock=routing.clock)
    with pytest.raises(InvalidRequestError, match="must not have a password in it"):
        await add(replace(known, dicomweb_url=url))
    with pytest.raises(InvalidRequestError, match="must not have a password in it"):
        await add(replace(known, orthanc_url=url))
