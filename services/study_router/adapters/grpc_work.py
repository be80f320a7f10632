# ruff: noqa: ARG002, N802 gRPC prescribes names and signatures
"""``StudiesService`` and ``JobsService``: translate, call, translate."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from study_router.adapters.loops import Bell
from study_router.adapters.wire import (
    backfill_to_proto,
    explanation_to_proto,
    job_to_proto,
    known_to_proto,
    note_to_proto,
    states_from_proto,
    study_to_proto,
)
from study_router.usecases.archiving import BeginArchiving
from study_router.usecases.backfilling import OrderBackfill, ReadBackfills
from study_router.usecases.commands import CancelJob, RetryJob
from study_router.usecases.completing import CompleteStudy
from study_router.usecases.explaining import ExplainFacts, ReadNotes
from study_router.usecases.reading import ExplainStudy, ReadJobs, ReadStudies
from study_router.usecases.releasing import ReleaseStudy
from study_router.usecases.submitting import SubmitStudies
from udc.router.v1 import jobs_pb2, jobs_pb2_grpc, studies_pb2, studies_pb2_grpc
from udckit.errors import InvalidRequestError

_LOOK_S = 0.5
"""Other replicas' changes are found by looking; this process's own wake the watchers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudiesApi(studies_pb2_grpc.StudiesServiceServicer):
    """Studies, and what became of them."""

    studies: ReadStudies
    explain: ExplainStudy
    facts: ExplainFacts
    notes: ReadNotes
    complete: CompleteStudy
    release: ReleaseStudy
    submit: SubmitStudies
    order_backfill: OrderBackfill
    backfills: ReadBackfills

    async def ListStudies(
        self, request: studies_pb2.ListStudiesRequest, context: Any
    ) -> studies_pb2.ListStudiesResponse:
        """List studies, those in which something arrived last first."""
        found = await self.studies.some(limit=request.page_size, study_instance_uid=request.study_instance_uid)
        return studies_pb2.ListStudiesResponse(studies=map(study_to_proto, found))

    async def GetStudy(self, request: studies_pb2.GetStudyRequest, context: Any) -> studies_pb2.GetStudyResponse:
        """Return a study with stacks and outcomes."""
        study = study_to_proto(await self.studies.one(request.study))
        study.notes.extend(map(note_to_proto, await self.notes(request.study)))
        return studies_pb2.GetStudyResponse(study=study)

    async def ExplainStudy(
        self, request: studies_pb2.ExplainStudyRequest, context: Any
    ) -> studies_pb2.ExplainStudyResponse:
        """Say for every attachment why, and what the study was understood to be."""
        explanations = await self.explain(request.study)
        known = await self.facts(request.study)
        return studies_pb2.ExplainStudyResponse(
            explanations=map(explanation_to_proto, explanations),
            study=study_to_proto(await self.studies.one(request.study)),
            stacks=map(known_to_proto, known.stacks),
            finished=known.finished,
        )

    async def CompleteStudy(
        self, request: studies_pb2.CompleteStudyRequest, context: Any
    ) -> studies_pb2.CompleteStudyResponse:
        """Close a study now."""
        study = await self.complete(request.study)
        return studies_pb2.CompleteStudyResponse(study=study_to_proto(await self.studies.one(study.study)))

    async def ReleaseStudy(
        self, request: studies_pb2.ReleaseStudyRequest, context: Any
    ) -> studies_pb2.ReleaseStudyResponse:
        """End the quarantine of a study."""
        if not request.reason:
            raise InvalidRequestError("reason is missing")
        study = await self.release(request.study, reason=request.reason)
        return studies_pb2.ReleaseStudyResponse(study=study_to_proto(await self.studies.one(study.study)))

    async def SubmitStudy(
        self, request: studies_pb2.SubmitStudyRequest, context: Any
    ) -> studies_pb2.SubmitStudyResponse:
        """Have studies read that no feed shows."""
        found = await self.submit(archive=request.archive, study_instance_uids=request.study_instance_uids)
        return studies_pb2.SubmitStudyResponse(
            studies=[
                studies_pb2.SubmitStudyResponse.Submitted(
                    study_instance_uid=study.study_instance_uid,
                    series=study.series,
                    instances=study.instances,
                    series_to_read=study.series_to_read,
                )
                for study in found
            ]
        )

    async def BackfillStudies(
        self, request: studies_pb2.BackfillStudiesRequest, context: Any
    ) -> studies_pb2.BackfillStudiesResponse:
        """Have an attachment look at older studies."""
        backfill = await self.order_backfill(
            request_id=request.request_id,
            attachment=request.attachment,
            from_day=request.from_day,
            to_day=request.to_day,
            study_instance_uids=request.study_instance_uids,
        )
        return studies_pb2.BackfillStudiesResponse(backfill=backfill_to_proto(backfill))

    async def ListBackfills(
        self, request: studies_pb2.ListBackfillsRequest, context: Any
    ) -> studies_pb2.ListBackfillsResponse:
        """List backfills, newest first."""
        found = await self.backfills(limit=request.page_size)
        return studies_pb2.ListBackfillsResponse(backfills=map(backfill_to_proto, found))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsApi(jobs_pb2_grpc.JobsServiceServicer):
    """Jobs.

    Attributes:
        listen: Calls what it is given after every commit of this process; returns a function that ends this.
    """

    jobs: ReadJobs
    retry: RetryJob
    cancel: CancelJob
    begin_archiving: BeginArchiving
    listen: Callable[[Callable[[], None]], Callable[[], None]]

    async def ListJobs(self, request: jobs_pb2.ListJobsRequest, context: Any) -> jobs_pb2.ListJobsResponse:
        """List jobs, newest first."""
        found = await self.jobs.some(
            limit=request.page_size, study=request.study, states=states_from_proto(request.state)
        )
        return jobs_pb2.ListJobsResponse(jobs=map(job_to_proto, found))

    async def GetJob(self, request: jobs_pb2.GetJobRequest, context: Any) -> jobs_pb2.GetJobResponse:
        """Return a job with its history."""
        return jobs_pb2.GetJobResponse(job=job_to_proto(await self.jobs.one(request.job)))

    async def WatchJobs(
        self, request: jobs_pb2.WatchJobsRequest, context: Any
    ) -> AsyncIterator[jobs_pb2.WatchJobsResponse]:
        """Stream the jobs there are, then every change."""
        bell = Bell()
        stop_listening = self.listen(bell.ring)
        try:
            reports, position = await self.jobs.newest()
            while True:
                for report in reports:
                    yield jobs_pb2.WatchJobsResponse(job=job_to_proto(report))
                await bell.wait(_LOOK_S)
                reports, position = await self.jobs.changes_after(position)
        finally:
            stop_listening()

    async def RetryJob(self, request: jobs_pb2.RetryJobRequest, context: Any) -> jobs_pb2.RetryJobResponse:
        """Run the work again as a new job."""
        job = await self.retry(job=request.job)
        return jobs_pb2.RetryJobResponse(job=job_to_proto(await self.jobs.one(job.job)))

    async def CancelJob(self, request: jobs_pb2.CancelJobRequest, context: Any) -> jobs_pb2.CancelJobResponse:
        """Stop a job."""
        if not request.reason:
            raise InvalidRequestError("reason is missing")
        job = await self.cancel(job=request.job, reason=request.reason)
        return jobs_pb2.CancelJobResponse(job=job_to_proto(await self.jobs.one(job.job)))

    async def BeginArchiving(
        self, request: jobs_pb2.BeginArchivingRequest, context: Any
    ) -> jobs_pb2.BeginArchivingResponse:
        """Cross the line, or say why not."""
        answer = await self.begin_archiving(
            job=request.job, digest=request.result_digest, sop_instance_uids=request.sop_instance_uids
        )
        return jobs_pb2.BeginArchivingResponse(granted=answer.granted, reason=answer.reason, detail=answer.detail)
