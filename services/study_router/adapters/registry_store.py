"""Archives, devices and attachments in the database, each row with the number of the change that made it."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, select, update

from study_router.adapters.rows import certificate_from_json, certificate_to_json
from study_router.adapters.tables import ARCHIVES, ATTACHMENTS, DEVICE_VERSIONS, REGISTRY_REVISION
from study_router.domain.registry import Archive, Attachment, DeviceVersion, FeedKind
from udckit.database import insert
from udckit.errors import NotFoundError
from udcmodel.codec import RegistryRecord, encode_record
from udcmodel.grant import registry_key
from udcmodel.vocabulary import Mode, Priority


class SqlRegistry:
    """``ports.Registry`` on one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lock(self) -> None:
        """Let nobody else change the registry until the transaction ends."""
        self._connection.execute(select(REGISTRY_REVISION.c.revision).with_for_update()).one()

    def archive(self, archive: str) -> Archive:
        """Return an archive."""
        row = self._connection.execute(select(ARCHIVES).where(ARCHIVES.c.archive == archive)).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no archive {archive}", archive=archive)
        return _archive(row)

    def archives(self) -> Sequence[Archive]:
        """Return all archives."""
        return [_archive(row) for row in self._connection.execute(select(ARCHIVES).order_by(ARCHIVES.c.archive))]

    def put_archive(self, archive: Archive) -> None:
        """Store an archive."""
        self._put(
            ARCHIVES,
            {
                "archive": archive.archive,
                "organisation": archive.organisation,
                "feed": archive.feed.value,
                "dicomweb_url": archive.dicomweb_url,
                "orthanc_url": archive.orthanc_url,
                "credentials": archive.credentials,
                "profile": archive.profile,
            },
        )

    def device(self, device: str, version: str) -> DeviceVersion | None:
        """Return a device version, or None."""
        row = self._connection.execute(
            select(DEVICE_VERSIONS).where(DEVICE_VERSIONS.c.device == device, DEVICE_VERSIONS.c.version == version)
        ).one_or_none()
        return None if row is None else _device(row)

    def devices(self) -> Sequence[DeviceVersion]:
        """Return all device versions."""
        rows = self._connection.execute(
            select(DEVICE_VERSIONS).order_by(DEVICE_VERSIONS.c.device, DEVICE_VERSIONS.c.version)
        )
        return [_device(row) for row in rows]

    def put_device(self, device: DeviceVersion) -> None:
        """Store a device version."""
        self._put(
            DEVICE_VERSIONS,
            {
                "device": device.device,
                "version": device.version,
                "title_ru": device.title_ru,
                "title_en": device.title_en,
                "vendor": device.vendor,
                "manifest": device.manifest,
                "manifest_digest": device.manifest_digest,
                "model_digest": device.model_digest,
                "is_medical_device": device.is_medical_device,
                "certificate": certificate_to_json(device.certificate),
                "pool": device.pool,
                "timeout_s": device.timeout_s,
                "is_suspended": device.is_suspended,
                "suspension_reason": device.suspension_reason,
                "golden_digest": device.golden_digest,
                "golden_cases": device.golden_cases,
            },
        )

    def attachment(self, attachment: str) -> Attachment | None:
        """Return an attachment, or None."""
        row = self._connection.execute(select(ATTACHMENTS).where(ATTACHMENTS.c.attachment == attachment)).one_or_none()
        return None if row is None else _attachment(row)

    def attachments(self) -> Sequence[Attachment]:
        """Return all attachments."""
        rows = self._connection.execute(select(ATTACHMENTS).order_by(ATTACHMENTS.c.attachment))
        return [_attachment(row) for row in rows]

    def put_attachment(self, attachment: Attachment) -> None:
        """Store an attachment."""
        self._put(
            ATTACHMENTS,
            {
                "attachment": attachment.attachment,
                "revision": attachment.revision,
                "device": attachment.device,
                "version": attachment.version,
                "mode": attachment.mode.value,
                "organisations": list(attachment.organisations),
                "sources": list(attachment.sources),
                "destinations": list(attachment.destinations),
                "rule": attachment.rule,
                "pool": attachment.pool,
                "priority": attachment.priority.value,
                "deadline_s": attachment.deadline_s,
                "effective_from": attachment.effective_from,
                "is_suspended": attachment.is_suspended,
            },
        )

    def records(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield every record that other services see: key, revision, content."""
        sources: tuple[tuple[Table, Any], ...] = (
            (DEVICE_VERSIONS, lambda row: (("version", row.device, row.version), _device(row).record())),
            (ATTACHMENTS, lambda row: (("attachment", row.attachment), _attachment(row).record())),
            (ARCHIVES, lambda row: (("archive", row.archive), _archive(row).record())),
        )
        for table, read in sources:
            for row in self._connection.execute(select(table)):
                parts: tuple[str, ...]
                record: RegistryRecord
                parts, record = read(row)
                yield registry_key(*parts), row.registry_revision, encode_record(record, revision=row.registry_revision)

    def _put(self, table: Table, values: dict[str, Any]) -> None:
        # The row lock of the counter puts all changes of the registry into one order.
        revision = self._connection.execute(
            update(REGISTRY_REVISION)
            .values(revision=REGISTRY_REVISION.c.revision + 1)
            .returning(REGISTRY_REVISION.c.revision)
        ).scalar_one()
        row = {**values, "registry_revision": revision}
        keys = [column.name for column in table.primary_key]
        putting = insert(table, dialect=self._connection.dialect.name).values(**row)
        self._connection.execute(
            putting.on_conflict_do_update(
                index_elements=keys, set_={name: value for name, value in row.items() if name not in keys}
            )
        )


def _archive(row: Row[Any]) -> Archive:
    return Archive(
        archive=row.archive,
        organisation=row.organisation,
        feed=FeedKind(row.feed),
        dicomweb_url=row.dicomweb_url,
        orthanc_url=row.orthanc_url,
        credentials=row.credentials,
        profile=row.profile,
    )


def _device(row: Row[Any]) -> DeviceVersion:
    return DeviceVersion(
        device=row.device,
        version=row.version,
        title_ru=row.title_ru,
        title_en=row.title_en,
        vendor=row.vendor,
        manifest=bytes(row.manifest),
        manifest_digest=row.manifest_digest,
        model_digest=row.model_digest,
        is_medical_device=row.is_medical_device,
        certificate=certificate_from_json(row.certificate),
        pool=row.pool,
        timeout_s=row.timeout_s,
        is_suspended=row.is_suspended,
        suspension_reason=row.suspension_reason,
        golden_digest=row.golden_digest,
        golden_cases=row.golden_cases,
    )


def _attachment(row: Row[Any]) -> Attachment:
    return Attachment(
        attachment=row.attachment,
        revision=row.revision,
        device=row.device,
        version=row.version,
        mode=Mode(row.mode),
        organisations=tuple(row.organisations),
        sources=tuple(row.sources),
        destinations=tuple(row.destinations),
        rule=row.rule,
        pool=row.pool,
        priority=Priority(row.priority),
        deadline_s=row.deadline_s,
        effective_from=row.effective_from,
        is_suspended=row.is_suspended,
    )
