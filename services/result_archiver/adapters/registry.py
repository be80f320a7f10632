"""The registry as its local copy has it."""

from typing import TypeVar

from udckit.errors import InternalError
from udckit.replica import Replica
from udcmodel.codec import decode_record
from udcmodel.grant import ArchiveRecord, AttachmentRecord, DeviceVersionRecord, registry_key

R = TypeVar("R", DeviceVersionRecord, AttachmentRecord, ArchiveRecord)


class ReplicatedRegistry:
    """Reads records; raises ``StaleReplicaError`` when the copy may not be current.

    Args:
        replica: Copy of the registry bucket.
    """

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def device(self, device: str, version: str) -> DeviceVersionRecord | None:
        """Return a device version."""
        return self._record(registry_key("version", device, version), DeviceVersionRecord)

    def attachment(self, attachment: str) -> AttachmentRecord | None:
        """Return an attachment."""
        return self._record(registry_key("attachment", attachment), AttachmentRecord)

    def archive(self, archive: str) -> ArchiveRecord | None:
        """Return an archive."""
        return self._record(registry_key("archive", archive), ArchiveRecord)

    def _record(self, key: str, kind: type[R]) -> R | None:
        content = self._replica.get(key)
        if content is None:
            return None
        record = decode_record(content)
        if not isinstance(record, kind):
            raise InternalError(f"the registry holds a {type(record).__name__} under {key}", key=key)
        return record
