"""A worker is frozen or tells too late, a device hangs or changes its mind: it costs time alone."""

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from e2e.watching import until_dead
from faults.devices import Device, attach, fickle
from faults.jobs import archived_digests, inferred_digests, is_running, jobs_of, until
from faults.region_under_fault import DEVICE, RegionUnderFault
from faults.regions import add_archive, running
from region.models import DEVICES
from region.service import ServiceProcess
from region.stack import POOL, REGION, Region
from udc.events.v1 import job_pb2
from udc.router.v1 import jobs_pb2
from udckit.security.identity import Service
from udckit.testing.process import ServerFailedError

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

SLOW = "slow-device"
SLOW_DEADLINE_S = 10
FICKLE = "fickle-device"
HUNG = "hung-device"
HUNG_TIMEOUT_S = 15
NOISE_S = 7.0
"""What two measurements of the same may differ by on a busy machine; much less than ``HUNG_TIMEOUT_S``."""
SETTINGS = {
    "STUDY_ROUTER_MAX_ATTEMPTS": "2",
    "STUDY_ROUTER_ATTEMPT_BACK_OFF_S": "[1.0]",
    "MODEL_SERVING_CANARY_S": "6",
    # What a run tells are its start and its result alone, so that it is known which comes second.
    "MODEL_SERVING_PROGRESS_S": "600",
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in which the fickle device notes each probability that it answers for a patient."""
    return tmp_path_factory.mktemp("answers") / "probabilities.txt"


@pytest.fixture(scope="module")
def under_fault(tmp_path_factory: pytest.TempPathFactory, answers: Path) -> Iterator[RegionUnderFault]:
    """A region with a device that works, one that is slow, one that is fickle and one that hangs."""
    made = {
        Device(name=SLOW, behaviour="time.sleep(4.0)\nreturn 0.75"): SLOW_DEADLINE_S,
        fickle(FICKLE, answers): 390,
        Device(name=HUNG, behaviour="time.sleep(100_000.0)\nreturn 0.75", timeout_s=HUNG_TIMEOUT_S): 390,
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, value in SETTINGS.items():
            environment.setenv(name, value)
        with running(tmp_path_factory.mktemp("region")) as region:
            add_archive(region)
            attach(region, DEVICE, DEVICES / DEVICE / "manifest.yaml")
            for device, deadline_s in made.items():
                attach(region, device.name, device.write(region.models, region.state), deadline_s=deadline_s)
            yield RegionUnderFault(region, tmp_path_factory.mktemp("studies"), attachments=1 + len(made))


async def send(under_fault: RegionUnderFault, device: str, first_seed: int, count: int) -> list[str]:
    """Send studies for one device; return their Study Instance UIDs."""
    return [await under_fault.send(first_seed + number, description=device) for number in range(count)]


def has_stale_result(job: jobs_pb2.Job) -> bool:
    return any(entry.event == "INFERRED (STALE)" for entry in job.history)


def seconds(job: jobs_pb2.Job) -> float:
    """How long a job took from its making to its end."""
    return (job.ended_at.ToDatetime() - job.created_at.ToDatetime()).total_seconds()


@contextlib.asynccontextmanager
async def second_worker(region: Region) -> AsyncIterator[ServiceProcess]:
    """A second replica of model serving, with a database of its own."""
    state = region.state / "model-serving-2"
    variables = {
        "region": REGION,
        "database_url": f"sqlite:///{state / 'data.db'}",
        "objects_url": "nats:objects",
        "nats_url": region.nats_url,
        "pool": POOL,
        "secrets_dir": str(region.secrets),
        "triton_address": region.triton.grpc_address,
        "model_repository": str(region.models),
    }
    async with ServiceProcess(
        state, service=Service.MODEL_SERVING, security=region.security, variables=variables, replica="2"
    ) as worker:
        yield worker


def test_another_worker_takes_the_job_of_a_frozen_one(under_fault: RegionUnderFault) -> None:
    frozen = under_fault.region.serving

    async def story() -> tuple[list[jobs_pb2.Job], list[str], list[jobs_pb2.Job]]:
        uids = await send(under_fault, SLOW, 400, 1)
        await until(under_fault, uids, is_running)
        frozen.freeze()
        try:
            async with second_worker(under_fault.region):
                await under_fault.settled(uids)
                frozen.thaw()
                # What the worker still has to say about its attempt comes before it has done this.
                later = await send(under_fault, SLOW, 401, 2)
                await under_fault.settled(later)
        finally:
            frozen.thaw()
        jobs = await jobs_of(under_fault, uids)
        return jobs, await archived_digests(under_fault, jobs[0].job), await jobs_of(under_fault, later)

    jobs, archived, later = asyncio.run(story())
    (job,) = jobs
    assert job.outcome == job_pb2.OUTCOME_ARCHIVED
    assert job.attempt == 2
    assert [entry.attempt for entry in job.history if entry.event == "ATTEMPT_LOST"] == [1]
    assert any("worker model-serving-2" in entry.detail for entry in job.history if entry.attempt == 2)
    assert archived == [job.result_digest]
    assert [job.outcome for job in later] == [job_pb2.OUTCOME_ARCHIVED] * 2


async def hear_late_of_a_lost_attempt(
    under_fault: RegionUnderFault, seed: int, heard: Callable[[jobs_pb2.Job], bool]
) -> tuple[jobs_pb2.Job, jobs_pb2.Job]:
    """Let a worker tell its result when another has finished the job; return the job before and after.

    Args:
        under_fault: The region.
        seed: Of the study.
        heard: Whether the router has heard the late report.
    """
    silenced = under_fault.region.serving
    await silenced.stop()
    # The start of the run is told, its result is committed and not told.
    silenced.environment_changes["UDC_CRASH_AT"] = "relay.after_number:2"
    await silenced.start()
    uids = await send(under_fault, SLOW, seed, 1)
    await until_dead(silenced)
    async with second_worker(under_fault.region):
        await under_fault.settled(uids)
        (before,) = await jobs_of(under_fault, uids)
        silenced.environment_changes.clear()
        await silenced.start()
        await until(under_fault, uids, heard)
    (after,) = await jobs_of(under_fault, uids)
    return before, after


def test_a_report_of_a_lost_attempt_changes_nothing(under_fault: RegionUnderFault) -> None:
    async def story() -> tuple[jobs_pb2.Job, list[str], list[str], jobs_pb2.Job]:
        before, after = await hear_late_of_a_lost_attempt(under_fault, 500, has_stale_result)
        inferred = await inferred_digests(under_fault, after.job)
        return before, inferred, await archived_digests(under_fault, after.job), after

    before, inferred, archived, after = asyncio.run(story())
    assert before.outcome == job_pb2.OUTCOME_ARCHIVED
    assert before.attempt == 2
    assert [(entry.event, entry.attempt) for entry in after.history if entry.event.startswith("INFERRED")] == [
        ("INFERRED", 2),
        ("INFERRED (STALE)", 1),
    ]
    assert len(set(inferred)) == 2, "both attempts have the same result, so nothing is shown"
    assert (after.outcome, after.result_digest) == (before.outcome, before.result_digest)
    assert archived == [before.result_digest]


def test_without_the_fence_a_report_of_a_lost_attempt_doubles_the_result(under_fault: RegionUnderFault) -> None:
    """The control: the same story with a router that takes every report shows what the fence keeps out."""
    router = under_fault.region.router

    def is_archived_again(job: jobs_pb2.Job) -> bool:
        return sum(entry.event == "ARCHIVED" for entry in job.history) > 1

    async def story() -> tuple[jobs_pb2.Job, jobs_pb2.Job, list[str]]:
        await router.stop()
        router.module = "faults.without_fencing"
        router.environment_changes["PYTHONPATH"] = os.pathsep.join(sys.path)
        await router.start()
        try:
            before, after = await hear_late_of_a_lost_attempt(under_fault, 510, is_archived_again)
        finally:
            await router.stop()
            router.module = "study_router"
            await router.start()
        return before, after, await archived_digests(under_fault, after.job)

    before, after, archived = asyncio.run(story())
    assert before.attempt == 2
    assert after.result_digest != before.result_digest
    assert archived == [before.result_digest, after.result_digest]


@pytest.mark.parametrize(
    ("place", "answer_count", "seed"),
    [("serving.before_report", 2, 600), ("relay.after_publish:2", 1, 610)],
)
def test_a_device_that_changes_its_mind_has_one_result(
    under_fault: RegionUnderFault, answers: Path, place: str, answer_count: int, seed: int
) -> None:
    worker = under_fault.region.serving
    answers.write_text("")

    async def story() -> tuple[jobs_pb2.Job, list[str], list[str]]:
        await worker.stop()
        worker.environment_changes["UDC_CRASH_AT"] = place
        await worker.start()
        uids = await send(under_fault, FICKLE, seed, 1)
        await until_dead(worker)
        worker.environment_changes.clear()
        await worker.start()
        await under_fault.settled(uids)
        (job,) = await jobs_of(under_fault, uids)
        return job, await inferred_digests(under_fault, job.job), await archived_digests(under_fault, job.job)

    job, inferred, archived = asyncio.run(story())
    answered = answers.read_text().split()
    assert len(answered) == len(set(answered)) == answer_count
    assert job.outcome == job_pb2.OUTCOME_ARCHIVED
    assert set(inferred) == {job.result_digest}
    assert archived == [job.result_digest]


def test_a_second_router_does_not_touch_the_database_of_the_first(under_fault: RegionUnderFault) -> None:
    region = under_fault.region
    first = region.router
    second = ServiceProcess(
        region.state / "study-router-2",
        service=Service.STUDY_ROUTER,
        security=region.security,
        variables={
            "region": REGION,
            "database_url": f"sqlite:///{first.state / 'data.db'}",
            "objects_url": "nats:objects",
            "nats_url": region.nats_url,
            "secrets_dir": str(region.secrets),
            "identity_key_file": str(region.secrets / "identity.key"),
        },
        replica="2",
    )
    pid = first.pid

    async def story() -> list[str]:
        with pytest.raises(ServerFailedError) as refusal:
            await second.start()
        sentence = (
            rf"study-router stopped: .*/data\.db is in use by process {pid}; a SQLite database serves one process"
        )
        assert re.search(sentence, str(refusal.value))
        assert first.pid == pid
        complaints = await under_fault.faults(await send(under_fault, DEVICE, 700, 1))
        # The same process starts when the database is free: it was the lock that kept it out.
        await first.stop()
        async with second:
            pass
        await first.start()
        return complaints

    assert asyncio.run(story()) == []


def test_a_device_that_hangs_delays_no_other(under_fault: RegionUnderFault) -> None:
    async def others(seed: int) -> list[jobs_pb2.Job]:
        uids = await send(under_fault, DEVICE, seed, 3)
        assert await under_fault.faults(uids) == []
        return await jobs_of(under_fault, uids)

    async def story() -> tuple[list[jobs_pb2.Job], list[jobs_pb2.Job], list[jobs_pb2.Job], list[jobs_pb2.Job]]:
        alone = await others(800)
        # As many as the pool has slots: one device may not take them all.
        hung = await send(under_fault, HUNG, 810, 2)
        await until(under_fault, hung, is_running)
        beside = await others(820)
        meanwhile = await jobs_of(under_fault, hung)
        await under_fault.settled(hung)
        return alone, beside, meanwhile, await jobs_of(under_fault, hung)

    alone, beside, meanwhile, hung = asyncio.run(story())
    assert any(job.state != jobs_pb2.JOB_STATE_ENDED for job in meanwhile), (
        "nothing hung meanwhile, so nothing is shown"
    )
    assert max(map(seconds, beside)) < max(map(seconds, alone)) + NOISE_S
    assert {job.outcome for job in hung} == {job_pb2.OUTCOME_FAILED}
    assert any("did not answer in time" in job.detail for job in hung)
