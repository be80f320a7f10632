"""Listens for what modalities and archives say by DIMSE: MPPS (PS3.4 annex F) and Instance Availability (annex R).

The library runs a thread for each association; statements are kept on the event loop, and a thread answers success only
when the loop says that they are durable. Of a message nothing is read but UIDs, status and the caller's title.
"""

import asyncio
import logging
import socket
import ssl
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

import structlog
from pydicom import config
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # the library makes these names when it is imported
    InstanceAvailabilityNotification,
    ModalityPerformedProcedureStep,
    Verification,
)

from study_router.domain.finished import Status
from study_router.usecases.hearing import Heard, HearStatement, Images
from udckit.errors import PreconditionError, ServiceError
from udcmodel.ids import digest_of

log: Final = structlog.get_logger()

SUCCESS: Final = 0x0000
_INVALID_VALUE: Final = 0x0106
_FAILURE: Final = 0x0110
_DUPLICATE: Final = 0x0111
_NO_SUCH_INSTANCE: Final = 0x0112
_MISSING: Final = 0x0120
_TOO_MUCH: Final = 0x0213
_MAY_NOT_CHANGE: Final = 0xA710
"""Error ID (0000,0903): "Performed Procedure Step Object may no longer be updated" (PS3.4 F.7.2.2.2)."""

_ANSWERS: Final = {
    Heard.KEPT: SUCCESS,
    Heard.OTHER: _DUPLICATE,
    Heard.UNKNOWN: _NO_SUCH_INSTANCE,
    Heard.ENDED: _FAILURE,
}

MAX_IMAGES: Final = 50_000
"""Named in one statement; no study has as many."""
MAX_BYTES: Final = 16 * 1024 * 1024
"""Of one message: more than that many images need."""
_MAX_ASSOCIATIONS: Final = 20
_NETWORK_S: Final = 30.0
_COMMIT_S: Final = 20.0
"""How long a caller waits for the commit; after that it hears of a failure and may repeat."""


