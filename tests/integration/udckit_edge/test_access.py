"""Who gets in, and who may call what."""

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from udc.router.v1.archives_pb2 import Archive
from udckit.clock import SystemClock
from udckit.errors import (
    DeniedError,
    InvalidRequestError,
    UnauthenticatedError,
    UpstreamUnavailableError,
)
from udckit.grpc_client import open_channel
from udckit.security.ca import Authority
from udckit.security.identity import Role, Service
from udckit.security.installation import install

from .conftest import HOSPITAL, REGION, Region
from .sample_service import SampleStub

HELLO = StringValue(value="hello")
ELSEWHERE = "1.2.643.5.1.13.13.12.2.77.7802"


class SetClock:
    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


async def test_a_service_named_by_the_rule_is_let_in_and_the_handler_knows_it(region: Region) -> None:
    await region.stub(Service.RESULT_ARCHIVER).Say(HELLO)

    assert region.sample.asked_by == ["service/result-archiver"]


async def test_a_person_with_the_role_is_let_in_and_the_handler_knows_whom(region: Region) -> None:
    await region.as_person().Say(HELLO)

    assert region.sample.asked_by == ["person/p-5f0c"]


@pytest.mark.parametrize("service", [each for each in Service if each not in {Service.RESULT_ARCHIVER, Service.CLI}])
async def test_every_other_service_is_refused(region: Region, service: Service) -> None:
    with pytest.raises(DeniedError, match=f"no service {service} may call it"):
        await region.stub(service).Say(HELLO)

    assert region.sample.asked_by == []


@pytest.mark.parametrize("role", [each for each in Role if each is not Role.OPERATOR])
async def test_every_other_role_is_refused(region: Region, role: Role) -> None:
    with pytest.raises(DeniedError, match="none of your roles"):
        await region.as_person(roles=[role]).Say(HELLO)


async def test_a_method_without_a_rule_is_refused_to_everybody(region: Region) -> None:
    everyone = [region.stub(service) for service in Service if service is not Service.CLI]
    everyone.append(region.as_person(roles=list(Role), organisations=["*"]))

    for stub in everyone:
        with pytest.raises(DeniedError, match="no rule names it"):
            await stub.Unlisted(HELLO)
    assert region.sample.asked_by == []


async def test_refusal_reaches_all_kinds_of_calls(region: Region) -> None:
    stub = region.stub(Service.MODEL_SERVING)

    refused = asyncio.Event()

    async def silence() -> Any:
        # Nothing is on its way while the server refuses: else grpc.aio may lose the status.
        await refused.wait()
        yield HELLO

    for call in (stub.Say(HELLO), stub.Join(silence())):
        with pytest.raises(DeniedError):
            await call
    for stream in (stub.Count(HELLO), stub.Echo(silence())):
        with pytest.raises(DeniedError):
            await anext(stream)
    refused.set()
    assert region.sample.asked_by == []


@pytest.mark.parametrize(
    ("organisations", "asked", "is_let_in"),
    [
        ([HOSPITAL], HOSPITAL, True),
        ([HOSPITAL, ELSEWHERE], ELSEWHERE, True),
        (["*"], ELSEWHERE, True),
        (["*"], "", True),
        ([HOSPITAL], ELSEWHERE, False),
        ([HOSPITAL], "", False),
        ([HOSPITAL], "*", False),
        ([HOSPITAL], HOSPITAL + "1", False),
    ],
)
async def test_a_person_asks_for_their_own_organisations_only(
    region: Region, organisations: list[str], asked: str, is_let_in: bool
) -> None:
    call = region.as_person(organisations=organisations).OfOne(Archive(organisation=asked))

    if is_let_in:
        await call
    else:
        with pytest.raises(DeniedError, match="you do not act for this organisation"):
            await call


async def test_what_reaches_the_whole_region_needs_all_organisations(region: Region) -> None:
    await region.as_person(organisations=["*"]).OfRegion(HELLO)
    with pytest.raises(DeniedError, match="you act for some only"):
        await region.as_person(organisations=[HOSPITAL]).OfRegion(HELLO)


async def test_a_rule_about_a_field_that_the_request_lacks_opens_nothing(region: Region) -> None:
    with pytest.raises(DeniedError, match="names no organisation"):
        await region.as_person(organisations=["*"]).OfNobody(HELLO)


async def test_the_command_line_has_no_rights_of_its_own(region: Region) -> None:
    with pytest.raises(UnauthenticatedError, match="log in"):
        await region.stub(Service.CLI).Say(HELLO)


async def test_a_service_does_not_speak_for_a_person(region: Region) -> None:
    with pytest.raises(UnauthenticatedError, match="does not carry a token"):
        await region.stub(Service.RESULT_ARCHIVER, token=region.token()).Say(HELLO)


async def test_an_expired_token_and_one_of_another_region_are_refused(region: Region) -> None:
    yesterday = SetClock(datetime.now(UTC) - timedelta(days=1))

    with pytest.raises(UnauthenticatedError, match="expired"):
        await region.as_person(clock=yesterday).Say(HELLO)
    with pytest.raises(UnauthenticatedError, match="for region r50"):
        await region.as_person(region="r50").Say(HELLO)


