"""Between the values of the domain and the messages of ``udc.router.v1``."""

from datetime import UTC, datetime
from typing import Final, cast

from study_router.adapters.announcing import input_to_proto
from study_router.domain.backfills import Backfill
from study_router.domain.jobs import State, Verdict, has_ended
from study_router.domain.registry import Archive, Attachment, DeviceVersion, FeedKind
from study_router.domain.stacks import Stack
from study_router.domain.studies import StudyState
from study_router.domain.work import CurrentOutcome
from study_router.usecases.explaining import Note, StackKnown
from study_router.usecases.reading import Explanation, JobReport, StudyReport
from udc.events.v1 import job_pb2
from udc.router.v1 import archives_pb2, devices_pb2, jobs_pb2, studies_pb2
from udckit.errors import InvalidRequestError
from udcmodel import codec

_STATES: Final = {
    State.PENDING: jobs_pb2.JOB_STATE_PENDING,
    State.DISPATCHED: jobs_pb2.JOB_STATE_DISPATCHED,
    State.RUNNING: jobs_pb2.JOB_STATE_RUNNING,
    State.INFERRED: jobs_pb2.JOB_STATE_INFERRED,
    State.ACCEPTED: jobs_pb2.JOB_STATE_ACCEPTED,
    State.ARCHIVING: jobs_pb2.JOB_STATE_ARCHIVING,
}
_STUDY_STATES: Final = {
    StudyState.OPEN: studies_pb2.STUDY_STATE_OPEN,
    StudyState.CLOSED: studies_pb2.STUDY_STATE_CLOSED,
    StudyState.QUARANTINED: studies_pb2.STUDY_STATE_QUARANTINED,
}
_FEEDS: Final = {
    FeedKind.ORTHANC: archives_pb2.FEED_KIND_ORTHANC,
    FeedKind.DICOMWEB: archives_pb2.FEED_KIND_DICOMWEB,
    FeedKind.NONE: archives_pb2.FEED_KIND_NONE,
}
_FEEDS_FROM_PROTO: Final = {number: feed for feed, number in _FEEDS.items()}


def state_to_proto(state: State) -> jobs_pb2.JobState:
    """Return the state of a job for the wire; the outcome says how it ended."""
    return jobs_pb2.JOB_STATE_ENDED if has_ended(state) else _STATES[state]


def states_from_proto(state: jobs_pb2.JobState) -> frozenset[State]:
    """Return the states that a filter means; none for no filter."""
    if state == jobs_pb2.JOB_STATE_UNSPECIFIED:
        return frozenset()
    return frozenset(item for item in State if state_to_proto(item) == state)


def job_to_proto(report: JobReport) -> jobs_pb2.Job:
    """Return a job for the wire."""
    job = report.job
    message = jobs_pb2.Job(
        job=job.job,
        study=job.study,
        study_instance_uid=report.study_instance_uid,
        revision=job.revision,
        attachment=job.grant.attachment,
        device=job.grant.device,
        version=job.grant.version,
        state=state_to_proto(job.state),
        reason=job.ending.reason,
        detail=job.ending.detail,
        attempt=job.attempt,
        priority=codec.PRIORITY_TO_PROTO[job.priority],
        mode=codec.MODE_TO_PROTO[job.grant.mode],
        pool=job.pool,
        result_digest=job.result_digest,
        inputs=[input_to_proto(item) for item in job.inputs],
        created_at=codec.timestamp(job.created_at),
        input_ready_at=codec.timestamp(job.input_ready_at),
        deadline=codec.timestamp(job.deadline),
        history=[
            jobs_pb2.JobHistoryEntry(
                at=codec.timestamp(entry.at),
                event=entry.event if entry.verdict is Verdict.APPLY else f"{entry.event} ({entry.verdict.value})",
                state=state_to_proto(entry.state),
                attempt=entry.attempt,
                detail=entry.detail,
            )
            for entry in report.history
        ],
    )
    if report.progress is not None:
        message.progress.CopyFrom(
            jobs_pb2.JobProgress(
                # Open, as every enumeration on the wire: a newer worker may know more stages.
                stage=cast("job_pb2.JobStage", report.progress.stage),
                retrieved=report.progress.retrieved,
                wanted=report.progress.wanted,
                at=codec.timestamp(report.progress.at),
            )
        )
    if job.outcome is not None:
        message.outcome = codec.OUTCOME_TO_PROTO[job.outcome]
    if job.ending.category is not None:
        message.category = codec.CATEGORY_TO_PROTO[job.ending.category]
    if job.dispatched_at is not None:
        message.dispatched_at.CopyFrom(codec.timestamp(job.dispatched_at))
    if job.ended_at is not None:
        message.ended_at.CopyFrom(codec.timestamp(job.ended_at))
    return message


