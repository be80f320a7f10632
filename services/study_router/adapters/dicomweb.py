"""An archive by DICOMweb (PS3.18): QIDO-RS for studies and counts, WADO-RS for metadata."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import structlog

from study_router.adapters.asking import Answer, ask, malformed, uid_in_path, unavailable
from study_router.adapters.dicom_json import integer, text, texts
from study_router.adapters.headers import patient_of, seen_instance
from study_router.domain.listings import Fingerprint, ListedStudy, Moment, Span, StudyPage, clock_of
from study_router.domain.studies import Patient, SeenInstance
from study_router.domain.uids import is_uid

log: Final = structlog.get_logger()

_JSON: Final = {"Accept": "application/dicom+json"}
_METADATA_TIMEOUT_S: Final = 120.0
"""Metadata of a series of thousands of images are megabytes, and an archive may read every file for them."""
_QUERY_TIMEOUT_S: Final = 30.0
_FINGERPRINT: Final = "00201208,00201206,00080061,00080030"
_NOT_ALL: Final = "299"
"""Of a ``Warning`` header: there are more results than the answer holds (PS3.18 8.3.4.4)."""

_CUT: Final = frozenset({httpx.codes.PARTIAL_CONTENT, httpx.codes.REQUEST_ENTITY_TOO_LARGE})
_NOT_AN_ANSWER: Final = frozenset({httpx.codes.ACCEPTED, httpx.codes.PARTIAL_CONTENT})
"""The archive is still at work on it, or has only a part: to take it for all would be to lose the rest."""


class DicomWeb:
    """``ports.ArchiveConnector`` by DICOMweb."""

    def __init__(self, client: httpx.AsyncClient, root: str, *, archive: str) -> None:
        self._client = client
        self._root = root.rstrip("/")
        self._archive = archive

    async def series(self, study_instance_uid: str, series_instance_uid: str) -> Sequence[SeenInstance]:
        """Return the headers of a series; empty when the archive does not hold it."""
        study, series = (uid_in_path(self._archive, uid) for uid in (study_instance_uid, series_instance_uid))
        path = f"/studies/{study}/series/{series}/metadata"
        async with self._asking(path, {}, timeout_s=_METADATA_TIMEOUT_S) as response:
            content = response.content if response is not None else b"[]"
        return await asyncio.to_thread(_read_metadata, content, self._archive)

    async def counts(self, study_instance_uid: str) -> Mapping[str, int]:
        """Return the number of instances of each series of a study."""
        found: dict[str, int] = {}
        study = uid_in_path(self._archive, study_instance_uid)
        for series in await self._query(f"/studies/{study}/series", {"includefield": "00201209"}):
            found[text(series, "0020000E")] = integer(series, "00201209") or 0
        return {uid: count for uid, count in found.items() if self._is_usable(uid)}

    async def patients(self, study_instance_uid: str) -> Sequence[Patient]:
        """Return everybody under whose identity the archive holds that UID."""
        parameters = {"StudyInstanceUID": study_instance_uid, "includefield": "00100021"}
        return list(dict.fromkeys(patient_of(study) for study in await self._query("/studies", parameters)))

    async def studies(self, span: Span | None, *, offset: int, limit: int) -> StudyPage:
        """Return a page of the studies made in ``span``, or of all studies."""
        parameters = {"includefield": _FINGERPRINT, "offset": str(offset), "limit": str(limit)}
        return await self._page({**_selecting(span), **parameters})

    async def named(self, study_instance_uids: Sequence[str]) -> Mapping[str, ListedStudy]:
        """Return those of the named studies that the archive holds.

        All are asked for at once (PS3.4 C.2.2.2.2, list of UID matching); what an archive without lists leaves out
        is asked for alone.
        """
        found = await self._named(study_instance_uids)
        if len(study_instance_uids) > 1:
            for uid in study_instance_uids:
                if uid not in found:
                    found |= await self._named([uid])
        return found

    async def _named(self, study_instance_uids: Sequence[str]) -> dict[str, ListedStudy]:
        page = await self._page({"StudyInstanceUID": ",".join(study_instance_uids), "includefield": _FINGERPRINT})
        # An archive that does not select by UID answers with others too.
        return {
            study.study_instance_uid: study for study in page.studies if study.study_instance_uid in study_instance_uids
        }

    async def _page(self, parameters: Mapping[str, str]) -> StudyPage:
        async with self._asking("/studies", parameters, timeout_s=_QUERY_TIMEOUT_S, may_be_cut=True) as response:
            if response is None:
                # That nothing matches is said otherwise; an address that is wrong must not look like an empty archive.
                raise unavailable(self._archive, "status 404 for a query")
            if response.status == httpx.codes.NO_CONTENT:
                return StudyPage(())
            if response.status == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
                return StudyPage((), says_more=True)
            says_more = (
                response.headers.get("Warning", "").startswith(_NOT_ALL)
                or response.status == httpx.codes.PARTIAL_CONTENT
            )
            listed = _listed(_decoded(response.content, self._archive))
            usable = tuple(study for study in listed if self._is_usable(study.study_instance_uid))
            return StudyPage(usable, says_more=says_more)

    async def _query(self, path: str, parameters: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        async with self._asking(path, parameters, timeout_s=_QUERY_TIMEOUT_S) as response:
            if response is None or response.status == httpx.codes.NO_CONTENT:
                return []
            return _decoded(response.content, self._archive)

    @asynccontextmanager
    async def _asking(
        self, path: str, parameters: Mapping[str, str], *, timeout_s: float, may_be_cut: bool = False
    ) -> AsyncIterator[Answer | None]:
        """Ask, and yield the answer; None where the archive holds nothing of that name.

        Args:
            path: Below the root.
            parameters: Of the query.
            timeout_s: How long to wait for bytes.
            may_be_cut: Whether an answer that is not all of it, or a refusal to give that much, is an answer.
        """
        response = await ask(
            self._client,
            "GET",
            f"{self._root}{path}",
            archive=self._archive,
            timeout_s=timeout_s,
            params=dict(parameters),
            headers=_JSON,
        )
        if response.status == httpx.codes.NOT_FOUND:
            yield None
            return
        is_whole = response.is_success and response.status not in _NOT_AN_ANSWER
        if not is_whole and not (may_be_cut and response.status in _CUT):
            raise unavailable(self._archive, f"status {response.status}")
        yield response

    def _is_usable(self, uid: str) -> bool:
        if not is_uid(uid):
            # Nothing can be asked for by it; the rest of the answer must not suffer.
            log.warning("archive.uid_unusable", archive=self._archive)
        return is_uid(uid)


def _selecting(span: Span | None) -> Mapping[str, str]:
    if span is None:
        return {}
    selection = {"StudyDate": f"{span.first:%Y%m%d}-{span.last:%Y%m%d}"}
    if span.is_part_of_a_day:
        # The ends of the day stay open: the last second has fractions.
        start = clock_of(span.from_s) if span.from_s else ""
        selection["StudyTime"] = f"{start}-{'' if span.ends_the_day else clock_of(span.to_s)}"
    return selection


def _listed(found: Sequence[Mapping[str, Any]]) -> tuple[ListedStudy, ...]:
    """Return the studies of an answer; the halves of one that two patients share are one, with all instances."""
    listed: dict[str, ListedStudy] = {}
    for study in found:
        uid = text(study, "0020000D")
        told = Fingerprint(
            instances=integer(study, "00201208"),
            series=integer(study, "00201206"),
            modalities=tuple(sorted({value for value in texts(study, "00080061") if value})),
        )
        if uid in listed:
            told = _together(listed[uid].fingerprint, told)
        if uid:
            listed[uid] = ListedStudy(uid, Moment.parse(text(study, "00080020"), text(study, "00080030")), told)
    return tuple(listed.values())


def _together(one: Fingerprint, other: Fingerprint) -> Fingerprint:
    def total(first: int | None, second: int | None) -> int | None:
        return None if first is None or second is None else first + second

    return Fingerprint(
        instances=total(one.instances, other.instances),
        series=total(one.series, other.series),
        modalities=tuple(sorted({*one.modalities, *other.modalities})),
    )


def _read_metadata(content: bytes, archive: str) -> Sequence[SeenInstance]:
    found = _decoded(content, archive)
    try:
        return [seen for item in found if (seen := seen_instance(item)) is not None]
    except RecursionError as error:
        raise malformed(archive, "it is nested too deeply") from error


def _decoded(content: bytes, archive: str) -> Sequence[Mapping[str, Any]]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise malformed(archive, "it is no JSON") from error
    if not isinstance(value, list):
        raise malformed(archive, "it is no list")
    return [item for item in value if isinstance(item, dict)]