async def test_without_a_certificate_nobody_gets_in(region: Region) -> None:
    ca = (region.installation.directory / "ca.crt").read_bytes()
    tls_without_certificate = aio.secure_channel(region.address, grpc.ssl_channel_credentials(ca))
    plain = aio.insecure_channel(region.address)

    for channel in (tls_without_certificate, plain):
        async with channel:
            with pytest.raises(aio.AioRpcError) as raised:
                await SampleStub(channel).Say(HELLO, timeout=5)
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert region.sample.asked_by == []


async def test_a_certificate_of_another_authority_does_not_get_in(region: Region, tmp_path: Path) -> None:
    stranger, _ = install(tmp_path / "stranger", region=REGION, clock=SystemClock())
    stranger_tls = stranger.tls_of(Service.RESULT_ARCHIVER)
    # It believes our authority, but its own certificate is its own.
    shutil.copy(region.installation.directory / "ca.crt", stranger_tls.ca)

    async with open_channel(region.address, tls=stranger_tls) as channel:
        with pytest.raises(UpstreamUnavailableError):
            await SampleStub(channel).Say(HELLO, timeout=5)


async def test_a_client_does_not_talk_to_a_server_of_another_authority(region: Region, tmp_path: Path) -> None:
    stranger, _ = install(tmp_path / "stranger", region=REGION, clock=SystemClock())

    async with open_channel(region.address, tls=stranger.tls_of(Service.RESULT_ARCHIVER)) as channel:
        with pytest.raises(UpstreamUnavailableError):
            await SampleStub(channel).Say(HELLO, timeout=5)


async def test_a_certificate_of_another_region_is_refused_even_if_its_authority_is_believed(region: Region) -> None:
    directory = region.installation.directory
    foreign = Authority(directory, "r50", SystemClock()).issue(Service.RESULT_ARCHIVER, hosts=["localhost"])

    async with open_channel(region.address, tls=foreign) as channel:
        with pytest.raises(UnauthenticatedError, match="for region r50"):
            await SampleStub(channel).Say(HELLO)


async def test_a_caller_that_names_the_service_it_wants_is_not_answered_by_another(region: Region) -> None:
    async with open_channel(
        region.address, tls=region.installation.tls_of(Service.RESULT_ARCHIVER), service="study-router"
    ) as channel:
        assert (await SampleStub(channel).Say(HELLO)).value == "HELLO"
    async with open_channel(
        region.address, tls=region.installation.tls_of(Service.RESULT_ARCHIVER), service="model-serving"
    ) as channel:
        with pytest.raises(UpstreamUnavailableError):
            await SampleStub(channel).Say(HELLO, timeout=5)


async def test_health_is_told_to_every_certificate(region: Region) -> None:
    stub = health_pb2_grpc.HealthStub(region.channel(Service.CLI))

    alive = await stub.Check(health_pb2.HealthCheckRequest())
    ready = await stub.Check(health_pb2.HealthCheckRequest(service="readiness"))

    assert alive.status == ready.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_renewed_certificate_is_used_by_both_sides_without_a_restart(region: Region) -> None:
    channel = region.channel()
    stub = SampleStub(channel)
    await stub.Say(HELLO)

    # A new authority: from now on only those who have seen both renewals can talk to each other.
    shutil.rmtree(region.installation.directory)
    install(region.installation.directory, region=REGION, clock=SystemClock())

    assert (await stub.Say(HELLO)).value == "HELLO"
    assert (await region.stub().Say(HELLO)).value == "HELLO"


async def test_a_half_written_renewal_changes_nothing(region: Region) -> None:
    stub = region.stub()
    await stub.Say(HELLO)
    for service in (Service.STUDY_ROUTER, Service.RESULT_ARCHIVER):
        region.installation.tls_of(service).key.write_bytes(b"-----BEGIN PRIVATE")

    assert (await stub.Say(HELLO)).value == "HELLO"
    assert (await region.stub(Service.CLI, token=region.token()).Say(HELLO)).value == "HELLO"


async def test_a_connection_does_not_outlive_the_certificate_it_was_opened_with(region: Region) -> None:
    authority = Authority(region.installation.directory, REGION, SystemClock())
    tls = authority.issue(Service.RESULT_ARCHIVER, hosts=["localhost"], lifetime=timedelta(seconds=2))

    async with open_channel(region.address, tls=tls) as channel:
        stub = SampleStub(channel)
        assert (await stub.Say(HELLO)).value == "HELLO"
        await asyncio.sleep(2)
        with pytest.raises(UnauthenticatedError, match="has expired"):
            await stub.Say(HELLO)


async def test_files_that_are_no_pair_are_refused_by_name(region: Region) -> None:
    tls = region.installation.tls_of(Service.CLI)
    shutil.copy(region.installation.tls_of(Service.NATS).key, tls.key)

    with pytest.raises(InvalidRequestError, match=r"tls\.key is not the key of .*tls\.crt"):
        open_channel(region.address, tls=tls)
