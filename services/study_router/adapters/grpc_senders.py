# ruff: noqa: ARG002, N802 gRPC prescribes names and signatures
"""``SenderProfilesService``: translate, call, translate."""

from dataclasses import dataclass
from typing import Any

from study_router.domain.sender_profiles import RegisteredProfile
from study_router.usecases.profiling import PutSenderProfile, ReadSenderProfiles, RemoveSenderProfile
from udc.router.v1 import senders_pb2, senders_pb2_grpc


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderProfilesApi(senders_pb2_grpc.SenderProfilesServiceServicer):
    """What those who send images really send."""

    put: PutSenderProfile
    remove: RemoveSenderProfile
    profiles: ReadSenderProfiles

    async def PutSenderProfile(
        self, request: senders_pb2.PutSenderProfileRequest, context: Any
    ) -> senders_pb2.PutSenderProfileResponse:
        """Put a profile into use."""
        profile, changed = await self.put(organisation=request.organisation, source=request.profile_yaml)
        return senders_pb2.PutSenderProfileResponse(profile=_to_proto(profile), changed=changed)

    async def ListSenderProfiles(
        self, request: senders_pb2.ListSenderProfilesRequest, context: Any
    ) -> senders_pb2.ListSenderProfilesResponse:
        """List the profiles in use."""
        found = await self.profiles(organisation=request.organisation)
        return senders_pb2.ListSenderProfilesResponse(profiles=map(_to_proto, found))

    async def RemoveSenderProfile(
        self, request: senders_pb2.RemoveSenderProfileRequest, context: Any
    ) -> senders_pb2.RemoveSenderProfileResponse:
        """Take a profile out of use."""
        await self.remove(organisation=request.organisation, profile=request.profile)
        return senders_pb2.RemoveSenderProfileResponse()


def _to_proto(profile: RegisteredProfile) -> senders_pb2.SenderProfile:
    return senders_pb2.SenderProfile(
        profile=profile.content.profile,
        organisation=profile.organisation,
        revision=profile.revision,
        profile_yaml=profile.source.encode("utf-8"),
    )
