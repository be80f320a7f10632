"""``udc job``: work of devices on studies."""

from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table

from cli import output
from cli.connection import Services, call
from cli.options import Json, new_request_id
from udc.events.v1 import job_pb2
from udc.router.v1 import jobs_pb2 as pb

app = typer.Typer(help="Jobs: one device version's work on one study.", no_args_is_help=True)

JobName = Annotated[str, typer.Argument(help="Id of the job.")]


@app.command("list")
def list_(
    study: Annotated[str, typer.Option(help="Only jobs of this study.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    *,
    json: Json = False,
) -> None:
    """List jobs, newest first."""
    request = pb.ListJobsRequest(study=study, page_size=limit)
    answer = call(lambda services: services.jobs.ListJobs(request))
    if json:
        output.as_json(answer.jobs)
        return
    output.table(
        "Jobs",
        ["job", "device", "state", "attempt", "created", "reason"],
        [
            [
                job.job,
                f"{job.device} {job.version}",
                state_of(job),
                str(job.attempt),
                output.when(job.created_at),
                job.detail or job.reason or "-",
            ]
            for job in answer.jobs
        ],
    )


@app.command()
def show(job: JobName, *, json: Json = False) -> None:
    """Show one job with its history."""
    found = call(lambda services: services.jobs.GetJob(pb.GetJobRequest(job=job))).job
    if json:
        output.as_json(found)
        return
    output.console.print(f"{found.job}\n  {found.device} {found.version}, {state_of(found)}, pool {found.pool}")
    output.console.print(f"  study {found.study_instance_uid} revision {found.revision}")
    if found.reason:
        output.console.print(f"  {found.reason}: {found.detail}")
    if found.HasField("progress"):
        output.console.print(f"  {progress_of(found)}")
    output.table(
        "History",
        ["time", "event", "state", "attempt", "detail"],
        [
            [
                output.when(entry.at),
                entry.event,
                output.word(pb.JobState.Name(entry.state), "JOB_STATE_"),
                str(entry.attempt),
                entry.detail or "-",
            ]
            for entry in found.history
        ],
    )


@app.command()
def retry(job: JobName) -> None:
    """Run the work again as a new job; the old one stays as it is."""
    request = pb.RetryJobRequest(request_id=new_request_id(), job=job)
    answer = call(lambda services: services.jobs.RetryJob(request))
    output.console.print(f"job {answer.job.job} created")


@app.command()
def cancel(job: JobName, reason: Annotated[str, typer.Option(help="Why.")]) -> None:
    """Stop a job that is not being archived yet."""
    request = pb.CancelJobRequest(request_id=new_request_id(), job=job, reason=reason)
    call(lambda services: services.jobs.CancelJob(request))
    output.console.print(f"job {job}: canceled")


@app.command()
def watch() -> None:
    """Show jobs as they change, until interrupted."""
    jobs: dict[str, pb.Job] = {}

    async def follow(services: Services) -> None:
        with Live(_progress(jobs), console=output.console, auto_refresh=False) as live:
            async for answer in services.jobs.WatchJobs(pb.WatchJobsRequest()):
                jobs[answer.job.job] = answer.job
                live.update(_progress(jobs), refresh=True)

    call(follow)


def _progress(jobs: dict[str, pb.Job]) -> Table:
    drawn = Table(title="Jobs", title_justify="left", box=None, pad_edge=False)
    for column in ("job", "device", "state", "attempt"):
        drawn.add_column(column)
    for job in jobs.values():
        drawn.add_row(job.job, f"{job.device} {job.version}", state_of(job), str(job.attempt))
    return drawn


def progress_of(job: pb.Job) -> str:
    """Say how far the worker of a job is, which has told so."""
    stage = output.word(job_pb2.JobStage.Name(job.progress.stage), "JOB_STAGE_").lower()
    return f"{stage}, {job.progress.retrieved} of {job.progress.wanted} images, {output.when(job.progress.at)}"


def state_of(job: pb.Job) -> str:
    """Return the outcome of an ended job, else its state."""
    if job.outcome != job_pb2.OUTCOME_UNSPECIFIED:
        return output.outcome(job.outcome)
    return output.word(pb.JobState.Name(job.state), "JOB_STATE_")
