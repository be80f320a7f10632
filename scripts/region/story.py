"""What the demonstration watches: studies, their outcomes, and the objects that came back."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cli.connection import Services
from udc.archive.v1 import results_pb2
from udc.events.v1 import job_pb2
from udc.router.v1 import studies_pb2
from udc.surveillance.v1 import surveillance_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object of a result in the archive."""

    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One study and one device: what became of it."""

    study_instance_uid: str
    device: str
    outcome: str
    detail: str
    job: str
    seconds_to_result: float | None
    objects: tuple[StoredObject, ...]


async def studies_of(services: Services) -> Mapping[str, studies_pb2.Study]:
    """Return every study the router knows, with stacks and outcomes, by Study Instance UID."""
    listed = (await services.studies.ListStudies(studies_pb2.ListStudiesRequest(page_size=1000))).studies
    return {study.study_instance_uid: study for study in listed}


def current(study: studies_pb2.Study) -> Sequence[studies_pb2.StudyOutcome]:
    """Return the outcomes of the study's latest revision; earlier revisions have theirs for the record."""
    return [item for item in study.outcomes if item.revision == study.revision]


def is_settled(study: studies_pb2.Study, *, attachments: int) -> bool:
    """Say whether the study is closed and its latest revision has an outcome for every attachment."""
    decided = [item for item in current(study) if item.outcome != job_pb2.OUTCOME_UNSPECIFIED]
    return study.state == studies_pb2.STUDY_STATE_CLOSED and len(decided) == attachments


async def rows_of(services: Services, study: studies_pb2.Study) -> Sequence[Row]:
    """Return a row for each outcome of the latest revision of a study."""
    return [await _row(services, study, outcome) for outcome in current(study)]


async def _row(services: Services, study: studies_pb2.Study, outcome: studies_pb2.StudyOutcome) -> Row:
    archived = outcome.outcome == job_pb2.OUTCOME_ARCHIVED
    objects: tuple[StoredObject, ...] = ()
    if archived and services.results is not None:
        result = await services.results.GetResult(results_pb2.GetResultRequest(job=outcome.job))
        objects = tuple(
            StoredObject(
                kind=item.kind,
                sop_class_uid=item.sop_class_uid,
                sop_instance_uid=item.sop_instance_uid,
                series_instance_uid=item.series_instance_uid,
            )
            for item in result.objects
        )
    waited = outcome.decided_at.ToDatetime() - study.last_arrival_at.ToDatetime()
    return Row(
        study_instance_uid=study.study_instance_uid,
        device=f"{outcome.device} {outcome.version}",
        outcome=job_pb2.Outcome.Name(outcome.outcome).removeprefix("OUTCOME_"),
        detail=outcome.detail or outcome.reason,
        job=outcome.job,
        seconds_to_result=round(waited.total_seconds(), 2) if archived else None,
        objects=objects,
    )


async def counted_outcomes(services: Services) -> Counter[tuple[str, str]]:
    """Return what the surveillance reporter counts today: studies by device and outcome."""
    answer = await services.surveillance().GetCounts(surveillance_pb2.GetCountsRequest())
    counted: Counter[tuple[str, str]] = Counter()
    for row in answer.rows:
        for item in row.outcomes:
            name = job_pb2.Outcome.Name(item.outcome).removeprefix("OUTCOME_")
            counted[f"{row.device} {row.version}", name] += item.count
    return counted