def study_to_proto(report: StudyReport) -> studies_pb2.Study:
    """Return a study for the wire. Nothing of it names the patient."""
    study = report.study
    return studies_pb2.Study(
        study=study.study,
        study_instance_uid=study.study_instance_uid,
        organisation=study.organisation,
        state=_STUDY_STATES[study.state],
        revision=study.revision,
        archives=report.archives,
        first_seen_at=codec.timestamp(study.first_seen_at),
        last_arrival_at=codec.timestamp(study.last_arrival_at),
        stacks=[_stack(stack, is_closed=study.state is StudyState.CLOSED) for stack in report.stacks],
        outcomes=[_outcome(outcome) for outcome in report.outcomes],
        trace_id=study.trace.split("-")[1] if study.trace else "",
        reason=study.reason,
        history=[
            studies_pb2.StudyEntry(
                at=codec.timestamp(entry.at), event=entry.event.value, revision=entry.revision, detail=entry.detail
            )
            for entry in report.history
        ],
    )


def _stack(stack: Stack, *, is_closed: bool) -> studies_pb2.Stack:
    return studies_pb2.Stack(
        series_instance_uid=stack.series_instance_uid,
        key=stack.key,
        modality=stack.first.modality,
        description=stack.first.series_description,
        frame_count=len(stack.headers),
        closed=is_closed,
        slice_spacing_mm=stack.geometry.spacing_mm or 0.0,
        excluded=stack.exclusion.value if stack.exclusion else "",
    )


def _outcome(outcome: CurrentOutcome) -> studies_pb2.StudyOutcome:
    message = studies_pb2.StudyOutcome(
        attachment=outcome.attachment,
        device=outcome.device,
        version=outcome.version,
        job=outcome.job,
        reason=outcome.ending.reason,
        detail=outcome.ending.detail,
        revision=outcome.revision,
        decided_at=codec.timestamp(outcome.decided_at),
    )
    if outcome.outcome is not None:
        message.outcome = codec.OUTCOME_TO_PROTO[outcome.outcome]
    if outcome.ending.category is not None:
        message.category = codec.CATEGORY_TO_PROTO[outcome.ending.category]
    return message


def explanation_to_proto(explanation: Explanation) -> studies_pb2.ExplainStudyResponse.Explanation:
    """Return why a study was or was not sent, for the wire."""
    return studies_pb2.ExplainStudyResponse.Explanation(
        attachment=explanation.attachment.attachment,
        device=explanation.attachment.device,
        version=explanation.attachment.version,
        decision=explanation.decision,
        clauses=[
            studies_pb2.ExplainStudyResponse.Clause(
                name=clause.name,
                expression=clause.expression,
                value=clause.answer.truth.value,
                explanation=f"{clause.answer.why} is unknown" if clause.answer.why else clause.explain,
            )
            for clause in explanation.clauses
        ],
        stacks=explanation.notes,
    )


def known_to_proto(stack: StackKnown) -> studies_pb2.ExplainStudyResponse.StackFacts:
    """Return what was known of a stack, for the wire."""
    return studies_pb2.ExplainStudyResponse.StackFacts(
        series_instance_uid=stack.series_instance_uid,
        modality=stack.modality,
        excluded=stack.excluded,
        facts=[
            studies_pb2.ExplainStudyResponse.Fact(
                name=told.name, raw=told.raw, value=_plain(told.value), source=told.source
            )
            for told in stack.facts
        ],
    )


def _plain(value: str | bool) -> str:
    return value if isinstance(value, str) else str(value).lower()


