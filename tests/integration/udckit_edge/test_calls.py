"""Calls between real servers and clients over mutual TLS: errors, deadlines, streams."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]  # generated, without types
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # generated, without types
from grpc import aio

from udckit import deadline
from udckit.errors import (
    ConflictError,
    DeniedError,
    InternalError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PreconditionError,
    ServiceError,
    TimedOutError,
    UnauthenticatedError,
    UpstreamUnavailableError,
)
from udckit.grpc_errors import raised_by
from udckit.security.identity import Service

from .conftest import Region
from .sample_service import SampleStub


class JobOverError(PreconditionError):
    """An error as a service defines for itself."""

    reason = "JOB_IS_OVER"


def raising(error: Exception) -> Any:
    def answer(_text: str) -> str:
        raise error

    return answer


async def letters(*texts: str) -> AsyncIterator[StringValue]:
    for text in texts:
        yield StringValue(value=text)


async def by_each_kind(stub: SampleStub) -> dict[str, object]:
    """Make one call of each kind and return its answers, or the error it raised."""

    async def one(call: Any) -> object:
        try:
            return (await call).value
        except ServiceError as error:
            return error

    async def many(stream: Any) -> object:
        try:
            return [message.value async for message in stream]
        except ServiceError as error:
            return error

    answered = asyncio.Event()

    async def dialogue() -> AsyncIterator[StringValue]:
        # Nothing is on its way while the server answers: else grpc.aio may lose the status with which it refuses.
        yield StringValue(value="a")
        await answered.wait()
        yield StringValue(value="b")

    async def echoed() -> AsyncIterator[StringValue]:
        try:
            async for message in stub.Echo(dialogue()):
                answered.set()
                yield message
        finally:
            answered.set()

    return {
        "Say": await one(stub.Say(StringValue(value="ab"))),
        "Count": await many(stub.Count(StringValue(value="ab"))),
        "Join": await one(stub.Join(letters("a", "b"))),
        "Echo": await many(echoed()),
    }


async def test_every_kind_of_call_is_answered(region: Region) -> None:
    assert await by_each_kind(region.stub()) == {"Say": "AB", "Count": ["A", "B"], "Join": "AB", "Echo": ["A", "B"]}


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequestError("slope is 0"),
        NotFoundError("there is no job 5f", job="5f", known=12, age_s=0.5),
        PreconditionError("the job has ended"),
        ConflictError("somebody changed it"),
        OverloadedError("the queue is full"),
        UpstreamUnavailableError("the archive is away"),
        TimedOutError("no answer in time"),
        UnauthenticatedError("who are you"),
        DeniedError("not you"),
        JobOverError("job 5f was canceled", job="5f"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_the_caller_of_every_kind_of_call_gets_the_error_that_was_raised(
    region: Region, error: ServiceError
) -> None:
    region.sample.answer = raising(error)

    for raised in (await by_each_kind(region.stub())).values():
        assert type(raised) is type(error)
        assert isinstance(raised, ServiceError)
        assert (raised.reason, raised.message) == (error.reason, error.message)
        assert raised.facts == {name: str(fact) for name, fact in error.facts.items()}


async def test_a_reason_without_a_class_here_comes_back_in_the_class_of_its_kind(region: Region) -> None:
    # As if the class lived in the other service only.
    error = PreconditionError("tilted by 12 degrees")
    vars(error)["reason"] = "TILT_REFUSED"
    region.sample.answer = raising(error)

    with pytest.raises(PreconditionError, match="tilted by 12 degrees") as raised:
        await region.stub().Say(StringValue())

    assert raised.value.reason == "TILT_REFUSED"
    assert PreconditionError.reason == "FAILED_PRECONDITION"


@pytest.mark.parametrize("error", [ValueError("Ivanov^Ivan"), InternalError("Ivanov^Ivan"), KeyError("Ivanov^Ivan")])
async def test_of_a_bug_the_caller_learns_nothing(region: Region, error: Exception) -> None:
    region.sample.answer = raising(error)

    for raised in (await by_each_kind(region.stub())).values():
        assert isinstance(raised, InternalError)
        assert raised.message == "internal error"
        assert raised.facts == {}


async def test_a_stranger_to_our_client_gets_a_standard_status_with_error_info(region: Region) -> None:
    region.sample.answer = raising(NotFoundError("нет задания 5f", job="5f"))
    credentials = region.installation.tls_of(Service.RESULT_ARCHIVER).channel_credentials()

    async with aio.secure_channel(region.address, credentials) as channel:
        with pytest.raises(aio.AioRpcError) as raised:
            await SampleStub(channel).Say(StringValue(), timeout=5)

    assert (raised.value.code(), raised.value.details()) == (grpc.StatusCode.NOT_FOUND, "нет задания 5f")
    [details] = [value for name, value in raised.value.trailing_metadata() if name == "grpc-status-details-bin"]
    status, info = Status.FromString(details), ErrorInfo()
    assert (status.code, status.message) == (5, "нет задания 5f")
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain, dict(info.metadata)) == ("NOT_FOUND", "udc", {"job": "5f"})


async def test_a_long_list_of_complaints_arrives_whole(region: Region) -> None:
    complaints = "; ".join(f"строка {number}: неизвестный ключ" for number in range(120))
    region.sample.answer = raising(InvalidRequestError(complaints))

    with pytest.raises(InvalidRequestError) as raised:
        await region.stub().Say(StringValue())

    assert raised.value.message == complaints


async def test_a_call_without_a_deadline_is_refused_and_a_stream_is_not(region: Region) -> None:
    credentials = region.installation.tls_of(Service.RESULT_ARCHIVER).channel_credentials()

    async with aio.secure_channel(region.address, credentials) as channel:
        with pytest.raises(aio.AioRpcError) as raised:
            await SampleStub(channel).Say(StringValue())
        counted = [message.value async for message in SampleStub(channel).Count(StringValue(value="ab"))]

    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "without a deadline" in (raised.value.details() or "")
    assert counted == ["A", "B"]


async def test_an_unknown_method_is_unimplemented(region: Region) -> None:
    with pytest.raises(InternalError, match="UNIMPLEMENTED"):
        await region.stub().Missing(StringValue())


async def test_a_call_that_takes_too_long_ends_on_both_sides(region: Region) -> None:
    left = asyncio.Event()

    async def slowly() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            left.set()

    region.sample.answer = lambda _text: slowly()

    with pytest.raises(TimedOutError, match="Say did not answer in time"):
        await region.stub().Say(StringValue(), timeout=0.2)

    async with asyncio.timeout(5):
        await left.wait()


async def test_what_a_handler_calls_gets_the_time_its_caller_left(region: Region) -> None:
    async def remaining() -> str:
        return f"{deadline.within(60.0):.1f}"

    region.sample.answer = lambda _text: remaining()

    answer = await region.stub().Say(StringValue(), timeout=3)

    assert 2.0 < float(answer.value) < 3.1


async def test_a_call_made_for_another_call_does_not_outlive_it(region: Region) -> None:
    region.sample.answer = lambda _text: asyncio.sleep(60)

    with deadline.allowing(0.3), pytest.raises(TimedOutError):
        await region.stub().Say(StringValue(), timeout=30)


async def test_a_client_that_goes_away_ends_the_stream_and_the_handler_is_left(region: Region) -> None:
    left = asyncio.Event()

    async def slowly() -> str:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            left.set()
            raise
        return "x"

    region.sample.answer = lambda _text: slowly()
    answers = region.stub().Count(StringValue(value="a" * 1000))
    assert (await anext(answers)).value == "x"

    await answers.aclose()

    async with asyncio.timeout(5):
        await left.wait()


async def test_a_call_under_which_the_channel_is_closed_does_not_look_like_a_cancelled_task(region: Region) -> None:
    asked = asyncio.Event()

    async def slowly() -> str:
        asked.set()
        await asyncio.sleep(60)
        return ""

    region.sample.answer = lambda _text: slowly()
    channel = region.channel()
    running = asyncio.create_task(SampleStub(channel).Say(StringValue()))
    await asked.wait()

    await channel.close()

    with pytest.raises(UpstreamUnavailableError, match="was cut off"):
        await running


async def test_a_cancelled_caller_is_cancelled(region: Region) -> None:
    region.sample.answer = lambda _text: asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await region.stub().Say(StringValue())


def test_a_status_that_grpc_lost_is_not_taken_for_a_bug_of_the_other_side() -> None:
    lost = aio.AioRpcError(grpc.StatusCode.INTERNAL, aio.Metadata(), aio.Metadata(), "Internal error from Core")

    assert isinstance(raised_by(lost, method="udc.sample.v1.Sample/Echo"), UpstreamUnavailableError)


async def test_where_nothing_listens_the_caller_is_told_so(region: Region) -> None:
    region.address = "127.0.0.1:1"

    with pytest.raises(UpstreamUnavailableError, match=r"udc\.sample\.v1\.Sample cannot be reached"):
        await region.stub().Say(StringValue(), timeout=5)


async def test_a_service_that_is_too_busy_to_shake_hands_at_once_is_reached(region: Region) -> None:
    host, _, port = region.address.rpartition(":")

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65_536):
            writer.write(chunk)
        writer.close()

    async def hesitate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2.0)
        upstream = await asyncio.open_connection(host, int(port))
        await asyncio.gather(copy(reader, upstream[1]), copy(upstream[0], writer), return_exceptions=True)

    async with await asyncio.start_server(hesitate, "127.0.0.1") as busy:
        region.address = "{}:{}".format(*busy.sockets[0].getsockname())
        async with region.channel() as channel:
            assert (await SampleStub(channel).Say(StringValue(value="a"), timeout=8)).value
