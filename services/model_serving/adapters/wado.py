"""Retrieval of series by WADO-RS (PS3.18 10.4): one request each, read by a thread of its own.

The only file that speaks HTTP to an archive. ``http.client`` in a thread costs a third of the processor time of the
best asynchronous client and lets the socket write straight into the place where the pixels belong.
"""

import base64
import http.client
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from model_serving.adapters.multipart import MalformedError, Parts, TooLongError, TruncatedError, boundary_of
from model_serving.domain.failure import Reason, RunFailedError
from udckit.errors import InvalidRequestError, UpstreamUnavailableError

_CONNECT_S: Final = 5.0
_ACCEPT: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""Without the star an archive may recode everything, slowly, or fail where it cannot."""

_NOT_NOW: Final = frozenset({202, 401, 403, 407, 408, 409, 425, 429})
"""It is being prepared, or we are not let in just now: nothing is wrong with the series. All of 5xx as well."""
_GONE: Final = frozenset({204, 404, 410})


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesAddress:
    """Where a series is.

    Attributes:
        dicomweb_url: Root of the archive's DICOMweb services.
        credentials: ``user:password`` for HTTP basic authentication, or empty.
        study_instance_uid: (0020,000D).
        series_instance_uid: (0020,000E).
    """

    dicomweb_url: str
    credentials: str
    study_instance_uid: str
    series_instance_uid: str


class SeriesTransfer:
    """One series on its way. ``run`` blocks its thread; ``cancel`` ends it from another one.

    Args:
        address: Where the series is.
        receive: Takes the parts as they come; runs in the thread of ``run``.
        idle_s: No single wait for bytes is longer.
        longest_part: No instance is longer, in bytes.
        tls: For ``https`` archives.
    """

    def __init__(
        self,
        address: SeriesAddress,
        receive: Callable[[Parts], None],
        *,
        idle_s: float,
        longest_part: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._address = address
        self._receive = receive
        self._idle_s = idle_s
        self._longest_part = longest_part
        self._tls = tls
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_canceled = False

    def cancel(self) -> None:
        """Cut the connection: whoever waits for bytes in ``run`` sees its end at once."""
        with self._lock:
            self._is_canceled = True
            if self._socket is not None:
                _cut(self._socket)

    def run(self) -> None:
        """Receive the series.

        Raises:
            UpstreamUnavailableError: the archive does not answer, or not now. After ``cancel`` it means nothing.
            RunFailedError: the series is gone, or the answer is broken or refused by its receiver.
            InvalidRequestError: the archive's address makes no sense.
        """
        url = urlsplit(self._address.dicomweb_url)
        connection = _connection(url.scheme, url.netloc, self._tls)
        try:
            self._run(connection, url.path.rstrip("/"))
        except (TruncatedError, http.client.IncompleteRead) as error:
            raise RunFailedError(
                Reason.TRANSFER_TRUNCATED, "the archive's answer ended before all of the series had come"
            ) from error
        except (OSError, ssl.SSLError) as error:
            raise UpstreamUnavailableError(
                f"the archive at {url.hostname} cannot be read from ({type(error).__name__})"
            ) from error
        except TooLongError as error:
            raise RunFailedError(
                Reason.INPUT_TOO_LARGE, f"an instance of the series is longer than {self._longest_part >> 20} MiB"
            ) from error
        except (MalformedError, http.client.HTTPException) as error:
            raise RunFailedError(
                Reason.TRANSFER_MALFORMED, f"the archive's answer cannot be read ({type(error).__name__})"
            ) from error
        finally:
            connection.close()

    def _run(self, connection: http.client.HTTPConnection, root: str) -> None:
        connection.connect()
        with self._lock:
            if self._is_canceled:
                return
            self._socket = connection.sock
        connection.sock.settimeout(self._idle_s)
        connection.request(
            "GET",
            f"{root}/studies/{self._address.study_instance_uid}/series/{self._address.series_instance_uid}",
            headers={"Accept": _ACCEPT, "Accept-Encoding": "identity", **_authorization(self._address.credentials)},
        )
        with connection.getresponse() as response:
            _refuse_unless_ok(response.status)
            boundary = boundary_of(response.headers.get("Content-Type", ""))
            self._receive(Parts(response, boundary, longest_part=self._longest_part))


def ask(dicomweb_url: str, credentials: str, *, idle_s: float, tls: ssl.SSLContext | None = None) -> None:
    """Ask an archive for any one study (QIDO-RS, PS3.18 10.6): what proves that it answers, and costs it little.

    Args:
        dicomweb_url: Root of the archive's DICOMweb services.
        credentials: As in ``SeriesAddress``.
        idle_s: No single wait for bytes is longer.
        tls: For ``https`` archives.

    Raises:
        UpstreamUnavailableError: it does not answer, or not as it should.
        InvalidRequestError: the archive's address makes no sense.
    """
    url = urlsplit(dicomweb_url)
    connection = _connection(url.scheme, url.netloc, tls)
    try:
        connection.connect()
        connection.sock.settimeout(idle_s)
        headers = {"Accept": "application/dicom+json", **_authorization(credentials)}
        connection.request("GET", f"{url.path.rstrip('/')}/studies?limit=1", headers=headers)
        with connection.getresponse() as response:
            status = response.status
    except (OSError, http.client.HTTPException) as error:
        raise UpstreamUnavailableError(
            f"the archive at {url.hostname} does not answer ({type(error).__name__})"
        ) from error
    finally:
        connection.close()
    if status not in {200, 204}:
        raise UpstreamUnavailableError(f"the archive at {url.hostname} does not list studies (HTTP {status})")


def _connection(scheme: str, netloc: str, tls: ssl.SSLContext | None) -> http.client.HTTPConnection:
    host = netloc.rpartition("@")[2]
    if scheme == "https":
        return http.client.HTTPSConnection(host, timeout=_CONNECT_S, context=tls)
    if scheme == "http":
        return http.client.HTTPConnection(host, timeout=_CONNECT_S)
    raise InvalidRequestError("the address of an archive starts with https:// or http://")


def _authorization(credentials: str) -> dict[str, str]:
    if not credentials:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}


def _refuse_unless_ok(status: int) -> None:
    if status == 200:
        return
    if status in _GONE:
        raise RunFailedError(Reason.SERIES_GONE, f"the archive does not have the series any more (HTTP {status})")
    if status in _NOT_NOW or status >= 500:
        raise UpstreamUnavailableError(f"the archive does not give the series now (HTTP {status})", status=status)
    raise RunFailedError(Reason.TRANSFER_MALFORMED, f"the archive refuses the request for a series (HTTP {status})")


def _cut(connected: Any) -> None:
    try:
        # Of the plain socket, also under TLS: the reading thread's state of encryption is not ours to touch.
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
    except OSError:
        return  # it is closed already, which is what is wanted
