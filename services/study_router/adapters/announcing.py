"""What the router tells the others, on the wire."""

from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Final, assert_never

from google.protobuf.message import Message
from sqlalchemy import Connection

from study_router.domain import announcements as said
from study_router.domain.work import JobInput, SubjectFacts
from udc.events.v1 import device_pb2, job_pb2, result_pb2, study_pb2
from udckit import outbox, subjects, telemetry
from udckit.envelope import OutgoingEvent, outgoing
from udckit.errors import InternalError
from udcmodel import codec


def announce(connection: Connection, announcement: said.Announcement) -> None:
    """Store an announcement in the outbox, in the trace that is going on, else in that of the job it tells of."""
    trace = "" if telemetry.carrier() or not isinstance(announcement, _OF_JOBS) else announcement.job.trace
    with telemetry.span("job.announce", context=telemetry.remote_context({"traceparent": trace})) if trace else _HERE:
        outbox.announce(connection, event_of(announcement))


_HERE: Final[AbstractContextManager[object]] = nullcontext()
_OF_JOBS: Final = (said.JobDispatched, said.JobCanceled, said.ResultAccepted)


def event_of(announcement: said.Announcement) -> OutgoingEvent:
    """Return the event that tells of ``announcement``; the same fact has the same id."""
    match announcement:
        case said.JobDispatched(job=job, at=at):
            if job.attempt_deadline is None:
                raise InternalError(f"job {job.job} is dispatched without a deadline", job=job.job)
            message: Message = job_pb2.JobDispatched(
                job=job.job,
                attempt=job.attempt,
                deadline=codec.timestamp(job.attempt_deadline),
                priority=codec.PRIORITY_TO_PROTO[job.priority],
                pool=job.pool,
                grant=codec.grant_to_proto(job.grant),
                inputs=[input_to_proto(item) for item in job.inputs],
            )
            subject = subjects.job_dispatched(job.pool, job.priority.value.lower())
            return _event(
                message, f"{job.job}|{job.attempt}", subject, f"jobs/{job.job}", at, organisation=job.grant.organisation
            )
        case said.JobCanceled(job=job, reason=reason, at=at):
            message = job_pb2.JobCanceled(job=job.job, attempt=job.attempt, reason=reason)
            key = f"{job.job}|{job.attempt}"
            return _event(
                message, key, subjects.JOB_CANCELED, f"jobs/{job.job}", at, organisation=job.grant.organisation
            )
        case said.ResultAccepted(job=job, at=at):
            message = result_pb2.ResultAccepted(
                job=job.job,
                attempt=job.attempt,
                result_digest=job.result_digest,
                grant=codec.grant_to_proto(job.grant),
                inputs=[input_to_proto(item) for item in job.inputs],
                study=job.study,
                revision=job.revision,
                issue=job.issue,
                destinations=job.destinations,
                patient_fingerprint=job.patient_fingerprint,
                accepted_at=codec.timestamp(at),
                deadline=codec.timestamp(job.deadline),
            )
            key = f"{job.job}|{job.result_digest}"
            return _event(
                message, key, subjects.RESULT_ACCEPTED, f"jobs/{job.job}", at, organisation=job.grant.organisation
            )
        case said.OutcomeDecided():
            return _outcome(announcement)
        case said.StudyCompleted() | said.StudyRevised() | said.StudyQuarantined():
            return _study(announcement)
        case said.DeviceRegistered() | said.DeviceAttached():
            return _device(announcement)
        case _:
            assert_never(announcement)


