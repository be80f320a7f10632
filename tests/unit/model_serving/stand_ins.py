"""Small stand-ins for what a run needs, with lists one can look into."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from model_serving.domain.progress import Reached
from model_serving.domain.run import Dispatch, JobInput
from udckit.errors import NotFoundError
from udckit.replica import StaleReplicaError
from udcmodel.codec import encode_result, encode_stack
from udcmodel.golden import GoldenCases
from udcmodel.grant import ArchiveRecord, AttachmentRecord, Certificate, DeviceVersionRecord, Grant
from udcmodel.ids import digest_of
from udcmodel.manifest import Manifest
from udcmodel.result import AiResult
from udcmodel.stack import StackDescriptor
from udcmodel.vocabulary import InputKind, Mode, Priority

T = TypeVar("T")

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class HandClock:
    """A clock that somebody turns."""

    time: datetime = NOON

    def now(self) -> datetime:
        return self.time


@dataclass
class PlainRegistry:
    """The registry as dictionaries."""

    versions: dict[tuple[str, str], DeviceVersionRecord] = field(default_factory=dict)
    attachments: dict[str, AttachmentRecord] = field(default_factory=dict)
    archives: dict[str, ArchiveRecord] = field(default_factory=dict)
    is_stale: bool = False

    def device_version(self, device: str, version: str) -> DeviceVersionRecord | None:
        self._require_fresh()
        return self.versions.get((device, version))

    def attachment(self, attachment: str) -> AttachmentRecord | None:
        self._require_fresh()
        return self.attachments.get(attachment)

    def archive(self, archive: str) -> ArchiveRecord | None:
        self._require_fresh()
        return self.archives.get(archive)

    def _require_fresh(self) -> None:
        if self.is_stale:
            raise StaleReplicaError("the copy is old")


@dataclass
class PlainArtefacts:
    """Artefacts in dictionaries."""

    manifests: dict[str, Manifest] = field(default_factory=dict)
    stacks: dict[str, StackDescriptor] = field(default_factory=dict)
    results: dict[str, AiResult] = field(default_factory=dict)
    goldens: dict[str, GoldenCases] = field(default_factory=dict)

    async def manifest(self, digest: str) -> Manifest:
        return _found(self.manifests, digest)

    async def stack(self, digest: str) -> StackDescriptor:
        return _found(self.stacks, digest)

    async def golden(self, digest: str) -> GoldenCases:
        return _found(self.goldens, digest)

    async def keep(self, result: AiResult) -> str:
        digest = digest_of(encode_result(result))
        self.results[digest] = result
        return digest

    def add_stack(self, stack: StackDescriptor) -> str:
        digest = digest_of(encode_stack(stack))
        self.stacks[digest] = stack
        return digest


def _found(things: Mapping[str, T], digest: str) -> T:
    if digest not in things:
        raise NotFoundError(f"there is no object {digest}")
    return things[digest]


@dataclass
class PlainRuns:
    """Attempts that began."""

    begun: list[Dispatch] = field(default_factory=list)
    newest: dict[str, int] = field(default_factory=dict)
    told: list[tuple[str, Reached]] = field(default_factory=list)
    has_told: asyncio.Event = field(default_factory=asyncio.Event)

    async def begin(self, dispatch: Dispatch) -> bool:
        if self.newest.get(dispatch.job, 0) > dispatch.attempt:
            return False
        self.newest[dispatch.job] = dispatch.attempt
        self.begun.append(dispatch)
        return True

    async def progressed(self, dispatch: Dispatch, reached: Reached) -> None:
        self.told.append((dispatch.job, reached))
        self.has_told.set()


def granted(
    manifest: Manifest,
    model_digest: str,
    stacks: Sequence[StackDescriptor],
    registry: PlainRegistry,
    artefacts: PlainArtefacts,
    *,
    now: datetime = NOON,
    job: str = "job-1",
    within_s: float = 60.0,
) -> Dispatch:
    """A job on ``stacks`` that the registry allows, its artefacts stored."""
    artefacts.manifests[manifest.digest] = manifest
    digests = tuple(artefacts.add_stack(stack) for stack in stacks)
    certificate = Certificate(
        number="РЗН 2026/1",
        valid_from=now - timedelta(days=1),
        valid_until=None,
        versions=(manifest.version,),
        holder="",
        source="test",
        checked_at=now,
    )
    registry.versions[manifest.device, manifest.version] = DeviceVersionRecord(
        device=manifest.device,
        version=manifest.version,
        manifest_digest=manifest.digest,
        model_digest=model_digest,
        is_medical_device=True,
        is_suspended=False,
        suspension_reason="",
        certificate=certificate,
    )
    registry.attachments["attachment-1"] = AttachmentRecord(
        attachment="attachment-1",
        revision=1,
        device=manifest.device,
        version=manifest.version,
        mode=Mode.LIVE,
        is_suspended=False,
        organisations=(),
    )
    return Dispatch(
        job=job,
        attempt=1,
        deadline=now + timedelta(seconds=within_s),
        priority=Priority.ROUTINE,
        grant=Grant(
            job=job,
            device=manifest.device,
            version=manifest.version,
            attachment="attachment-1",
            attachment_revision=1,
            organisation="1.2.643.5.1.13.13.12.2.77.1",
            mode=Mode.LIVE,
            manifest_digest=manifest.digest,
            model_digest=model_digest,
            input_digests=digests,
            valid_until=now + timedelta(hours=1),
        ),
        inputs=tuple(
            JobInput(name=item.name, kind=InputKind.STACK, digest=digest, archive=stack.archive)
            for item, digest, stack in zip(manifest.inputs, digests, stacks, strict=True)
        ),
    )
