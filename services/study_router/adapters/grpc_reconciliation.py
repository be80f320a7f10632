# ruff: noqa: ARG002, N802 gRPC prescribes names and signatures
"""``ReconciliationService``: translate, call, translate."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from study_router.domain.reconciliation import Finding, Unsettled
from study_router.usecases.reconciling import CompareArchives, CompareOutcomes, ListArchived
from udc.reconciliation.v1 import finding_pb2
from udc.router.v1 import reconciliation_pb2, reconciliation_pb2_grpc
from udckit.errors import InvalidRequestError
from udcmodel.codec import moment

_PREFIX: Final = "FINDING_KIND_"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationApi(reconciliation_pb2_grpc.ReconciliationServiceServicer):
    """Archives, index, outcomes and jobs."""

    archives: CompareArchives
    outcomes: CompareOutcomes
    archived: ListArchived

    async def ReconcileStudies(
        self, request: reconciliation_pb2.ReconcileStudiesRequest, context: Any
    ) -> AsyncIterator[reconciliation_pb2.ReconcileStudiesResponse]:
        """Stream what does not agree, then what was archived."""
        if not request.HasField("since"):
            raise InvalidRequestError("since is missing")
        since = moment(request.since)
        for compare in (self.archives, self.outcomes):
            async for found in compare(since=since, repair=request.repair):
                yield _to_proto(found)
        async for job in self.archived(since=since):
            archived = reconciliation_pb2.ArchivedJob(job=job.job, archives=job.destinations)
            yield reconciliation_pb2.ReconcileStudiesResponse(archived=archived)


def _to_proto(found: Finding | Unsettled) -> reconciliation_pb2.ReconcileStudiesResponse:
    if isinstance(found, Unsettled):
        return reconciliation_pb2.ReconcileStudiesResponse(unsettled=found.about)
    finding = finding_pb2.Finding(
        kind=f"{_PREFIX}{found.kind.value}", about=found.about, detail=found.detail, repair=found.repair
    )
    return reconciliation_pb2.ReconcileStudiesResponse(finding=finding)
