"""What the services say of jobs, while something is broken."""

import asyncio
from collections.abc import Callable, Sequence

from cli.connection import connected
from faults.region_under_fault import RegionUnderFault
from udc.events.v1 import events_service_pb2, job_pb2
from udc.router.v1 import jobs_pb2
from udckit import subjects


async def jobs_of(under_fault: RegionUnderFault, uids: Sequence[str]) -> list[jobs_pb2.Job]:
    """Return the jobs that studies have by now, with their histories."""
    async with connected(under_fault.watcher.settings()) as services:
        listed = (await services.jobs.ListJobs(jobs_pb2.ListJobsRequest(page_size=1000))).jobs
        return [
            (await services.jobs.GetJob(jobs_pb2.GetJobRequest(job=job.job))).job
            for job in listed
            if job.study_instance_uid in uids
        ]


async def until(under_fault: RegionUnderFault, uids: Sequence[str], enough: Callable[[jobs_pb2.Job], bool]) -> None:
    """Wait until ``enough`` is true of a job of one of the studies; returns a moment after it is."""
    async with asyncio.timeout(60.0), connected(under_fault.watcher.settings()) as services:
        async for change in services.jobs.WatchJobs(jobs_pb2.WatchJobsRequest()):
            if change.job.study_instance_uid in uids and enough(change.job):
                return


def is_running(job: jobs_pb2.Job) -> bool:
    return job.state == jobs_pb2.JOB_STATE_RUNNING


async def dead_letters(under_fault: RegionUnderFault) -> list[str]:
    """Say what the services gave up on."""
    request = events_service_pb2.ListDeadLettersRequest(page_size=1000)
    async with connected(under_fault.watcher.settings()) as services:
        return [
            f"{service}: {letter.event_type} {letter.about} {letter.reason}"
            for service, events in services.events().items()
            for letter in (await events.ListDeadLetters(request)).dead_letters
        ]


async def archived_digests(under_fault: RegionUnderFault, job: str) -> list[str]:
    """Return the digest of each ``result.archived`` of a job."""
    return [event.result_digest for event in await under_fault.archived_events() if event.job == job]


async def inferred_digests(under_fault: RegionUnderFault, job: str) -> list[str]:
    """Return the digest of each ``job.inferred`` of a job."""
    events = await under_fault.events(subjects.JOB_INFERRED, job_pb2.JobInferred)
    return [event.result_digest for event in events if event.job == job]
