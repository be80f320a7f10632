"""An archive by DICOMweb (PS3.18): QIDO-RS for counts, WADO-RS for metadata."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from study_router.adapters.dicom_json import integer, text
from study_router.adapters.headers import patient_of, seen_instance
from study_router.domain.studies import Patient, SeenInstance
from study_router.ports import StudyCount
from udckit.errors import UpstreamUnavailableError

_JSON: Final = {"Accept": "application/dicom+json"}
_METADATA_TIMEOUT_S: Final = 120.0
"""Metadata of a series of thousands of images are megabytes, and an archive may read every file for them."""
_QUERY_TIMEOUT_S: Final = 30.0


class DicomWeb:
    """``ports.ArchiveConnector`` by DICOMweb."""

    def __init__(self, client: httpx.AsyncClient, root: str, *, archive: str) -> None:
        self._client = client
        self._root = root.rstrip("/")
        self._archive = archive

    async def series(self, study_instance_uid: str, series_instance_uid: str) -> Sequence[SeenInstance]:
        """Return the headers of a series; empty when the archive does not hold it."""
        path = f"/studies/{study_instance_uid}/series/{series_instance_uid}/metadata"
        async with self._asking(path, {}, timeout_s=_METADATA_TIMEOUT_S) as response:
            content = response.content if response is not None else b"[]"
        return await asyncio.to_thread(_read_metadata, content, self._archive)

    async def counts(self, study_instance_uid: str) -> Mapping[str, int]:
        """Return the number of instances of each series of a study."""
        found: dict[str, int] = {}
        for series in await self._query(f"/studies/{study_instance_uid}/series", {"includefield": "00201209"}):
            found[text(series, "0020000E")] = integer(series, "00201209") or 0
        return found

    async def patients(self, study_instance_uid: str) -> Sequence[Patient]:
        """Return everybody under whose identity the archive holds that UID."""
        parameters = {"StudyInstanceUID": study_instance_uid, "includefield": "00100021"}
        return list(dict.fromkeys(patient_of(study) for study in await self._query("/studies", parameters)))

    async def studies(self, *, offset: int, limit: int) -> Sequence[StudyCount]:
        """Return a page of all studies with the number of their instances."""
        parameters = {"includefield": "00201208", "offset": str(offset), "limit": str(limit)}
        return [
            StudyCount(text(study, "0020000D"), integer(study, "00201208") or 0)
            for study in await self._query("/studies", parameters)
        ]

    async def _query(self, path: str, parameters: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        async with self._asking(path, parameters, timeout_s=_QUERY_TIMEOUT_S) as response:
            if response is None or response.status_code == httpx.codes.NO_CONTENT:
                return []
            return _decoded(response.content, self._archive)

    @asynccontextmanager
    async def _asking(
        self, path: str, parameters: Mapping[str, str], *, timeout_s: float
    ) -> AsyncIterator[httpx.Response | None]:
        """Ask, and yield the answer; None where the archive holds nothing of that name."""
        try:
            response = await self._client.get(
                f"{self._root}{path}", params=dict(parameters), headers=_JSON, timeout=timeout_s
            )
        except httpx.HTTPError as error:
            raise unavailable(self._archive, type(error).__name__) from error
        if response.status_code == httpx.codes.NOT_FOUND:
            yield None
        elif response.is_success:
            yield response
        else:
            raise unavailable(self._archive, f"status {response.status_code}")


def unavailable(archive: str, why: str) -> UpstreamUnavailableError:
    """Return the error that says that ``archive`` cannot be read now. Never names what was asked for."""
    return UpstreamUnavailableError(f"archive {archive} does not answer: {why}", archive=archive)


def _read_metadata(content: bytes, archive: str) -> Sequence[SeenInstance]:
    return [seen for item in _decoded(content, archive) if (seen := seen_instance(item)) is not None]


def _decoded(content: bytes, archive: str) -> Sequence[Mapping[str, Any]]:
    try:
        value = json.loads(content)
    except ValueError as error:
        raise unavailable(archive, "the answer is no JSON") from error
    if not isinstance(value, list):
        raise unavailable(archive, "the answer is no list")
    return [item for item in value if isinstance(item, dict)]
