"""The registry as a service's copy of its bucket has it: where whoever checks a grant looks things up."""

from collections.abc import Callable
from typing import TypeVar

from udckit.errors import InternalError
from udcmodel.codec import decode_record
from udcmodel.grant import ArchiveRecord, AttachmentRecord, DeviceVersionRecord, registry_key

R = TypeVar("R", ArchiveRecord, AttachmentRecord, DeviceVersionRecord)


class CopiedRegistry:
    """Records out of a copy.

    Args:
        read: Returns what the copy has under a key, or None when there is nothing. It raises while the copy may be
            old, and so does every call here.
    """

    def __init__(self, read: Callable[[str], bytes | None]) -> None:
        self._read = read

    def device_version(self, device: str, version: str) -> DeviceVersionRecord | None:
        """Return the record of a device version, or None when there is none."""
        return self._record(registry_key("version", device, version), DeviceVersionRecord)

    def attachment(self, attachment: str) -> AttachmentRecord | None:
        """Return the record of an attachment, or None when there is none."""
        return self._record(registry_key("attachment", attachment), AttachmentRecord)

    def archive(self, archive: str) -> ArchiveRecord | None:
        """Return the record of an archive, or None when there is none."""
        return self._record(registry_key("archive", archive), ArchiveRecord)

    def _record(self, key: str, kind: type[R]) -> R | None:
        content = self._read(key)
        if content is None:
            return None
        record = decode_record(content)
        if not isinstance(record, kind):
            raise InternalError(f"the registry holds a {type(record).__name__} under {key}", key=key)
        return record
