"""What the services say does not agree, put together; and what shows only when two of them are compared."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cli.connection import Services
from udc.archive.v1 import results_pb2
from udc.events.v1 import events_service_pb2
from udc.reconciliation.v1 import finding_pb2 as pb
from udc.router.v1 import reconciliation_pb2
from udc.surveillance.v1 import surveillance_pb2
from udckit.errors import Kind, ServiceError
from udckit.security.identity import Service
from udcmodel.codec import timestamp

_SETTLE_S: Final = 3.0
"""Events on their way are in the journal after this."""
_JOBS_AT_ONCE: Final = 500
_EVENTS_AT_ONCE: Final = 1_000
"""So many are published well within the deadline of a call."""
_AWAY: Final = frozenset({Kind.UNAVAILABLE, Kind.OVERLOADED, Kind.TIMED_OUT})

Pair = tuple[str, str]
"""A job and an archive that holds its result."""


@dataclass(slots=True)
class Look:
    """What one look found.

    Attributes:
        findings: What does not agree.
        unsettled: Begins the names of what is being settled.
    """

    findings: list[pb.Finding] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)

    def is_open(self, finding: pb.Finding) -> bool:
        """Say whether ``finding``, of an earlier look, may still be true."""
        names = {name_of(item) for item in self.findings}
        return name_of(finding) in names or any(f"{finding.about}/".startswith(f"{name}/") for name in self.unsettled)


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """Numbers of a producer's events, inclusive."""

    source: str
    first: int
    last: int


def name_of(finding: pb.Finding) -> tuple[int, str]:
    """Return what tells findings apart."""
    return finding.kind, finding.about


def not_journaled(published: Mapping[str, int], journal: surveillance_pb2.GetJournalStatusResponse) -> list[Range]:
    """Return the events that were published and are not in the journal.

    The journal itself knows of what is missing in between; what is missing at the end, only the producer knows.

    Args:
        published: Highest number that each producer has published.
        journal: What the reporter has.
    """
    journaled = {producer.source: producer.last_sequence for producer in journal.producers}
    missing = [
        Range(gap.source, gap.first, min(gap.last, published[gap.source]))
        for gap in journal.open_gaps
        if gap.first <= published.get(gap.source, 0)
    ]
    for source, last in published.items():
        known = journaled.get(source, 0)
        if known < last:
            missing.append(Range(source, known + 1, last))
    return sorted(missing)


def without_record(archived: Iterable[Pair], verified: Collection[Pair]) -> list[Pair]:
    """Return what the router calls archived and the archiver did not name, in order."""
    return sorted(set(archived) - set(verified))


async def look(services: Services, *, since: datetime, repair: bool) -> Look:
    """Compare everything once; with ``repair``, begin to repair what can be.

    Raises:
        ServiceError: a service refused. One that is away is a finding.
    """
    found = Look()
    archived: list[Pair] = []
    async with _asking(found, Service.STUDY_ROUTER):
        archived = await _look_at_studies(services, found, since=since, repair=repair)
    async with _asking(found, Service.RESULT_ARCHIVER):
        await _look_at_results(services, found, archived, since=since, repair=repair)
    await _look_at_events(services, found, repair=repair)
    return found


async def _look_at_studies(services: Services, found: Look, *, since: datetime, repair: bool) -> list[Pair]:
    archived: list[Pair] = []
    request = reconciliation_pb2.ReconcileStudiesRequest(since=timestamp(since), repair=repair)
    async for answer in services.reconciliation.ReconcileStudies(request):
        match answer.WhichOneof("content"):
            case "finding":
                found.findings.append(answer.finding)
            case "unsettled":
                found.unsettled.append(answer.unsettled)
            case "archived":
                archived.extend((answer.archived.job, archive) for archive in answer.archived.archives)
    return archived


async def _look_at_results(
    services: Services, found: Look, archived: Sequence[Pair], *, since: datetime, repair: bool
) -> None:
    if services.results is None:
        found.findings.append(_away(Service.RESULT_ARCHIVER, "UDC_ARCHIVER is not set"))
        return
    stamp = timestamp(since)
    verified = await _verify(services, found, results_pb2.VerifyResultsRequest(since=stamp, repair=repair))
    # The archiver was done before the router knew: what it archived just before ``since`` is asked for by name.
    jobs = sorted({job for job, _ in without_record(archived, verified)})
    for start in range(0, len(jobs), _JOBS_AT_ONCE):
        named = jobs[start : start + _JOBS_AT_ONCE]
        verified |= await _verify(services, found, results_pb2.VerifyResultsRequest(jobs=named, repair=repair))
    found.findings.extend(
        pb.Finding(
            kind=pb.FINDING_KIND_RESULT_UNKNOWN,
            about=f"jobs/{job}/archives/{archive}",
            detail=f"the router says that archive {archive} holds the result, and the archiver has no record of it",
        )
        for job, archive in without_record(archived, verified)
    )