def note_to_proto(note: Note) -> studies_pb2.StudyNote:
    """Return what was heard or decided about the end of a study, for the wire."""
    return studies_pb2.StudyNote(at=codec.timestamp(note.at), text=note.text)


def backfill_to_proto(backfill: Backfill) -> studies_pb2.Backfill:
    """Return a backfill for the wire."""
    message = studies_pb2.Backfill(
        backfill=backfill.backfill,
        attachment=backfill.attachment,
        study_instance_uids=backfill.study_instance_uids,
        ordered_at=codec.timestamp(backfill.ordered_at),
        handed_on=backfill.handed_on,
    )
    if backfill.days is not None:
        message.from_day, message.to_day = (day.isoformat() for day in backfill.days)
    if backfill.ended_at is not None:
        message.ended_at.CopyFrom(codec.timestamp(backfill.ended_at))
    return message


def device_to_proto(device: DeviceVersion) -> devices_pb2.Device:
    """Return a device version for the wire."""
    return devices_pb2.Device(
        device=device.device,
        version=device.version,
        title_ru=device.title_ru,
        title_en=device.title_en,
        vendor=device.vendor,
        manifest_digest=device.manifest_digest,
        model_digest=device.model_digest,
        medical_device=device.is_medical_device,
        suspended=device.is_suspended,
        certificate=codec.certificate_to_proto(device.certificate),
        golden_digest=device.golden_digest,
        golden_cases=device.golden_cases,
    )


def attachment_to_proto(attachment: Attachment) -> devices_pb2.Attachment:
    """Return an attachment for the wire."""
    return devices_pb2.Attachment(
        attachment=attachment.attachment,
        revision=attachment.revision,
        device=attachment.device,
        version=attachment.version,
        mode=codec.MODE_TO_PROTO[attachment.mode],
        organisations=attachment.organisations,
        sources=attachment.sources,
        destinations=attachment.destinations,
        rule=attachment.rule,
        pool=attachment.pool,
        priority=codec.PRIORITY_TO_PROTO[attachment.priority],
        deadline_s=attachment.deadline_s,
    )


def attachment_from_proto(message: devices_pb2.Attachment) -> Attachment:
    """Return what a request asks for; revision and time are given at creation.

    Raises:
        InvalidRequestError: mode or priority is missing.
    """
    if message.mode not in codec.MODE_FROM_PROTO:
        raise InvalidRequestError("attachment.mode is missing")
    if message.priority not in codec.PRIORITY_FROM_PROTO:
        raise InvalidRequestError("attachment.priority is missing")
    return Attachment(
        attachment=message.attachment,
        revision=0,
        device=message.device,
        version=message.version,
        mode=codec.MODE_FROM_PROTO[message.mode],
        organisations=tuple(message.organisations),
        sources=tuple(message.sources),
        destinations=tuple(message.destinations),
        rule=message.rule,
        pool=message.pool,
        priority=codec.PRIORITY_FROM_PROTO[message.priority],
        deadline_s=message.deadline_s,
        effective_from=datetime.max.replace(tzinfo=UTC),
    )


def archive_to_proto(archive: Archive) -> archives_pb2.Archive:
    """Return an archive for the wire."""
    return archives_pb2.Archive(
        archive=archive.archive,
        organisation=archive.organisation,
        feed=_FEEDS[archive.feed],
        dicomweb_url=archive.dicomweb_url,
        orthanc_url=archive.orthanc_url,
        credentials=archive.credentials,
        profile=archive.profile,
    )


def archive_from_proto(message: archives_pb2.Archive) -> Archive:
    """Return what a request asks for.

    Raises:
        InvalidRequestError: the kind of feed is missing.
    """
    if message.feed not in _FEEDS_FROM_PROTO:
        raise InvalidRequestError("archive.feed is missing")
    return Archive(
        archive=message.archive,
        organisation=message.organisation,
        feed=_FEEDS_FROM_PROTO[message.feed],
        dicomweb_url=message.dicomweb_url,
        orthanc_url=message.orthanc_url,
        credentials=message.credentials,
        profile=message.profile or "air",
    )
