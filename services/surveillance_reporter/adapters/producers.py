"""The services that told what is missing."""

from collections.abc import Sequence

from udc.events.v1 import events_service_pb2 as pb
from udc.events.v1.events_service_pb2_grpc import EventsServiceStub
from udckit.errors import Kind, PreconditionError, ServiceError, UpstreamUnavailableError
from udckit.grpc_client import Channel

_TRY_THE_NEXT = frozenset({Kind.UNAVAILABLE, Kind.OVERLOADED, Kind.TIMED_OUT})


class GrpcProducer:
    """``ports.Producer`` over gRPC: replicas of one service share an outbox, so any of them can answer.

    Args:
        channels: To the replicas, in the order in which they are asked.
    """

    def __init__(self, channels: Sequence[Channel]) -> None:
        if not channels:
            raise PreconditionError("a producer without an address cannot be asked")
        self._replicas = [EventsServiceStub(channel) for channel in channels]

    async def republish(self, first: int, last: int) -> int:
        """Have the events numbered ``first`` to ``last`` published again; return how many.

        Raises:
            NotFoundError: not all of them are kept.
            ServiceError: no replica can be asked now; the error is that of the last.
        """
        away: ServiceError = UpstreamUnavailableError("no replica answers")
        for replica in self._replicas:
            try:
                answer = await replica.Republish(pb.RepublishRequest(first=first, last=last))
            except ServiceError as error:
                if error.kind not in _TRY_THE_NEXT:
                    raise
                away = error
            else:
                return int(answer.published)
        raise away