async def _verify(services: Services, found: Look, request: results_pb2.VerifyResultsRequest) -> set[Pair]:
    verified: set[Pair] = set()
    if services.results is None:
        return verified
    async for answer in services.results.VerifyResults(request):
        if answer.HasField("finding"):
            found.findings.append(answer.finding)
        else:
            verified.add((answer.verified.job, answer.verified.archive))
    return verified


async def _look_at_events(services: Services, found: Look, *, repair: bool) -> None:
    outboxes = await _outboxes(services, found)
    published = {outbox.source: outbox.last_published for outbox in outboxes.values()}
    journal: surveillance_pb2.GetJournalStatusResponse | None = None
    async with _asking(found, Service.SURVEILLANCE_REPORTER):
        journal = await _journal(services)
    waiting = {service: outbox for service, outbox in outboxes.items() if outbox.waiting}
    if waiting or (journal is not None and not_journaled(published, journal)):
        await asyncio.sleep(_SETTLE_S)
        async with _asking(found, Service.SURVEILLANCE_REPORTER):
            journal = await _journal(services)
        later = await _outboxes(services, Look())
        found.findings.extend(_stalled(waiting, later))
    if journal is None:
        return
    producers = {outbox.source: service for service, outbox in outboxes.items()}
    for missing in not_journaled(published, journal):
        found.findings.append(await _missing_events(services, producers[missing.source], missing, repair=repair))
    for lost in journal.lost:
        found.findings.append(
            _events(Range(lost.source, lost.first, lost.last), "were published, never arrived, and are no longer kept")
        )


async def _journal(services: Services) -> surveillance_pb2.GetJournalStatusResponse:
    answer: surveillance_pb2.GetJournalStatusResponse = await services.surveillance().GetJournalStatus(
        surveillance_pb2.GetJournalStatusRequest()
    )
    return answer


async def _outboxes(services: Services, found: Look) -> dict[Service, events_service_pb2.GetOutboxResponse]:
    outboxes: dict[Service, events_service_pb2.GetOutboxResponse] = {}
    for service, events in services.events().items():
        async with _asking(found, service):
            outboxes[service] = await events.GetOutbox(events_service_pb2.GetOutboxRequest())
    return outboxes


def _stalled(
    before: Mapping[Service, events_service_pb2.GetOutboxResponse],
    after: Mapping[Service, events_service_pb2.GetOutboxResponse],
) -> Iterator[pb.Finding]:
    for service, outbox in before.items():
        later = after.get(service)
        if later is not None and later.waiting and later.last_published == outbox.last_published:
            yield pb.Finding(
                kind=pb.FINDING_KIND_OUTBOX_STALLED,
                about=f"services/{service}",
                detail=f"{later.waiting} events wait to be published, and none was in {_SETTLE_S:g} s",
            )


async def _missing_events(services: Services, service: Service, missing: Range, *, repair: bool) -> pb.Finding:
    finding = _events(missing, "were published and are not in the journal")
    if not repair:
        return finding
    try:
        for first in range(missing.first, missing.last + 1, _EVENTS_AT_ONCE):
            last = min(first + _EVENTS_AT_ONCE - 1, missing.last)
            await services.events()[service].Republish(events_service_pb2.RepublishRequest(first=first, last=last))
    except ServiceError as error:
        finding.detail = f"{finding.detail}; they cannot be published again: {error.message}"
    else:
        finding.repair = "they were published again"
    return finding


def _events(events: Range, what: str) -> pb.Finding:
    return pb.Finding(
        kind=pb.FINDING_KIND_EVENT_MISSING,
        about=f"{events.source.removeprefix('/')}/events/{events.first}-{events.last}",
        detail=f"events {events.first} to {events.last} of {events.source} {what}",
    )


@asynccontextmanager
async def _asking(found: Look, service: Service) -> AsyncIterator[None]:
    """Note that a service is away; whatever else it answers is for the caller."""
    try:
        yield
    except ServiceError as error:
        if error.kind not in _AWAY:
            raise
        found.findings.append(_away(service, error.message))


def _away(service: Service, why: str) -> pb.Finding:
    return pb.Finding(kind=pb.FINDING_KIND_SERVICE_AWAY, about=f"services/{service}", detail=f"not compared: {why}")
