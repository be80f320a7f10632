"""Row d: from "the input of a job is complete" to "the inference request is sent", in a whole region."""

import asyncio
import math
import sqlite3
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp

from benchmarks.figures import Conditions, Figure, MeasurementFailedError, Row, at_most
from cli.connection import Services, connected
from cli.settings import Settings
from region.commands import CommandFailedError, set_up
from region.stack import Region, Times
from udc.events.v1 import job_pb2
from udc.router.v1 import jobs_pb2
from udckit.security.identity import Service
from udcphantom.ct import render_ct
from udcphantom.geometry import evenly, scan
from udcphantom.heads import LEFT_BLEED, head
from udcphantom.identity import Identity
from udcphantom.study import Study

TIMES = Times(input_quiet_s=1.0, study_quiet_s=5.0)
MATRIX = 256
SLICES = 36
EVERY_S = 2.0
PATIENCE_S = 180.0
MOST_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moments:
    """When what happened to one job, seconds since the epoch."""

    ready: float
    made: float
    dispatched: float
    begun: float


async def measure(conditions: Conditions) -> list[Row]:
    """Send studies at an even pace and read from the services' own records when each was ready and begun."""
    count = 4 if conditions.is_quick else 30
    # One more than is counted: the first study waits for its model to be loaded and proven.
    studies = [_study(number) for number in range(count + 1)]
    with tempfile.TemporaryDirectory(prefix="udc-bench-") as folder:
        try:
            moments = await _run(Path(folder), studies)
        except CommandFailedError as error:
            raise MeasurementFailedError(str(error)) from error
    ordered = sorted(moments, key=lambda job: job.ready)[1:]
    waited = sorted(job.begun - job.ready for job in ordered)
    return [
        Row(
            title="d. from a complete input to the inference request",
            settings=[
                f"{count} head CT of {SLICES} × {MATRIX}², one every {EVERY_S:g} s, two slots; the whole region, its"
                " archive and its inference server on this machine",
                f"from Job.input_ready_at, the end of the quiet time of {TIMES.input_quiet_s:g} s, to"
                " JobInferred.inference_started_at",
                "a study before them, for which the model was loaded, is left out",
            ],
            figures=[
                Figure(what="99th percentile", unit="s", values=[_percentile(waited, 0.99)], goal=at_most(MOST_S)),
                Figure(what="all jobs", unit="s", values=waited),
                Figure(
                    what="of that: until the job is made", unit="s", values=[job.made - job.ready for job in ordered]
                ),
                Figure(
                    what="of that: until it is dispatched",
                    unit="s",
                    values=[job.dispatched - job.made for job in ordered],
                ),
                Figure(
                    what="of that: until the request is sent (retrieval, resampling, a free slot)",
                    unit="s",
                    values=[job.begun - job.dispatched for job in ordered],
                ),
            ],
        )
    ]


def _percentile(ordered: Sequence[float], part: float) -> float:
    return ordered[math.ceil(part * len(ordered)) - 1]


def _study(number: int) -> Study:
    pixel_mm = 240.0 / MATRIX
    return render_ct(
        head([LEFT_BLEED]),
        scan(evenly(SLICES, spacing=5.0), rows=MATRIX, columns=MATRIX, pixel_mm=(pixel_mm, pixel_mm)),
        identity=Identity(patient_id=f"BENCH-{number:04}", accession_number=f"BENCH{number:04}"),
        seed=number + 1,
    )


async def _run(folder: Path, studies: Sequence[Study]) -> Sequence[_Moments]:
    """Return what is known of each job."""
    async with Region(folder / "region", times=TIMES, say=lambda _: None) as region:
        await asyncio.to_thread(set_up, region)
        settings = Settings(_env_file=region.environment_file)
        async with connected(settings) as services:
            # The first waits for its model to be loaded and proven; nobody shall wait behind it.
            await _send(region, folder, studies[0])
            await _ended(services, 1)
            began = time.monotonic()
            for number, study in enumerate(studies[1:]):
                await asyncio.sleep(max(0.0, began + number * EVERY_S - time.monotonic()))
                await _send(region, folder, study)
            jobs = await _ended(services, len(studies))
    begun = _begun(region.state / Service.MODEL_SERVING / "data.db", jobs)
    return [
        _Moments(
            ready=_seconds(job.input_ready_at),
            made=_seconds(job.created_at),
            dispatched=_seconds(job.dispatched_at),
            begun=begun[job.job],
        )
        for job in jobs
    ]


async def _send(region: Region, folder: Path, study: Study) -> None:
    await region.orthanc.store(await asyncio.to_thread(study.write, folder / study.uid))


def _seconds(moment: Timestamp) -> float:
    return float(moment.ToNanoseconds() / 1e9)


async def _ended(services: Services, count: int) -> Sequence[jobs_pb2.Job]:
    """Wait until so many jobs have ended, all of them with a result in the archive."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer: jobs_pb2.ListJobsResponse = await services.jobs.ListJobs(jobs_pb2.ListJobsRequest(page_size=1000))
            listed = answer.jobs
            if len(listed) >= count and all(job.state == jobs_pb2.JOB_STATE_ENDED for job in listed):
                break
            await asyncio.sleep(0.5)
    for job in listed:
        if job.outcome != job_pb2.OUTCOME_ARCHIVED:
            raise MeasurementFailedError(f"a job ended as {job_pb2.Outcome.Name(job.outcome)}: {job.detail}")
    return listed


def _begun(database: Path, jobs: Sequence[jobs_pb2.Job]) -> Mapping[str, float]:
    """Read from what serving announced when each inference began; the service is stopped."""
    kind = job_pb2.JobInferred.DESCRIPTOR.full_name
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        bodies = [body for (body,) in connection.execute("SELECT body FROM outbox WHERE type = ?", (kind,))]
    told = [job_pb2.JobInferred.FromString(body) for body in bodies]
    begun = {one.job: _seconds(one.inference_started_at) for one in told}
    if missing := {job.job for job in jobs} - set(begun):
        raise MeasurementFailedError(f"serving told nothing of {len(missing)} jobs")
    return begun
