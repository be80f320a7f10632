"""Results, manifests and stacks from the object store."""

import asyncio

from pydantic import ValidationError

from result_archiver.domain.failure import CannotArchiveError, FailureReason
from result_archiver.domain.objects import DeviceDescription
from udckit.errors import InvalidRequestError, NotFoundError
from udckit.objects import Objects
from udcmodel import codec
from udcmodel.grant import Grant
from udcmodel.manifest import Manifest
from udcmodel.result import AiResult, check


class StoredContents:
    """What a result points to.

    Args:
        objects: The object store; it checks every object against its digest.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def result(self, digest: str) -> AiResult:
        """Return a checked result."""
        content = await self._get(digest, "result")
        try:
            # Unpacking every plane of a large result takes long enough to hold up the loop.
            return await asyncio.to_thread(_checked, content)
        except InvalidRequestError as error:
            raise CannotArchiveError(FailureReason.RESULT_INVALID, error.message) from error

    async def description(self, grant: Grant) -> DeviceDescription:
        """Return how the device of a grant is called, from its manifest."""
        content = await self._get(grant.manifest_digest, "manifest")
        try:
            manifest = Manifest.from_canonical(content)
        except ValidationError as error:
            raise CannotArchiveError(
                FailureReason.RESULT_INVALID, f"the manifest of {grant.device} {grant.version} cannot be read"
            ) from error
        return DeviceDescription(
            device=manifest.device,
            version=manifest.version,
            title=manifest.title.ru,
            manufacturer=manifest.vendor.name,
            model_digest=grant.model_digest,
            finding_titles={finding.code: finding.title.ru for finding in manifest.findings},
        )

    async def study_instance_uid(self, stack_digest: str) -> str:
        """Return the Study Instance UID of a stack."""
        content = await self._get(stack_digest, "description of the input")
        try:
            return codec.decode_stack(content).study_instance_uid
        except InvalidRequestError as error:
            raise CannotArchiveError(FailureReason.RESULT_INVALID, error.message) from error

    async def _get(self, digest: str, what: str) -> bytes:
        try:
            return await self._objects.get(digest)
        except NotFoundError as error:
            raise CannotArchiveError(FailureReason.RESULT_MISSING, f"the {what} is no longer kept") from error


def _checked(content: bytes) -> AiResult:
    result = codec.decode_result(content)
    check(result)
    return result
