"""The life of a service as a real process: start, readiness, drain, and failing with one sentence."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from udckit.errors import PreconditionError, UpstreamUnavailableError
from udckit.grpc_client import open_channel
from udckit.runtime import Readiness, serving
from udckit.security.identity import Service
from udckit.security.installation import Installation
from udckit.testing.ports import ReservedPorts

from .conftest import settings_of
from .sample_service import Sample, SampleStub, Settings

PROGRAM = """
import asyncio, sys
from contextlib import asynccontextmanager
sys.path.insert(0, sys.argv[1])
from sample_service import RULES, Sample, Settings
from udckit.errors import PreconditionError
from udckit.runtime import run

@asynccontextmanager
async def lifespan(settings, server, readiness):
    async def slowly():
        print("asked", flush=True)
        await asyncio.sleep(0.5)
        return "done"
    Sample(answer=lambda text: slowly() if text else "").add_to(server)
    async def breaking():
        raise PreconditionError("the feed broke")
    async with asyncio.TaskGroup() as tasks:
        {setup}
        yield
    print("closed", flush=True)

run(Settings.from_environment(), lifespan, rules=RULES)
"""


class Process:
    """A service in a process of its own."""

    def __init__(self, directory: Path, installation: Installation, *, setup: str = "pass", **settings: str) -> None:
        tls = installation.tls_of(Service.STUDY_ROUTER)
        given = {
            "region": "r77",
            "database_url": "sqlite:///unused.db",
            "objects_url": "file:///unused",
            "nats_url": "tls://unused:4222",
            "tls_ca": str(tls.ca),
            "tls_cert": str(tls.cert),
            "tls_key": str(tls.key),
            "address_file": str(directory / "address"),
            "trace_file": str(directory / "spans.jsonl"),
            "grace_s": "5",
            **settings,
        }
        self.installation = installation
        self.address_file = directory / "address"
        self.trace_file = directory / "spans.jsonl"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SAMPLE_SERVICE_")},
            **{f"SAMPLE_SERVICE_{name.upper()}": value for name, value in given.items() if value},
        }
        self._program = directory / "program.py"
        self._program.write_text(PROGRAM.replace("{setup}", setup))
        self.process: asyncio.subprocess.Process

    async def __aenter__(self) -> "Process":
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(self._program),
            str(Path(__file__).parent),
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def address(self) -> str:
        async with asyncio.timeout(20):
            while not self.address_file.exists():
                if self.process.returncode is not None:
                    pytest.fail((await self.ended())[2])
                await asyncio.sleep(0.05)
        return self.address_file.read_text().strip()

    async def stub(self) -> SampleStub:
        return SampleStub(self.channel(await self.address()))

    def channel(self, address: str) -> Any:
        return open_channel(address, tls=self.installation.tls_of(Service.RESULT_ARCHIVER))

    async def says(self, word: str) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(10):
            assert (await self.process.stdout.readline()).decode().strip() == word

    async def ended(self) -> tuple[int | None, str, str]:
        async with asyncio.timeout(20):
            output, errors = await self.process.communicate()
        return self.process.returncode, output.decode(), errors.decode()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "process"
    path.mkdir()
    return path


async def test_sigterm_lets_running_calls_finish_refuses_new_ones_and_closes_in_order(
    directory: Path, installation: Installation
) -> None:
    async with Process(directory, installation) as service:
        stub = await service.stub()
        address = await service.address()
        running = asyncio.create_task(stub.Say(StringValue(value="slow")))
        await service.says("asked")

        service.process.send_signal(signal.SIGTERM)
        assert (await running).value == "done"
        code, output, errors = await service.ended()

        with pytest.raises(UpstreamUnavailableError):
            await SampleStub(service.channel(address)).Say(StringValue(), timeout=2)
    assert (code, output.split()) == (0, ["closed"])
    events = [json.loads(line)["event"] for line in errors.splitlines()]
    assert events.index("service.started") < events.index("service.stopping") < events.index("service.stopped")


async def test_the_span_of_a_call_is_a_child_of_its_caller_and_is_written_before_the_end(
    directory: Path, installation: Installation
) -> None:
    async with Process(directory, installation) as service:
        stub = await service.stub()
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        await stub.Say(StringValue(value="slow"), metadata=(("traceparent", parent),))
        service.process.send_signal(signal.SIGTERM)
        await service.ended()
    [span] = [json.loads(line) for line in service.trace_file.read_text().splitlines()]

    assert (span["name"], span["kind"]) == ("udc.sample.v1.Sample/Say", "SERVER")
    assert (span["trace_id"], span["parent_id"]) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    assert (span["service"], span["region"]) == ("sample-service", "r77")
    assert span["attributes"]["rpc.method"] == "Say"


async def test_a_collector_that_is_away_does_not_hold_up_the_end(directory: Path, installation: Installation) -> None:
    async with Process(directory, installation, otlp_endpoint="http://127.0.0.1:1") as service:
        await (await service.stub()).Say(StringValue(value="slow"))
        service.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            code, _, _ = await service.ended()

    assert code == 0


async def test_a_second_signal_ends_it_at_once(directory: Path, installation: Installation) -> None:
    async with Process(directory, installation, grace_s="60") as service:
        stub = await service.stub()
        running = asyncio.create_task(stub.Say(StringValue(value="slow")))
        await service.says("asked")
        service.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.1)
        service.process.send_signal(signal.SIGTERM)

        code, _, _ = await service.ended()

        with pytest.raises(UpstreamUnavailableError):
            await running
    assert code == -signal.SIGTERM


@pytest.mark.parametrize(
    ("settings", "setup", "sentence"),
    [
        ({"region": ""}, "pass", "cannot start: SAMPLE_SERVICE_REGION: field required"),
        (
            {"grcp_port": "1"},
            "pass",
            "cannot start: the variable SAMPLE_SERVICE_GRCP_PORT names no setting; the closest is"
            " SAMPLE_SERVICE_GRPC_PORT",
        ),
        ({"tls_key": "/nowhere/tls.key"}, "pass", "sample-service stopped: cannot read /nowhere/tls.key"),
        (
            {},
            "raise PreconditionError('another process has the database')",
            "sample-service stopped: another process has the database",
        ),
        ({}, "raise OSError(28, 'No space left')", "sample-service stopped: OSError: [Errno 28] No space left"),
        ({}, "int('Ivanov')", "sample-service stopped: ValueError; the log line before this one says where"),
    ],
    ids=["missing setting", "misspelt setting", "no certificate", "ours", "the operating system's", "a stranger's"],
)
async def test_a_start_that_fails_says_why_in_its_last_line(
    directory: Path, installation: Installation, settings: Mapping[str, str], setup: str, sentence: str
) -> None:
    async with Process(directory, installation, setup=setup, **settings) as service:
        code, _, errors = await service.ended()

    assert code == 1
    assert errors.splitlines()[-1].startswith(sentence)
    assert "Traceback" not in errors
    assert "Ivanov" not in errors
    assert not service.address_file.exists()


async def test_a_task_of_the_service_that_dies_ends_the_service(directory: Path, installation: Installation) -> None:
    setup = "tasks.create_task(slowly()).add_done_callback(lambda _: tasks.create_task(breaking()))"
    async with Process(directory, installation, setup=setup) as service:
        await service.address()
        code, _, errors = await service.ended()

    assert code == 1
    assert errors.splitlines()[-1] == "sample-service stopped: the feed broke"


async def test_two_servers_do_not_share_a_port(installation: Installation) -> None:
    @asynccontextmanager
    async def lifespan(_settings: Settings, _server: aio.Server, _readiness: Readiness) -> AsyncIterator[None]:
        yield

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PreconditionError, match="cannot listen on 127"):
            async with serving(settings_of(installation, grpc_port=port), lifespan):
                pass
    async with serving(settings_of(installation, grpc_port=port), lifespan):
        with pytest.raises(PreconditionError, match="cannot listen on 127"):
            async with serving(settings_of(installation, grpc_port=port), lifespan):
                pass


async def test_readiness_follows_its_conditions_and_life_does_not(installation: Installation) -> None:
    health = health_pb2.HealthCheckResponse

    @asynccontextmanager
    async def lifespan(_settings: Settings, server: aio.Server, readiness: Readiness) -> AsyncIterator[None]:
        Sample().add_to(server)
        readiness.block("nats", "the broker is away")
        yield

    async with serving(settings_of(installation), lifespan) as (address, readiness):
        stub = health_pb2_grpc.HealthStub(
            open_channel(address, tls=installation.tls_of(Service.CLI), service="study-router")
        )
        assert (readiness.is_ready, readiness.reasons) == (False, {"nats": "the broker is away"})
        states = stub.Watch(health_pb2.HealthCheckRequest(service="readiness"), timeout=10)
        assert (await anext(states)).status == health.NOT_SERVING

        readiness.block("archive", "no answer")
        readiness.clear("nats")
        assert readiness.reasons == {"archive": "no answer"}
        readiness.clear("archive")
        assert (await anext(states)).status == health.SERVING

        readiness.block("archive", "no answer again")
        assert (await anext(states)).status == health.NOT_SERVING
        assert (await stub.Check(health_pb2.HealthCheckRequest())).status == health.SERVING
        await states.aclose()


async def test_probes_without_a_certificate_see_health_and_nothing_else(installation: Installation) -> None:
    @asynccontextmanager
    async def lifespan(_settings: Settings, server: aio.Server, _readiness: Readiness) -> AsyncIterator[None]:
        Sample().add_to(server)
        yield

    with ReservedPorts(1) as ports:
        [port] = ports
        async with (
            serving(settings_of(installation, health_port=port), lifespan),
            aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            request = health_pb2.HealthCheckRequest(service="readiness")
            answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            with pytest.raises(aio.AioRpcError, match="UNIMPLEMENTED"):
                await SampleStub(channel).Say(StringValue(), timeout=5)