def _outcome(decided: said.OutcomeDecided) -> OutgoingEvent:
    message = job_pb2.JobEnded(
        job=decided.job,
        outcome=codec.OUTCOME_TO_PROTO[decided.outcome],
        reason=decided.ending.reason,
        detail=decided.ending.detail,
        device=decided.device,
        version=decided.version,
        attachment=decided.attachment,
        organisation=decided.organisation,
        mode=codec.MODE_TO_PROTO[decided.mode],
        study=decided.study,
        revision=decided.revision,
        successor=decided.successor,
        facts=facts_to_proto(decided.facts),
        attempts=decided.attempts,
    )
    if decided.ending.category is not None:
        message.category = codec.CATEGORY_TO_PROTO[decided.ending.category]
    if decided.job:
        key, about = f"{decided.job}|{decided.outcome.value}|{decided.revision}", f"jobs/{decided.job}"
    else:
        key = f"{decided.study}|{decided.attachment}|{decided.revision}|{decided.outcome.value}"
        about = f"studies/{decided.study}"
    return _event(message, key, subjects.JOB_ENDED, about, decided.at, organisation=decided.organisation)


def _study(fact: said.StudyCompleted | said.StudyRevised | said.StudyQuarantined) -> OutgoingEvent:
    about = f"studies/{fact.study}"
    match fact:
        case said.StudyCompleted():
            completed = study_pb2.StudyCompleted(
                study=fact.study,
                revision=fact.revision,
                organisation=fact.organisation,
                series_count=fact.series_count,
                instance_count=fact.instance_count,
                evidence=fact.evidence,
            )
            key = f"{fact.study}|{fact.revision}"
            return _event(completed, key, subjects.STUDY_COMPLETED, about, fact.at, organisation=fact.organisation)
        case said.StudyRevised():
            revised = study_pb2.StudyRevised(
                study=fact.study, revision=fact.revision, organisation=fact.organisation, reason=fact.reason
            )
            key = f"{fact.study}|{fact.revision}"
            return _event(revised, key, subjects.STUDY_REVISED, about, fact.at, organisation=fact.organisation)
        case said.StudyQuarantined():
            quarantined = study_pb2.StudyQuarantined(
                study=fact.study, organisation=fact.organisation, reason=fact.reason
            )
            # A study may be released and quarantined again: then it is another fact.
            key = f"{fact.study}|{fact.revision}|{fact.reason}"
            return _event(quarantined, key, subjects.STUDY_QUARANTINED, about, fact.at, organisation=fact.organisation)


def _device(fact: said.DeviceRegistered | said.DeviceAttached) -> OutgoingEvent:
    match fact:
        case said.DeviceRegistered():
            registered = device_pb2.DeviceRegistered(
                device=fact.device,
                version=fact.version,
                manifest_digest=fact.manifest_digest,
                model_digest=fact.model_digest,
                medical_device=fact.is_medical_device,
            )
            name = f"devices/{fact.device}/versions/{fact.version}"
            return _event(registered, f"{fact.device}|{fact.version}", subjects.DEVICE_REGISTERED, name, fact.at)
        case said.DeviceAttached():
            attached = device_pb2.DeviceAttached(
                attachment=fact.attachment,
                revision=fact.revision,
                device=fact.device,
                version=fact.version,
                mode=codec.MODE_TO_PROTO[fact.mode],
            )
            key = f"{fact.attachment}|{fact.revision}"
            return _event(attached, key, subjects.DEVICE_ATTACHED, f"attachments/{fact.attachment}", fact.at)


def _event(
    message: Message, key: str, subject: str, about: str, at: datetime, *, organisation: str = ""
) -> OutgoingEvent:
    return outgoing(message, key=key, subject=subject, about=about, organisation=organisation, occurred_at=at)


def input_to_proto(item: JobInput) -> job_pb2.Input:
    """Return an input of a job for the wire."""
    return job_pb2.Input(
        name=item.name, kind=codec.INPUT_KIND_TO_PROTO[item.kind], digest=item.digest, archive=item.archive
    )


def facts_to_proto(facts: SubjectFacts) -> job_pb2.SubjectFacts:
    """Return the pseudonymous facts for the wire."""
    return job_pb2.SubjectFacts(
        age_band=facts.age_band,
        sex=facts.sex,
        modality=facts.modality,
        manufacturer=facts.manufacturer,
        scanner_model=facts.scanner_model,
        slice_spacing_mm=facts.slice_spacing_mm,
    )
