"""Manifests, stack descriptions and results in the object store."""

from collections import OrderedDict
from typing import Final

from pydantic import ValidationError

from udckit.errors import InvalidRequestError
from udckit.objects import Objects
from udcmodel.codec import decode_stack, encode_result
from udcmodel.golden import GoldenCases, parse_golden
from udcmodel.manifest import Manifest
from udcmodel.result import AiResult
from udcmodel.stack import StackDescriptor

_KEPT_MANIFESTS: Final = 64


class StoredArtefacts:
    """Reads and writes by digest; the store proves that the bytes are those of the digest.

    Args:
        objects: Where they are.
        cases: Where golden cases are.
    """

    def __init__(self, objects: Objects, cases: Objects) -> None:
        self._objects = objects
        self._cases = cases
        self._manifests: OrderedDict[str, Manifest] = OrderedDict()

    async def manifest(self, digest: str) -> Manifest:
        """Return a manifest; see ``ports.Artefacts``."""
        known = self._manifests.get(digest)
        if known is not None:
            return known
        try:
            manifest = Manifest.from_canonical(await self._objects.get(digest))
        except ValidationError as error:
            raise InvalidRequestError(f"the object {digest} is no manifest of this version", digest=digest) from error
        self._manifests[digest] = manifest
        if len(self._manifests) > _KEPT_MANIFESTS:
            self._manifests.popitem(last=False)
        return manifest

    async def golden(self, digest: str) -> GoldenCases:
        """Return golden cases; see ``ports.Artefacts``."""
        return parse_golden(await self._cases.get(digest))

    async def stack(self, digest: str) -> StackDescriptor:
        """Return the description of a stack; see ``ports.Artefacts``."""
        return decode_stack(await self._objects.get(digest))

    async def keep(self, result: AiResult) -> str:
        """Keep a result durably and return its digest."""
        return await self._objects.put(encode_result(result))
