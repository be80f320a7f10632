"""``udc.surveillance.v1``: counts and the state of the journal."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

from grpc import aio

from surveillance_reporter.domain.counting import WITH_CATEGORY, Bucket, Verdict
from surveillance_reporter.ports import Gap, Store, Transaction
from surveillance_reporter.usecases.rebuilding import RebuildCounts
from surveillance_reporter.usecases.reporting import ReportCounts
from udc.events.v1 import job_pb2
from udc.surveillance.v1 import surveillance_pb2 as pb
from udc.surveillance.v1 import surveillance_pb2_grpc
from udckit.errors import InvalidRequestError
from udcmodel import codec
from udcmodel.vocabulary import ERRORS


class SurveillanceApi(surveillance_pb2_grpc.SurveillanceServiceServicer):
    """Answers questions about what was counted."""

    def __init__(self, report: ReportCounts, rebuild: RebuildCounts, store: Store) -> None:
        self._report = report
        self._rebuild = rebuild
        self._store = store

    async def GetCounts(  # noqa: N802 the generated name
        self,
        request: pb.GetCountsRequest,
        context: aio.ServicerContext[pb.GetCountsRequest, pb.GetCountsResponse],  # noqa: ARG002 gRPC's signature
    ) -> pb.GetCountsResponse:
        """Return counts by day, device, version, organisation and mode."""
        report = await self._report(
            first=_day(request.from_day), last=_day(request.to_day), device=request.device or None
        )
        return pb.GetCountsResponse(
            rows=rows_of(report.counts),
            from_day=report.first.isoformat(),
            to_day=report.last.isoformat(),
            zone=self._report.zone.key,
        )

    async def GetJournalStatus(  # noqa: N802 the generated name
        self,
        request: pb.GetJournalStatusRequest,  # noqa: ARG002 it asks for everything
        context: aio.ServicerContext[pb.GetJournalStatusRequest, pb.GetJournalStatusResponse],  # noqa: ARG002 gRPC's signature
    ) -> pb.GetJournalStatusResponse:
        """Return what the journal holds and lacks."""
        return await self._store.read(_status)

    async def RebuildCounts(  # noqa: N802 the generated name
        self,
        request: pb.RebuildCountsRequest,  # noqa: ARG002 it says nothing
        context: aio.ServicerContext[pb.RebuildCountsRequest, pb.RebuildCountsResponse],  # noqa: ARG002 gRPC's signature
    ) -> pb.RebuildCountsResponse:
        """Count anew from the journal."""
        rebuilt = await self._rebuild()
        return pb.RebuildCountsResponse(rows=rebuilt.rows, cases=rebuilt.cases, corrected=rebuilt.corrected)


def rows_of(counts: Mapping[Bucket, int]) -> list[pb.DayCounts]:
    """Return counts as rows of the answer, in order of day, device, version, organisation and mode."""
    rows: dict[tuple[str, ...], list[tuple[Bucket, int]]] = defaultdict(list)
    for bucket, cases in counts.items():
        key = (bucket.day.isoformat(), bucket.device, bucket.version, bucket.organisation, bucket.mode.value)
        rows[key].append((bucket, cases))
    return [_row(rows[key]) for key in sorted(rows)]


def _row(held: Sequence[tuple[Bucket, int]]) -> pb.DayCounts:
    bucket = held[0][0]
    row = pb.DayCounts(
        day=bucket.day.isoformat(),
        device=bucket.device,
        version=bucket.version,
        organisation=bucket.organisation,
        mode=codec.MODE_TO_PROTO[bucket.mode],
        errors=pb.ErrorCounts(),
        verdicts=pb.VerdictCounts(),
    )
    outcomes: dict[job_pb2.Outcome, int] = defaultdict(int)
    categories: dict[tuple[job_pb2.Outcome, job_pb2.ErrorCategory], int] = defaultdict(int)
    for bucket, cases in held:
        outcome = codec.OUTCOME_TO_PROTO[bucket.outcome]
        outcomes[outcome] += cases
        if bucket.outcome in WITH_CATEGORY:
            categories[outcome, _category(bucket)] += cases
        if bucket.outcome in ERRORS:
            _add_error(row.errors, bucket, cases)
        if bucket.verdict is not None:
            _add_verdict(row.verdicts, bucket.verdict, cases)
    row.outcomes.extend(pb.OutcomeCount(outcome=outcome, count=outcomes[outcome]) for outcome in sorted(outcomes))
    row.categories.extend(
        pb.CategoryCount(outcome=key[0], category=key[1], count=categories[key]) for key in sorted(categories)
    )
    return row


def _category(bucket: Bucket) -> job_pb2.ErrorCategory:
    if bucket.category is None:
        return job_pb2.ERROR_CATEGORY_UNSPECIFIED
    return codec.CATEGORY_TO_PROTO[bucket.category]


def _add_error(errors: pb.ErrorCounts, bucket: Bucket, cases: int) -> None:
    if bucket.category is None:
        errors.unattributed += cases
    elif bucket.category.is_fault_of_device:
        errors.of_device += cases
    else:
        errors.not_of_device += cases


def _add_verdict(verdicts: pb.VerdictCounts, verdict: Verdict, cases: int) -> None:
    match verdict:
        case Verdict.NORMAL:
            verdicts.normal += cases
        case Verdict.PATHOLOGY:
            verdicts.pathology += cases
        case Verdict.UNDETERMINED:
            verdicts.undetermined += cases
        case Verdict.UNKNOWN:
            verdicts.unknown += cases


def _status(transaction: Transaction) -> pb.GetJournalStatusResponse:
    producers = transaction.journal.producers()
    return pb.GetJournalStatusResponse(
        rows=sum(producer.rows for producer in producers),
        producers=[
            pb.Producer(
                source=producer.source,
                last_sequence=producer.last_sequence,
                rows=producer.rows,
                last_recorded_at=codec.timestamp(producer.last_recorded_at),
            )
            for producer in producers
        ],
        open_gaps=map(_gap, transaction.journal.open_gaps()),
        lost=map(_gap, transaction.journal.lost()),
    )


def _gap(gap: Gap) -> pb.Gap:
    return pb.Gap(source=gap.source, first=gap.first, last=gap.last)


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidRequestError(f"{text} is not a day such as 2026-03-01") from error