class _RefusedError(Exception):
    """A message that cannot be kept: status and a sentence without values."""

    def __init__(self, status: int, comment: str) -> None:
        super().__init__(comment)
        self.status = status
        self.comment = comment


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen, and who may call.

    Attributes:
        host: Address to listen on.
        port: Port to listen on.
        ae_title: Own application entity title; calls to another are refused.
        peers: Titles of those who may call.
        tls: With the certificates of both sides; None for none.
    """

    host: str
    port: int
    ae_title: str
    peers: tuple[str, ...]
    tls: ssl.SSLContext | None


@asynccontextmanager
async def listening(address: Address, hear: HearStatement) -> AsyncIterator[None]:
    """Listen while the block runs.

    Raises:
        PreconditionError: the port is taken.
    """
    ears = _Ears(hear, asyncio.get_running_loop())
    entity = ApplicationEntity(ae_title=address.ae_title)
    entity.require_called_aet = True
    entity.require_calling_aet = list(address.peers)
    entity.maximum_associations = _MAX_ASSOCIATIONS
    entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = _NETWORK_S
    for context in (Verification, ModalityPerformedProcedureStep, InstanceAvailabilityNotification):
        entity.add_supported_context(context)
    handlers: list[Any] = [
        (evt.EVT_N_CREATE, ears.created),
        (evt.EVT_N_SET, ears.changed),
        (evt.EVT_PDU_RECV, ears.measure),
        (evt.EVT_DIMSE_RECV, ears.forget_measure),
    ]
    try:
        entity.start_server(
            (address.host, address.port),
            block=False,
            evt_handlers=handlers,
            # Only ``wrap_socket`` is asked of it.
            ssl_context=None if address.tls is None else cast(ssl.SSLContext, _LateHandshake(address.tls)),
        )
    except OSError as error:
        raise PreconditionError(
            f"cannot listen for DIMSE on {address.host}:{address.port}: {error.strerror}"
        ) from error
    log.info("dimse.listening", port=address.port, peers=len(address.peers), tls=address.tls is not None)
    try:
        with _discreet_libraries():
            yield
    finally:
        # It waits for its threads, and they may wait for this loop.
        await asyncio.to_thread(entity.shutdown)


@contextmanager
def _discreet_libraries() -> Iterator[None]:
    """Keep the libraries from writing messages or values of messages: these name patients. What is read is checked."""
    logger = logging.getLogger("pynetdicom")
    level, mode = logger.level, config.settings.reading_validation_mode
    logger.setLevel(logging.CRITICAL)
    config.settings.reading_validation_mode = config.IGNORE
    try:
        yield
    finally:
        logger.setLevel(level)
        config.settings.reading_validation_mode = mode


@dataclass(frozen=True, slots=True)
class _LateHandshake:
    """Leaves the handshake to the thread of the association: a caller that is silent must not keep others out."""

    context: ssl.SSLContext

    def wrap_socket(self, plain: socket.socket, *, server_side: bool) -> ssl.SSLSocket:
        """Return a socket whose handshake takes place with its first bytes."""
        plain.settimeout(_NETWORK_S)
        return self.context.wrap_socket(plain, server_side=server_side, do_handshake_on_connect=False)


class _Ears:
    """Handlers of the library's events; called from its threads."""

    def __init__(self, hear: HearStatement, loop: asyncio.AbstractEventLoop) -> None:
        self._hear = hear
        self._loop = loop
        self._received: dict[Any, int] = {}

    def created(self, event: Any) -> tuple[Dataset, Dataset | None]:
        """Answer N-CREATE."""
        uid = event.request.AffectedSOPInstanceUID
        reply = None if uid else Dataset()

        def named(*content: str) -> str:
            if reply is None:
                return str(uid)
            # The same content is the same statement, so that a repeat is one; the library returns the UID we give it.
            reply.AffectedSOPInstanceUID = _derived(*content)
            return str(reply.AffectedSOPInstanceUID)

        def read() -> Coroutine[Any, Any, Heard]:
            said: Dataset = event.attribute_list
            sender = event.assoc.requestor.ae_title
            if event.request.AffectedSOPClassUID == ModalityPerformedProcedureStep:
                if _text(said, "PerformedProcedureStepStatus") != Status.IN_PROGRESS:
                    raise _RefusedError(_INVALID_VALUE, "a step begins IN PROGRESS")
                studies = tuple(
                    _uid(step, "StudyInstanceUID") for step in _items(said, "ScheduledStepAttributesSequence")
                )
                if not studies:
                    raise _RefusedError(_MISSING, "no scheduled step names a study")
                series = _performed(said)
                begun_at = (
                    _text(said, "PerformedProcedureStepStartDate"),
                    _text(said, "PerformedProcedureStepStartTime"),
                )
                return self._hear.begun(
                    named(sender, *studies, *begun_at), studies=studies, sender=sender, series=series
                )
            study = _uid(said, "StudyInstanceUID")
            series = _available(said)
            is_of_a_step = bool(_items(said, "ReferencedPerformedProcedureStepSequence"))
            content = (f"{name} {image}" for name, images in sorted(series.items()) for image in images)
            return self._hear.available(
                named(sender, study, *content), study=study, sender=sender, series=series, is_of_a_step=is_of_a_step
            )

        status = self._answer(read)
        return status, reply if status.Status == SUCCESS else None

    def changed(self, event: Any) -> tuple[Dataset, Dataset | None]:
        """Answer N-SET."""

        def read() -> Coroutine[Any, Any, Heard]:
            said: Dataset = event.modification_list
            text = _text(said, "PerformedProcedureStepStatus")
            if text not in {"", Status.IN_PROGRESS, Status.COMPLETED, Status.DISCONTINUED}:
                raise _RefusedError(_INVALID_VALUE, "the status of the step is none of the standard's")
            return self._hear.performed(
                str(event.request.RequestedSOPInstanceUID),
                status=Status(text) if text else None,
                series=_performed(said) if "PerformedSeriesSequence" in said else None,
            )

        status = self._answer(read)
        return status, Dataset() if status.Status == SUCCESS else None

    def _answer(self, read: Any) -> Dataset:
        status = Dataset()
        try:
            heard = asyncio.run_coroutine_threadsafe(read(), self._loop).result(_COMMIT_S)
            status.Status = _ANSWERS[heard]
            if heard is Heard.ENDED:
                status.ErrorID = _MAY_NOT_CHANGE
                status.ErrorComment = "the step has ended"
        except _RefusedError as refused:
            status.Status, status.ErrorComment = refused.status, refused.comment
        except ServiceError as error:
            log.warning("statement.not_kept", reason=error.reason, error=error.message)
            status.Status, status.ErrorComment = _FAILURE, "not kept; repeat it"
        except Exception as error:  # noqa: BLE001 a stranger's bytes: its words may quote a patient, its type may not
            log.warning("statement.not_kept", error=type(error).__name__)
            status.Status, status.ErrorComment = _FAILURE, "not kept"
        if status.Status != SUCCESS:
            log.info("statement.refused", status=f"{status.Status:04X}", comment=str(status.get("ErrorComment", "")))
        return status

    def measure(self, event: Any) -> None:
        """Break off an association whose message is larger than any statement."""
        if isinstance(event.pdu, P_DATA_TF):
            received = self._received.get(event.assoc, 0) + event.pdu.pdu_length
            self._received[event.assoc] = received
            if received > MAX_BYTES:
                log.warning("dimse.message_too_large", sender=event.assoc.requestor.ae_title)
                self._received.pop(event.assoc)
                event.assoc.abort()

    def forget_measure(self, event: Any) -> None:
        """Begin to count anew with the next message."""
        self._received.pop(event.assoc, None)


def _performed(said: Dataset) -> Images:
    """Return the images of a step, by series."""
    return _bounded(
        (_uid(series, "SeriesInstanceUID"), image)
        for series in _items(said, "PerformedSeriesSequence")
        for image in [_uid(item, "ReferencedSOPInstanceUID") for item in _items(series, "ReferencedImageSequence")]
    )


def _available(said: Dataset) -> Images:
    """Return the images that can be had, by series."""
    return _bounded(
        (_uid(series, "SeriesInstanceUID"), _uid(item, "ReferencedSOPInstanceUID"))
        for series in _items(said, "ReferencedSeriesSequence")
        for item in _items(series, "ReferencedSOPSequence")
        if _text(item, "InstanceAvailability") != "UNAVAILABLE"
    )


def _bounded(named: Iterable[tuple[str, str]]) -> Images:
    found: dict[str, dict[str, None]] = {}
    for number, (series, image) in enumerate(named):
        if number >= MAX_IMAGES:
            raise _RefusedError(_TOO_MUCH, f"more than {MAX_IMAGES} images are named")
        found.setdefault(series, {})[image] = None
    return {series: tuple(sorted(images)) for series, images in found.items()}


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    return list(dataset.get(keyword) or [])


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip()


def _uid(dataset: Dataset, keyword: str) -> str:
    found = _text(dataset, keyword)
    if not found:
        raise _RefusedError(_MISSING, f"{keyword} is missing")
    if len(found) > 64 or not set(found) <= set("0123456789."):
        raise _RefusedError(_INVALID_VALUE, f"{keyword} is no UID")
    return found


def _derived(*parts: str) -> str:
    """Return the UID of something that was sent without one."""
    return f"2.25.{uuid.UUID(digest_of(' '.join(parts).encode()).removeprefix('sha256:')[:32]).int}"
