"""One job: from the dispatch to a kept result, or to the reason why there is none."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from model_serving.domain.failure import Reason, RunFailedError, failed, refused
from model_serving.domain.prepare import plan_tensor
from model_serving.domain.processing_version import PROCESSING_VERSION
from model_serving.domain.progress import Progress
from model_serving.domain.run import Abandoned, Abandonment, Dispatch, Ending, Inferred, Returned
from model_serving.ports import (
    ArchiveAwayError,
    Artefacts,
    Images,
    NotActivatedError,
    PinnedModel,
    Registry,
    Runs,
    StackRequest,
)
from model_serving.usecases.abandonment import CanceledError, InFlight
from model_serving.usecases.archives import Archives
from model_serving.usecases.inference import Inference
from model_serving.usecases.models import Models
from model_serving.usecases.progress import reporting
from udckit.clock import Clock
from udckit.errors import InvalidRequestError
from udcmodel import result as results
from udcmodel.grant import Grant, Refused, check_grant
from udcmodel.manifest import ImageInput, Manifest
from udcmodel.result import AiResult, Provenance, SourceInstance
from udcmodel.stack import StackDescriptor
from udcmodel.vocabulary import InputKind, Presence

PROGRESS_EVERY_S: Final = 2.0


class _RefusedError(Exception):
    def __init__(self, refusal: Refused) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJob:
    """Run one attempt at a job, and tell every ``progress_every_s`` seconds how far it is.

    After its deadline, or when somebody cancels it, the attempt stops wherever it is and reports nothing.
    """

    registry: Registry
    artefacts: Artefacts
    images: Images
    archives: Archives
    infer: Inference
    models: Models
    runs: Runs
    in_flight: InFlight
    clock: Clock
    progress_every_s: float = PROGRESS_EVERY_S

    async def __call__(self, dispatch: Dispatch) -> Ending:
        """Work until there is an ending.

        Raises:
            ServiceError: something this needs is away or forbids it now; the same attempt may go on later.
        """
        left_s = (dispatch.deadline - self.clock.now()).total_seconds()
        if left_s <= 0:
            return Abandoned(Abandonment.EXPIRED)
        try:
            with self.in_flight.cancelable(dispatch.job, dispatch.attempt):
                async with asyncio.timeout(left_s) as limit:
                    return await self._run(dispatch)
        except CanceledError:
            return Abandoned(Abandonment.CANCELED)
        except TimeoutError:
            if not limit.expired():
                raise
            return Abandoned(Abandonment.EXPIRED)

    async def _run(self, dispatch: Dispatch) -> Ending:
        try:
            self._refuse_if_not_granted(dispatch)
            if not await self.runs.begin(dispatch):
                return Abandoned(Abandonment.STALE)
            return await self._infer(dispatch)
        except _RefusedError as error:
            return refused(error.refusal)
        except RunFailedError as error:
            return failed(error)
        except (ArchiveAwayError, NotActivatedError) as error:
            return self._given_back(error)

    async def _infer(self, dispatch: Dispatch) -> Inferred:
        manifest = await self.artefacts.manifest(dispatch.grant.manifest_digest)
        stacks = await self._stacks(dispatch, manifest)
        requests = [self._request(item, stacks[item.name]) for item in manifest.inputs]
        progress = Progress(sum(len(request.plan.frames) for request in requests))
        requests = [replace(request, image_came=progress.image_came) for request in requests]
        async with (
            self.models.used(pinned(dispatch.grant, manifest), manifest) as model,
            reporting(progress, partial(self.runs.progressed, dispatch), every_s=self.progress_every_s),
        ):
            answered = await self.infer(
                manifest,
                model,
                requests,
                images=self.images,
                # Retrieval may take minutes; what was stopped meanwhile does not begin.
                before_infer=lambda: self._refuse_if_not_granted(dispatch),
                enter=progress.enter,
            )
        interpretation = answered.interpretation
        result = AiResult(
            provenance=Provenance(
                job=dispatch.job,
                device=dispatch.grant.device,
                version=dispatch.grant.version,
                manifest_digest=dispatch.grant.manifest_digest,
                model_digest=dispatch.grant.model_digest,
                processing_version=PROCESSING_VERSION,
                input_digests=dispatch.grant.input_digests,
            ),
            language=manifest.language,
            findings=tuple(interpretation.findings),
            segments=tuple(interpretation.segments),
            texts=tuple(interpretation.texts),
            quality_flags=tuple(interpretation.quality_flags),
            timings=answered.timings,
            sources=_sources(stacks.values()),
        )
        try:
            results.check(result)
        except InvalidRequestError as error:
            raise RunFailedError(Reason.RESULT_IMPOSSIBLE, error.message) from error
        inference = next(timing for timing in answered.timings if timing.stage == "infer")
        probabilities = [finding.probability for finding in result.findings if finding.probability is not None]
        return Inferred(
            result_digest=await self.artefacts.keep(result),
            processing_version=PROCESSING_VERSION,
            findings_present=sum(finding.presence is Presence.PRESENT for finding in result.findings),
            findings_undetermined=sum(finding.presence is Presence.UNDETERMINED for finding in result.findings),
            highest_probability=max(probabilities, default=None),
            inference_started_at=inference.started_at,
            inference_ended_at=inference.ended_at,
        )

    def _refuse_if_not_granted(self, dispatch: Dispatch) -> None:
        grant = dispatch.grant
        refusal = check_grant(
            grant,
            device=self.registry.device_version(grant.device, grant.version),
            attachment=self.registry.attachment(grant.attachment),
            now=self.clock.now(),
        )
        if refusal is not None:
            raise _RefusedError(refusal)

    async def _stacks(self, dispatch: Dispatch, manifest: Manifest) -> Mapping[str, StackDescriptor]:
        """Return the stacks by the input's name.

        Raises:
            RunFailedError: the job's inputs are not those that were granted, or not those of the manifest.
        """
        names = sorted(item.name for item in dispatch.inputs)
        wanted = [item.name for item in manifest.inputs]
        is_as_granted = tuple(item.digest for item in dispatch.inputs) == dispatch.grant.input_digests
        is_known = all(item.kind is InputKind.STACK for item in dispatch.inputs)
        if not (is_as_granted and is_known and names == sorted(wanted)):
            raise RunFailedError(Reason.INPUT_UNKNOWN, f"the job's inputs {names} are not the granted {sorted(wanted)}")
        return {item.name: await self.artefacts.stack(item.digest) for item in dispatch.inputs}

    def _request(self, item: ImageInput, stack: StackDescriptor) -> StackRequest:
        return StackRequest(
            stack=stack,
            archive=self.archives.reached(stack.archive),
            plan=plan_tensor(item, stack.frames),
            space=item.values,
        )

    def _given_back(self, error: ArchiveAwayError | NotActivatedError) -> Ending:
        """Free the place of a job that cannot go on now, so that others can; the router lets it wait."""
        if isinstance(error, ArchiveAwayError):
            self.archives.lost(error)
        return Returned(reason=error.reason, detail=error.message)


def pinned(grant: Grant, manifest: Manifest) -> PinnedModel:
    """Return the model that a grant allows."""
    return PinnedModel(
        device=grant.device,
        version=grant.version,
        name=manifest.model.name,
        number=manifest.model.version,
        digest=grant.model_digest,
    )


def _sources(stacks: Iterable[StackDescriptor]) -> tuple[SourceInstance, ...]:
    """Return the instances of ``stacks``, each once, in order."""
    found: dict[str, SourceInstance] = {}
    for stack in stacks:
        for frame in stack.frames:
            found.setdefault(
                frame.sop_instance_uid,
                SourceInstance(
                    sop_class_uid=frame.sop_class_uid,
                    sop_instance_uid=frame.sop_instance_uid,
                    series_instance_uid=stack.series_instance_uid,
                    study_instance_uid=stack.study_instance_uid,
                ),
            )
    return tuple(found.values())
