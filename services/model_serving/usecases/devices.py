"""What people ask of a worker about one device version: check it, load it, unload it. Never on a patient's data."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from model_serving.domain.failure import RunFailedError
from model_serving.domain.golden import CaseResult
from model_serving.ports import Artefacts, PinnedModel, Registry
from model_serving.usecases.golden import ProveGolden, verdict_of
from model_serving.usecases.models import Models, ModelStatus
from udckit.errors import NotFoundError, PreconditionError
from udcmodel.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class ManageDevices:
    """Check, load and unload registered versions."""

    registry: Registry
    artefacts: Artefacts
    models: Models
    golden: ProveGolden

    async def load(self, device: str, version: str) -> ModelStatus:
        """Load and prove a version, as its first job would.

        Raises:
            NotFoundError: it is not registered.
            PreconditionError: its model cannot be loaded, or fails on a phantom.
            ServiceError: something this needs is away.
        """
        model, manifest = await self._registered(device, version)
        try:
            return await self.models.load(model, manifest)
        except RunFailedError as error:
            raise PreconditionError(str(error), device=device, version=version) from error

    async def unload(self, device: str, version: str) -> None:
        """Take a version's model out of memory; raises as ``load`` does."""
        model, _ = await self._registered(device, version)
        try:
            await self.models.unload(model)
        except RunFailedError as error:
            raise PreconditionError(str(error), device=device, version=version) from error

    async def check(self, device: str, version: str) -> AsyncGenerator[CaseResult, None]:
        """Run the golden cases of a version now; afterwards it is activated here or not, by what they gave.

        Raises:
            NotFoundError: it is not registered, or has no golden cases.
            PreconditionError: its model cannot be loaded, or gives no answer.
            ServiceError: something this needs is away.
        """
        model, manifest = await self._registered(device, version)
        results: list[CaseResult] = []
        try:
            await self.models.prove(model, manifest)
            async with aclosing(self.golden.run(model, manifest)) as running:
                async for result in running:
                    results.append(result)
                    yield result
        except RunFailedError as error:
            raise PreconditionError(str(error), device=device, version=version) from error
        if not results:
            raise NotFoundError(f"device {device} {version} has no golden cases", device=device, version=version)
        self.models.judged(model, verdict_of(results))

    async def _registered(self, device: str, version: str) -> tuple[PinnedModel, Manifest]:
        record = self.registry.device_version(device, version)
        if record is None:
            raise NotFoundError(f"there is no device {device} {version}", device=device, version=version)
        manifest = await self.artefacts.manifest(record.manifest_digest)
        model = PinnedModel(
            device=device,
            version=version,
            name=manifest.model.name,
            number=manifest.model.version,
            digest=record.model_digest,
        )
        return model, manifest
