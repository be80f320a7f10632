"""The replicated registry as records, and the secrets it names."""

import re
from pathlib import Path
from typing import Final, TypeVar

from udckit.errors import InternalError, PreconditionError, UpstreamUnavailableError
from udckit.replica import Replica
from udcmodel.codec import decode_record
from udcmodel.grant import ArchiveRecord, AttachmentRecord, DeviceVersionRecord, registry_key

R = TypeVar("R", ArchiveRecord, AttachmentRecord, DeviceVersionRecord)

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class ReplicatedRegistry:
    """Reads records from this process's copy; every call raises ``StaleReplicaError`` while that may be old."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

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
        content = self._replica.get(key)
        if content is None:
            return None
        record = decode_record(content)
        if not isinstance(record, kind):
            raise InternalError(f"the registry holds something else under {key}", key=key)
        return record


class Secrets:
    """Secrets as files of one directory, read whenever they are needed, so that a rotated one counts at once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __call__(self, name: str) -> str:
        """Return the secret ``name`` without the line break at its end.

        Raises:
            PreconditionError: no secret can have this name.
            UpstreamUnavailableError: it is not there now; once it is, the work goes on.
        """
        if _NAME.fullmatch(name) is None:
            raise PreconditionError("an archive names its credentials by something that is no file name")
        try:
            return (self._directory / name).read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            raise UpstreamUnavailableError(f"the secret {name} cannot be read", secret=name) from error
