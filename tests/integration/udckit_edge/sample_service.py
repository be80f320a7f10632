"""A service with one method of each kind and of each scope, and the stub that a generator would make for it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import StringValue
from grpc import aio
from pydantic_settings import SettingsConfigDict

from udc.router.v1.archives_pb2 import Archive
from udckit.security.authorization import Rule, Scope
from udckit.security.identity import Role, Service, current_identity
from udckit.settings import ServiceSettings


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="SAMPLE_SERVICE_")


RULES = (
    *(
        Rule(
            method=f"udc.sample.v1.Sample/{method}",
            services=frozenset({Service.RESULT_ARCHIVER}),
            roles=frozenset({Role.OPERATOR}),
            scope=Scope.NONE,
        )
        for method in ("Say", "Count", "Join", "Echo")
    ),
    Rule(method="udc.sample.v1.Sample/OfRegion", roles=frozenset({Role.OPERATOR}), scope=Scope.REGION),
    Rule(method="udc.sample.v1.Sample/OfOne", roles=frozenset({Role.OPERATOR}), scope=Scope.ORGANISATION),
    Rule(method="udc.sample.v1.Sample/OfNobody", roles=frozenset({Role.OPERATOR}), scope=Scope.ORGANISATION),
)

Answer = Callable[[str], Any]


@dataclass
class Sample:
    """A service whose methods do what the test puts into ``answer``; four kinds, and three scopes."""

    answer: Answer = str.upper
    asked_by: list[str] = field(default_factory=list)

    async def _say(self, text: str) -> StringValue:
        self.asked_by.append(current_identity().actor)
        answer = self.answer(text)
        if asyncio.iscoroutine(answer):
            answer = await answer
        return StringValue(value=answer)

    async def say(self, request: StringValue, _context: Any) -> StringValue:
        return await self._say(request.value)

    async def of(self, request: Archive, _context: Any) -> StringValue:
        return await self._say(request.organisation)

    async def count(self, request: StringValue, _context: Any) -> AsyncIterator[StringValue]:
        for letter in request.value:
            yield await self._say(letter)

    async def join(self, requests: AsyncIterator[StringValue], _context: Any) -> StringValue:
        return await self._say("".join([request.value async for request in requests]))

    async def echo(self, requests: AsyncIterator[StringValue], _context: Any) -> AsyncIterator[StringValue]:
        async for request in requests:
            yield await self._say(request.value)

    def add_to(self, server: aio.Server) -> None:
        def kind(make: Any, behaviour: Any, request: Any = StringValue) -> Any:
            return make(
                behaviour,
                request_deserializer=request.FromString,
                response_serializer=StringValue.SerializeToString,
            )

        handlers = {
            "Say": kind(grpc.unary_unary_rpc_method_handler, self.say),
            "Unlisted": kind(grpc.unary_unary_rpc_method_handler, self.say),
            "OfRegion": kind(grpc.unary_unary_rpc_method_handler, self.say),
            "OfOne": kind(grpc.unary_unary_rpc_method_handler, self.of, Archive),
            "OfNobody": kind(grpc.unary_unary_rpc_method_handler, self.say),
            "Count": kind(grpc.unary_stream_rpc_method_handler, self.count),
            "Join": kind(grpc.stream_unary_rpc_method_handler, self.join),
            "Echo": kind(grpc.stream_stream_rpc_method_handler, self.echo),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("udc.sample.v1.Sample", handlers),))


class SampleStub:
    """What a generated stub would be."""

    def __init__(self, channel: Any) -> None:
        def of(make: Any, method: str, request: Any = StringValue) -> Any:
            return make(
                f"/udc.sample.v1.Sample/{method}",
                request_serializer=request.SerializeToString,
                response_deserializer=StringValue.FromString,
            )

        self.Say = of(channel.unary_unary, "Say")
        self.Unlisted = of(channel.unary_unary, "Unlisted")
        self.Missing = of(channel.unary_unary, "Missing")
        self.OfRegion = of(channel.unary_unary, "OfRegion")
        self.OfOne = of(channel.unary_unary, "OfOne", Archive)
        self.OfNobody = of(channel.unary_unary, "OfNobody")
        self.Count = of(channel.unary_stream, "Count")
        self.Join = of(channel.stream_unary, "Join")
        self.Echo = of(channel.stream_stream, "Echo")
