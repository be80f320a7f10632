"""The gRPC service ``udc.archive.v1.ResultsService``."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from result_archiver.adapters.tables import DELIVERIES, OBJECTS, PROOFS, RESULTS
from result_archiver.domain.delivery import State
from result_archiver.usecases.verify_results import Verified, VerifyResults
from udc.archive.v1 import results_pb2, results_pb2_grpc
from udc.reconciliation.v1 import finding_pb2
from udckit.database import Database
from udckit.errors import InvalidRequestError, NotFoundError
from udcmodel.codec import moment, timestamp

_STATES: Final = {
    State.BUILT: results_pb2.DELIVERY_STATE_BUILT,
    State.STORING: results_pb2.DELIVERY_STATE_STORING,
    State.ARCHIVED: results_pb2.DELIVERY_STATE_ARCHIVED,
    State.STOPPED: results_pb2.DELIVERY_STATE_STOPPED,
    State.FAILED: results_pb2.DELIVERY_STATE_FAILED,
}


class ResultsApi(results_pb2_grpc.ResultsServiceServicer):
    """Answers questions about results from the archiver's record.

    Args:
        database: The archiver's.
        verify: Asks the archives.
    """

    def __init__(self, database: Database, verify: VerifyResults) -> None:
        self._database = database
        self._verify = verify

    async def GetResult(self, request: results_pb2.GetResultRequest, context: Any) -> results_pb2.GetResultResponse:  # noqa: N802, ARG002 gRPC's name and signature
        """Return the newest delivery of a job's result and its objects."""
        return await self._database.read(lambda connection: _result(connection, request.job))

    async def VerifyResults(  # noqa: N802 gRPC's name
        self,
        request: results_pb2.VerifyResultsRequest,
        context: Any,  # noqa: ARG002 gRPC's signature
    ) -> AsyncIterator[results_pb2.VerifyResultsResponse]:
        """Stream every archived result, and the objects that are not where they should be."""
        if not request.HasField("since") and not request.jobs:
            raise InvalidRequestError("since and jobs are missing")
        results = self._verify(since=moment(request.since), jobs=request.jobs, repair=request.repair)
        async for verified in results:
            for finding in _findings(verified):
                yield results_pb2.VerifyResultsResponse(finding=finding)
            yield results_pb2.VerifyResultsResponse(
                verified=results_pb2.VerifiedResult(
                    job=verified.key.job, archive=verified.key.archive, objects=verified.objects
                )
            )


def _findings(verified: Verified) -> Iterator[finding_pb2.Finding]:
    key = verified.key
    for absent in verified.absent:
        yield finding_pb2.Finding(
            kind=finding_pb2.FINDING_KIND_OBJECT_MISSING,
            about=f"jobs/{key.job}/objects/{absent.encoded.sop_instance_uid}",
            detail=f"archive {key.archive} confirmed the {absent.encoded.kind} and does not have it",
            repair=absent.repair,
        )
    if verified.away:
        yield finding_pb2.Finding(
            kind=finding_pb2.FINDING_KIND_ARCHIVE_AWAY,
            about=f"jobs/{key.job}/archives/{key.archive}",
            detail=verified.away,
        )


def _result(connection: Connection, job: str) -> results_pb2.GetResultResponse:
    delivery = connection.execute(
        select(DELIVERIES)
        .where(DELIVERIES.c.job == job)
        .order_by(DELIVERIES.c.created_at.desc(), DELIVERIES.c.archive)
        .limit(1)
    ).one_or_none()
    if delivery is None:
        raise NotFoundError(f"nothing was archived for job {job}", job=job)
    result = connection.execute(
        select(RESULTS).where(RESULTS.c.job == job, RESULTS.c.result_digest == delivery.result_digest)
    ).one_or_none()
    return results_pb2.GetResultResponse(
        job=job,
        archive=delivery.archive,
        state=_STATES[State(delivery.state)],
        reason=delivery.reason,
        study_instance_uid=result.study_instance_uid if result else "",
        objects=_objects(connection, delivery),
    )


def _objects(connection: Connection, delivery: Row[Any]) -> list[results_pb2.ResultObject]:
    proof = (
        (PROOFS.c.job == OBJECTS.c.job)
        & (PROOFS.c.result_digest == OBJECTS.c.result_digest)
        & (PROOFS.c.sop_instance_uid == OBJECTS.c.sop_instance_uid)
        & (PROOFS.c.archive == delivery.archive)
    )
    rows = connection.execute(
        select(
            OBJECTS.c.kind,
            OBJECTS.c.sop_class_uid,
            OBJECTS.c.sop_instance_uid,
            OBJECTS.c.series_instance_uid,
            OBJECTS.c.digest,
            PROOFS.c.stored_at,
            PROOFS.c.verified_at,
        )
        .select_from(OBJECTS.outerjoin(PROOFS, proof))
        .where(OBJECTS.c.job == delivery.job, OBJECTS.c.result_digest == delivery.result_digest)
        .order_by(OBJECTS.c.position)
    )
    return [_object(row) for row in rows]


def _object(row: Any) -> results_pb2.ResultObject:
    return results_pb2.ResultObject(
        kind=row.kind,
        sop_class_uid=row.sop_class_uid,
        sop_instance_uid=row.sop_instance_uid,
        series_instance_uid=row.series_instance_uid,
        digest=row.digest,
        stored_at=timestamp(row.stored_at) if row.stored_at else None,
        verified_at=timestamp(row.verified_at) if row.verified_at else None,
    )
