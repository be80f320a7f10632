"""Access to archives: one HTTP client each, with the credentials that its secret holds."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import httpx

from study_router.adapters.dicomweb import DicomWeb
from study_router.adapters.orthanc import OrthancFeed
from study_router.domain.registry import Archive, FeedKind
from study_router.ports import ArchiveConnector, Feed
from udckit.clock import Clock
from udckit.errors import InvalidRequestError, UpstreamUnavailableError

_CONNECTIONS: Final = 8
_KEPT_S: Final = 0.5
"""How long an idle connection is kept; Orthanc closes one after a second."""


class HttpConnectors:
    """``ports.Connectors`` by HTTP; made by ``connecting``.

    Args:
        stack: Closes the clients.
        secrets: Directory of files ``<name>`` with ``user:password``.
        clock: Time.
        tolerance_s: See ``OrthancFeed``.
    """

    def __init__(self, stack: AsyncExitStack, *, secrets: Path | None, clock: Clock, tolerance_s: float) -> None:
        self._stack = stack
        self._secrets = secrets
        self._clock = clock
        self._tolerance_s = tolerance_s
        self._clients: dict[str, httpx.AsyncClient] = {}

    async def connector(self, archive: Archive) -> ArchiveConnector:
        """Return the connector of an archive."""
        return DicomWeb(await self._client(archive), archive.dicomweb_url, archive=archive.archive)

    async def feed(self, archive: Archive) -> Feed:
        """Return the feed of an archive that tells of its changes."""
        match archive.feed:
            case FeedKind.ORTHANC:
                return OrthancFeed(
                    await self._client(archive),
                    archive.orthanc_url,
                    archive=archive.archive,
                    clock=self._clock,
                    tolerance_s=self._tolerance_s,
                )
            case FeedKind.DICOMWEB | FeedKind.NONE:
                raise InvalidRequestError(f"archive {archive.archive} tells of no changes", archive=archive.archive)

    async def _client(self, archive: Archive) -> httpx.AsyncClient:
        # Read each time: a password that was changed must be used, without a restart.
        credentials = self._credentials(archive)
        if archive.archive not in self._clients:
            self._clients[archive.archive] = await self._stack.enter_async_context(
                httpx.AsyncClient(
                    limits=httpx.Limits(max_connections=_CONNECTIONS, keepalive_expiry=_KEPT_S),
                    # A proxy from the environment must not see patients' data.
                    trust_env=False,
                    follow_redirects=False,
                )
            )
        client = self._clients[archive.archive]
        client.auth = credentials  # type: ignore[assignment]  # the setter takes all that the constructor takes
        return client

    def _credentials(self, archive: Archive) -> tuple[str, str] | None:
        if not archive.credentials:
            return None
        if self._secrets is None:
            raise UpstreamUnavailableError(
                f"archive {archive.archive} needs the secret {archive.credentials}, and no directory of secrets is set",
                archive=archive.archive,
            )
        try:
            content = (self._secrets / archive.credentials).read_text(encoding="utf-8").strip()
        except UnicodeDecodeError as error:
            raise InvalidRequestError(f"the secret {archive.credentials} is not UTF-8") from error
        except OSError as error:
            # It may be mounted any moment: a later look finds it.
            raise UpstreamUnavailableError(
                f"archive {archive.archive} needs the secret {archive.credentials}: {error.strerror}",
                archive=archive.archive,
            ) from error
        user, separator, password = content.partition(":")
        if not separator:
            raise InvalidRequestError(f"the secret {archive.credentials} is not user:password")
        return user, password


@asynccontextmanager
async def connecting(*, secrets: Path | None, clock: Clock, tolerance_s: float) -> AsyncIterator[HttpConnectors]:
    """Give access to archives while the block runs."""
    async with AsyncExitStack() as stack:
        yield HttpConnectors(stack, secrets=secrets, clock=clock, tolerance_s=tolerance_s)
