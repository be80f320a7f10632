"""The router's job API."""

from collections.abc import Sequence
from typing import Any

from result_archiver.ports import Line
from udc.router.v1 import jobs_pb2, jobs_pb2_grpc


class GrpcRouter:
    """Asks the study router.

    Args:
        channel: To its address, as made by ``udckit.grpc_client.open_channel``.
    """

    def __init__(self, channel: Any) -> None:
        self._jobs = jobs_pb2_grpc.JobsServiceStub(channel)

    async def begin_archiving(self, job: str, result_digest: str, sop_instance_uids: Sequence[str]) -> Line:
        """Ask for the line to be crossed."""
        request = jobs_pb2.BeginArchivingRequest(
            job=job, result_digest=result_digest, sop_instance_uids=sop_instance_uids
        )
        answer = await self._jobs.BeginArchiving(request)
        return Line(granted=answer.granted, reason=answer.reason, detail=answer.detail)
