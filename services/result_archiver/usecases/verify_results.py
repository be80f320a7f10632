"""Asks the archives for every object of the results that they confirmed."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import datetime

from result_archiver.domain.delivery import DeliveryKey
from result_archiver.domain.failure import ArchiveBrokeError, CannotArchiveError
from result_archiver.domain.identity import identity_of
from result_archiver.domain.objects import EncodedObject
from result_archiver.ports import Archive, Built, Difference, Ledger, OpenArchive, Registry
from udckit.clock import Clock
from udckit.errors import ServiceError


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """An object that the archive confirmed and does not have.

    Attributes:
        encoded: What was committed.
        repair: What was done about it, a sentence; empty when nothing was.
    """

    encoded: EncodedObject
    repair: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What became of an archived result.

    Attributes:
        key: The delivery.
        objects: How many objects it has.
        absent: Those that the archive does not have.
        away: Why the archive cannot be asked; empty when it was.
    """

    key: DeliveryKey
    objects: int
    absent: tuple[Absent, ...] = ()
    away: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResults:
    """Ask for every object, and store the same bytes again where one is missing.

    Somebody may have moved the study to another patient or deleted it: then nothing is stored.

    Attributes:
        registry: Where archives are.
        ledger: What was archived.
        open_archive: Access to archives.
        difference: How an object differs from what was committed.
        clock: Time.
    """

    registry: Registry
    ledger: Ledger
    open_archive: OpenArchive
    difference: Difference
    clock: Clock

    async def __call__(self, *, since: datetime, jobs: Collection[str], repair: bool) -> AsyncIterator[Verified]:
        """Verify the results that were archived since then, or those of ``jobs`` if any are named."""
        for key in await self.ledger.archived_since(since, jobs=jobs):
            built = await self.ledger.built(key.job, key.result_digest)
            if built is not None:
                yield await self._verify(key, built, repair=repair)

    async def _verify(self, key: DeliveryKey, built: Built, *, repair: bool) -> Verified:
        record = self.registry.archive(key.archive)
        if record is None:
            return Verified(key=key, objects=len(built.objects), away=f"archive {key.archive} is not in the registry")
        absent: list[Absent] = []
        try:
            archive = self.open_archive(record)
            for encoded in built.objects:
                uids = (built.study_instance_uid, encoded.series_instance_uid, encoded.sop_instance_uid)
                if await archive.header(*uids) is None:
                    absent.append(Absent(encoded=encoded))
            if repair and absent and await self._is_same_patient(archive, key, built):
                absent = [await self._store(archive, key, built, item) for item in absent]
        except ServiceError as error:
            return Verified(key=key, objects=len(built.objects), absent=tuple(absent), away=error.message)
        return Verified(key=key, objects=len(built.objects), absent=tuple(absent))

    async def _is_same_patient(self, archive: Archive, key: DeliveryKey, built: Built) -> bool:
        """Say whether the archive still holds a source image, under the identity that the objects carry."""
        before = await self.ledger.witness(key.job, key.result_digest)
        now = await archive.header(built.study_instance_uid, *built.witness)
        return before is not None and now is not None and identity_of(before) == identity_of(now)

    async def _store(self, archive: Archive, key: DeliveryKey, built: Built, absent: Absent) -> Absent:
        encoded = absent.encoded
        try:
            await archive.store(built.study_instance_uid, encoded)
        except (CannotArchiveError, ArchiveBrokeError):
            return absent
        held = await archive.file(built.study_instance_uid, encoded.series_instance_uid, encoded.sop_instance_uid)
        if held is None or self.difference(encoded.content, held) is not None:
            return absent
        await self.ledger.note_redelivery(key, encoded.sop_instance_uid, at=self.clock.now())
        return Absent(encoded=encoded, repair="the committed bytes were stored again and read back")
