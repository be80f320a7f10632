"""Opens archives of the registry with the credentials that this service was given."""

from pathlib import Path

import httpx

from result_archiver.adapters.dicomweb import DicomWebArchive
from udckit.errors import UpstreamUnavailableError
from udcmodel.grant import ArchiveRecord


class Archives:
    """Knows how to reach archives.

    Args:
        client: Shared by all archives.
        secrets: Directory with one file ``user:password`` for each name of credentials.
    """

    def __init__(self, client: httpx.AsyncClient, secrets: Path) -> None:
        self._client = client
        self._secrets = secrets

    def __call__(self, record: ArchiveRecord) -> DicomWebArchive:
        """Return access to an archive.

        Raises:
            UpstreamUnavailableError: its credentials are not here; work waits until they are.
        """
        return DicomWebArchive(
            self._client,
            name=record.archive,
            root=record.dicomweb_url,
            credentials=self._credentials(record) if record.credentials else None,
        )

    def _credentials(self, record: ArchiveRecord) -> tuple[str, str]:
        # A name, never a path: the registry must not be able to point at other files.
        path = self._secrets / Path(record.credentials).name
        try:
            user, found, password = path.read_text(encoding="utf-8").strip().partition(":")
        except OSError as error:
            raise UpstreamUnavailableError(
                f"there are no credentials {record.credentials} for archive {record.archive}", archive=record.archive
            ) from error
        if not found:
            raise UpstreamUnavailableError(
                f"the credentials {record.credentials} are not of the form user:password", archive=record.archive
            )
        return user, password
