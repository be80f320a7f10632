"""Brings one accepted result into the archives it is meant for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

from result_archiver.domain.delivery import ENDED, Delivery, DeliveryKey, State
from result_archiver.domain.failure import CannotArchiveError, FailureReason
from result_archiver.domain.header_tags import kept
from result_archiver.domain.identity import identity_of, text_of
from result_archiver.domain.key_images import key_images
from result_archiver.domain.objects import BuildOrder, DicomJson, EncodedObject, ObjectKind, Snapshot
from result_archiver.ports import (
    AcceptedResult,
    Archive,
    Builder,
    Built,
    Contents,
    Difference,
    Ledger,
    OpenArchive,
    Registry,
    Router,
)
from udckit import crash
from udckit.clock import Clock
from udckit.errors import Kind, ServiceError
from udcmodel.grant import ArchiveRecord, Refused, check_grant
from udcmodel.result import AiResult, SourceInstance
from udcmodel.vocabulary import Mode

_SOP_INSTANCE_UID: Final = "00080018"

_WAITING: Final = frozenset({Kind.UNAVAILABLE, Kind.OVERLOADED, Kind.TIMED_OUT})
"""What may be better later; only the deadline ends waiting for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveResult:
    """Build once, cross the line, store, read back.

    Any step may be the last before a crash: the next call with the same result goes on where it ended, with the bytes
    that were committed first.

    Attributes:
        identity_key: Key of ``patient_fingerprint``, shared with the router.
        zone: In which times are written where the study declares no offset.
        builders: By profile of an archive.
    """

    registry: Registry
    contents: Contents
    open_archive: OpenArchive
    router: Router
    ledger: Ledger
    builders: Mapping[str, Builder]
    difference: Difference
    clock: Clock
    identity_key: bytes = field(repr=False)
    zone: ZoneInfo

    async def __call__(self, accepted: AcceptedResult) -> None:
        """Deliver a result to each of its destinations, as far as that is possible now.

        A result in shadow mode has none and is left alone: the router keeps it.

        Raises:
            ServiceError: something is away; call again. The other destinations have been served.
        """
        if accepted.grant.mode is Mode.SHADOW:
            return
        waiting: list[ServiceError] = []
        for archive in accepted.destinations:
            key = DeliveryKey(job=accepted.job, result_digest=accepted.result_digest, archive=archive)
            try:
                await self._deliver(accepted, key)
            except ServiceError as error:
                waiting.append(error)
        if waiting:
            raise waiting[0]

    async def _deliver(self, accepted: AcceptedResult, key: DeliveryKey) -> None:
        delivery = await self.ledger.delivery(key)
        if delivery is not None and delivery.state in ENDED:
            return
        try:
            await self._advance(accepted, key, delivery)
        except CannotArchiveError as error:
            await self.ledger.fail(accepted, key, error.why, error.message, at=self.clock.now())
        except ServiceError as error:
            if error.kind not in _WAITING or self.clock.now() < accepted.deadline:
                raise
            await self.ledger.fail(accepted, key, FailureReason.DEADLINE_PASSED, error.message, at=self.clock.now())

    async def _advance(self, accepted: AcceptedResult, key: DeliveryKey, delivery: Delivery | None) -> None:
        is_past_line = delivery is not None and delivery.state is State.STORING
        if not is_past_line:
            refused = self._refusal(accepted)
            if refused is not None:
                await self.ledger.refuse(accepted, key, refused, at=self.clock.now())
                return
        destination = self._archive_record(key.archive)
        built = await self._built(accepted, key, destination)
        if not is_past_line and not await self._cross_line(key, built):
            return
        await self._store(accepted, key, self.open_archive(destination), built, resumed=is_past_line)

    def _refusal(self, accepted: AcceptedResult) -> Refused | None:
        grant = accepted.grant
        return check_grant(
            grant,
            device=self.registry.device_version(grant.device, grant.version),
            attachment=self.registry.attachment(grant.attachment),
            now=self.clock.now(),
        )

    def _archive_record(self, archive: str) -> ArchiveRecord:
        record = self.registry.archive(archive)
        if record is None:
            raise CannotArchiveError(FailureReason.ARCHIVE_UNKNOWN, f"archive {archive} is not in the registry")
        return record

    async def _built(self, accepted: AcceptedResult, key: DeliveryKey, destination: ArchiveRecord) -> Built:
        """Return the objects to send, building them only if nobody has."""
        built = await self.ledger.built(accepted.job, accepted.result_digest)
        if built is None:
            return await self._build(accepted, key, destination)
        await self.ledger.open(key, at=self.clock.now())
        series, instance = built.witness
        source = self.open_archive(self._archive_record(accepted.source_archive))
        header = await source.header(built.study_instance_uid, series, instance)
        self._check_patient(accepted, [header] if header is not None else [])
        return built

    async def _build(self, accepted: AcceptedResult, key: DeliveryKey, destination: ArchiveRecord) -> Built:
        builder = self.builders.get(destination.profile)
        if builder is None:
            raise CannotArchiveError(
                FailureReason.PROFILE_UNKNOWN, f"archive {key.archive} asks for the profile {destination.profile!r}"
            )
        result = await self.contents.result(accepted.result_digest)
        _check_origin(accepted, result)
        study = await self.contents.study_instance_uid(accepted.stack_digest)
        source = self.open_archive(self._archive_record(accepted.source_archive))
        used = [instance for instance in result.sources if instance.study_instance_uid == study]
        snapshot = await self._snapshot(accepted, source, study, used, result)
        order = BuildOrder(
            study=accepted.study,
            study_instance_uid=study,
            job=accepted.job,
            result_digest=accepted.result_digest,
            result=result,
            device=await self.contents.description(accepted.grant),
            mode=accepted.grant.mode,
            issue=accepted.issue,
            accepted_at=accepted.accepted_at,
            zone=self.zone,
            snapshot=snapshot,
        )
        built = await self.ledger.keep(
            key,
            Built(
                study_instance_uid=study,
                witness=(used[0].series_instance_uid, used[0].sop_instance_uid),
                builder_version=builder.version,
                objects=tuple(await builder(order)),
            ),
            snapshot,
            at=self.clock.now(),
        )
        crash.point("archiver.after_build_commit")
        return built

    async def _snapshot(
        self,
        accepted: AcceptedResult,
        source: Archive,
        study: str,
        used: Sequence[SourceInstance],
        result: AiResult,
    ) -> Snapshot:
        if not used:
            raise CannotArchiveError(FailureReason.RESULT_INVALID, "the result was made from images of other studies")
        found: dict[str, DicomJson] = {}
        for series in dict.fromkeys(instance.series_instance_uid for instance in used):
            found |= {text_of(header, _SOP_INSTANCE_UID): header for header in await source.headers(study, series)}
        missing = sum(instance.sop_instance_uid not in found for instance in used)
        if missing:
            raise CannotArchiveError(
                FailureReason.SOURCE_MISSING, f"{missing} of {len(used)} source images are no longer in the archive"
            )
        headers = [found[instance.sop_instance_uid] for instance in used]
        self._check_patient(accepted, headers)
        series_of = {instance.sop_instance_uid: instance.series_instance_uid for instance in used}
        files: dict[str, bytes] = {}
        for image in key_images(result, study_instance_uid=study):
            uid = image.frame.sop_instance_uid
            content = await source.file(study, series_of[uid], uid)
            if content is None:
                raise CannotArchiveError(FailureReason.SOURCE_MISSING, "a key image is no longer in the archive")
            files[uid] = content
        return Snapshot(headers=tuple(kept(header) for header in headers), key_images=files)

    def _check_patient(self, accepted: AcceptedResult, headers: Sequence[DicomJson]) -> None:
        if not headers:
            raise CannotArchiveError(FailureReason.SOURCE_MISSING, "the source images are no longer in the archive")
        fingerprints = {identity_of(header).fingerprint(self.identity_key) for header in headers}
        if fingerprints != {accepted.patient_fingerprint}:
            raise CannotArchiveError(
                FailureReason.PATIENT_CHANGED, "the study belongs to another patient than when the job was made"
            )

    async def _cross_line(self, key: DeliveryKey, built: Built) -> bool:
        uids = [built_object.sop_instance_uid for built_object in built.objects]
        line = await self.router.begin_archiving(key.job, key.result_digest, uids)
        if not line.granted:
            await self.ledger.stop(key, line, at=self.clock.now())
            return False
        crash.point("archiver.after_begin")
        return await self.ledger.grant(key, at=self.clock.now()) is State.STORING

    async def _store(
        self, accepted: AcceptedResult, key: DeliveryKey, archive: Archive, built: Built, *, resumed: bool
    ) -> None:
        for encoded in built.objects:
            if encoded.kind is ObjectKind.SR:
                crash.point("archiver.before_sr")
            # Only after an interruption can the archive already hold an object of ours.
            if not resumed or not await self._is_stored(archive, built, encoded):
                await archive.store(built.study_instance_uid, encoded)
                await self.ledger.note_stored(key, encoded.sop_instance_uid, at=self.clock.now())
                crash.point(f"archiver.after_stow_{encoded.kind.lower()}")
                if not await self._is_stored(archive, built, encoded):
                    raise CannotArchiveError(
                        FailureReason.NOT_STORED, f"the archive confirmed a {encoded.kind} and does not have it"
                    )
            await self.ledger.note_verified(key, encoded.sop_instance_uid, at=self.clock.now())
            crash.point("archiver.after_readback")
        await self.ledger.archived(accepted, key, built.objects, at=self.clock.now())

    async def _is_stored(self, archive: Archive, built: Built, encoded: EncodedObject) -> bool:
        held = await archive.file(built.study_instance_uid, encoded.series_instance_uid, encoded.sop_instance_uid)
        if held is None:
            return False
        difference = self.difference(encoded.content, held)
        if difference is not None:
            raise CannotArchiveError(FailureReason.STORED_DIFFERENTLY, f"{encoded.kind}: {difference}")
        return True


def _check_origin(accepted: AcceptedResult, result: AiResult) -> None:
    provenance, grant = result.provenance, accepted.grant
    said = (provenance.job, provenance.device, provenance.version, provenance.manifest_digest, provenance.model_digest)
    granted = (accepted.job, grant.device, grant.version, grant.manifest_digest, grant.model_digest)
    if said != granted or provenance.input_digests != grant.input_digests:
        raise CannotArchiveError(FailureReason.RESULT_INVALID, "the result is of another job, device or input")
