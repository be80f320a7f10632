"""Everything that happened to a study, put together from what the services stored."""

from cli import output
from cli.connection import Services
from cli.jobs import progress_of
from udc.archive.v1 import results_pb2
from udc.events.v1 import events_service_pb2
from udc.router.v1 import jobs_pb2, studies_pb2
from udckit.errors import NotFoundError

Entry = tuple[int, int, str, str]
"""Seconds, nanoseconds, who, what."""


async def timeline_of(services: Services, study: str) -> list[tuple[str, str, str]]:
    """Return time, service and event of a study's life, oldest first.

    Raises:
        NotFoundError: the router does not know the study.
    """
    found = (await services.studies.GetStudy(studies_pb2.GetStudyRequest(study=study))).study
    entries: list[Entry] = [
        (found.first_seen_at.seconds, found.first_seen_at.nanos, "study-router", "first instance seen"),
        (found.last_arrival_at.seconds, found.last_arrival_at.nanos, "study-router", "last instance seen"),
    ]
    for happened in found.history:
        event = happened.event.lower().replace("_", " ")
        text = f"study {event}, revision {happened.revision}: {happened.detail}"
        entries.append((happened.at.seconds, happened.at.nanos, "study-router", text))
    entries.extend((note.at.seconds, note.at.nanos, "study-router", note.text) for note in found.notes)
    for item in found.outcomes:
        if not item.job:
            text = f"{item.device}: {output.outcome(item.outcome)} {item.detail or item.reason}"
            entries.append((item.decided_at.seconds, item.decided_at.nanos, "study-router", text))
    jobs = (await services.jobs.ListJobs(jobs_pb2.ListJobsRequest(study=found.study, page_size=1000))).jobs
    for listed in jobs:
        job = (await services.jobs.GetJob(jobs_pb2.GetJobRequest(job=listed.job))).job
        label = f"{job.device} {job.job[:8]}"
        for entry in job.history:
            text = f"{label}: {entry.event} (attempt {entry.attempt}) {entry.detail}".rstrip()
            entries.append((entry.at.seconds, entry.at.nanos, "study-router", text))
        if job.HasField("progress"):
            at = job.progress.at
            entries.append((at.seconds, at.nanos, "model-serving", f"{label}: {progress_of(job)}"))
        entries.extend(await _deliveries(services, job.job, label))
    entries.extend(await _dead_letters(services, {f"jobs/{job.job}" for job in jobs}))
    return [
        (_clock(seconds, nanos), who, what)
        for seconds, nanos, who, what in sorted(entries, key=lambda entry: (entry[0], entry[1]))
    ]


async def _deliveries(services: Services, job: str, label: str) -> list[Entry]:
    if services.results is None:
        return []
    try:
        result = await services.results.GetResult(results_pb2.GetResultRequest(job=job))
    except NotFoundError:
        return []
    entries: list[Entry] = []
    for item in result.objects:
        for stamp, verb in ((item.stored_at, "stored"), (item.verified_at, "read back")):
            if stamp.seconds:
                text = f"{label}: {item.kind} {verb} in {result.archive}"
                entries.append((stamp.seconds, stamp.nanos, "result-archiver", text))
    return entries


async def _dead_letters(services: Services, names: set[str]) -> list[Entry]:
    entries: list[Entry] = []
    for service, events in services.events().items():
        answer = await events.ListDeadLetters(events_service_pb2.ListDeadLettersRequest(page_size=1000))
        entries.extend(
            (letter.died_at.seconds, letter.died_at.nanos, str(service), f"dead letter {letter.id}: {letter.detail}")
            for letter in answer.dead_letters
            if letter.about in names
        )
    return entries


def _clock(seconds: int, nanos: int) -> str:
    return f"{output.local(seconds)}.{nanos // 1_000_000:03d}"
