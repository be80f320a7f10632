"""Golden cases: a device version runs here only while it says on them what its vendor promised."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from model_serving.domain.failure import CONSEQUENCES, RunFailedError
from model_serving.domain.golden import CaseResult, failed_case, judge
from model_serving.domain.prepare import plan_tensor
from model_serving.ports import (
    Artefacts,
    CaseImages,
    GoldenRuns,
    NotActivatedError,
    PinnedModel,
    Proof,
    Registry,
    StackRequest,
)
from model_serving.usecases.inference import Inference
from udckit.clock import Clock
from udckit.errors import NotFoundError
from udcmodel.golden import GoldenCase, GoldenCases
from udcmodel.grant import ArchiveRecord
from udcmodel.manifest import Manifest

PASSED = "passed"
NONE_REGISTERED = "none registered"
NOT_RUN = "not run yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a version may run here, and why (not)."""

    is_passed: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProveGolden:
    """Run golden cases through the chain that patients' images take, and keep what they gave.

    Attributes:
        processing_build: Digest of everything that turns images and answers into results here. When it changes, the
            cases are run again, whether or not somebody thought of raising a version.
    """

    registry: Registry
    artefacts: Artefacts
    images: CaseImages
    infer: Inference
    runs: GoldenRuns
    clock: Clock
    processing_build: str

    async def __call__(self, model: PinnedModel, manifest: Manifest) -> Verdict:
        """Say whether a loaded version may run here; its cases are run unless this very combination has passed.

        Raises:
            RunFailedError: the model did not answer; that is no verdict.
            ServiceError: something this needs is away.
        """
        proof = self._proof(model)
        if proof is None:
            return Verdict(is_passed=True, text=NONE_REGISTERED)
        if await self.runs.has_passed(proof):
            return Verdict(is_passed=True, text=PASSED)
        async with aclosing(self.run(model, manifest)) as results:
            return verdict_of([result async for result in results])

    async def run(self, model: PinnedModel, manifest: Manifest) -> AsyncGenerator[CaseResult, None]:
        """Run every case of a loaded version, and record the run once all have given something."""
        proof = self._proof(model)
        if proof is None:
            return
        results: list[CaseResult] = []
        for case in (await self._cases(proof)).cases:
            result = await self._run_case(model, manifest, case)
            results.append(result)
            yield result
        await self.runs.record(proof, results, at=self.clock.now())

    def _proof(self, model: PinnedModel) -> Proof | None:
        record = self.registry.device_version(model.device, model.version)
        if record is None or not record.golden_digest:
            return None
        return Proof(model=model, golden_digest=record.golden_digest, processing_build=self.processing_build)

    async def _cases(self, proof: Proof) -> GoldenCases:
        try:
            return await self.artefacts.golden(proof.golden_digest)
        except NotFoundError as error:
            raise NotActivatedError(
                f"the golden cases of {proof.model.device} {proof.model.version} are kept no more; register it again"
            ) from error

    async def _run_case(self, model: PinnedModel, manifest: Manifest, case: GoldenCase) -> CaseResult:
        try:
            requests = [
                StackRequest(
                    stack=(stack := await self.images.stack(case.inputs[item.name])),
                    archive=ArchiveRecord(archive=stack.archive, dicomweb_url="", credentials="", profile=""),
                    plan=plan_tensor(item, stack.frames),
                    space=item.values,
                )
                for item in manifest.inputs
            ]
            answered = await self.infer(manifest, model, requests, images=self.images)
        except NotFoundError:
            return failed_case(case, "its images are kept no more; register the version again")
        except RunFailedError as error:
            if CONSEQUENCES[error.reason].is_retryable:
                raise
            return failed_case(case, str(error))
        plans = {item.name: request.plan for item, request in zip(manifest.inputs, requests, strict=True)}
        return judge(case, answered.interpretation, plans)


def verdict_of(results: Sequence[CaseResult]) -> Verdict:
    """Return what the results of all cases mean; the first complaint is the reason."""
    complaint = next((result.complaint() for result in results if not result.is_passed), "")
    return Verdict(is_passed=not complaint, text=complaint or PASSED)
