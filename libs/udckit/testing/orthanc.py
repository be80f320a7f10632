"""A real Orthanc with DICOMweb, REST and DIMSE, as the image archive."""

import asyncio
import base64
import json
import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from udckit.testing.installation import program
from udckit.testing.ports import LOOPBACK
from udckit.testing.probe import http_get
from udckit.testing.process import Server, ServerFailedError

_DICOMWEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_USER = "udc"


class Orthanc(Server):
    """An Orthanc on free loopback ports, with authentication on.

    The password is made on first start and kept in the state directory, so that it survives restarts.

    Args:
        state: Directory for configuration, storage and log.
        ae_title: Its own application entity title.
        known_ae_titles: Who may store and query by DIMSE, from the loopback address only.
        overwrite_instances: Whether a second object under a known SOP Instance UID replaces the first. Orthanc's
            default is no: it answers 200 and keeps the first.
        default_encoding: How it reads texts whose character set is not declared. Orthanc's own default is ``Latin1``.
        ports: Fixed HTTP and DIMSE port; free ones when left out.
    """

    name: ClassVar[str] = "Orthanc"

    def __init__(
        self,
        state: Path,
        *,
        ae_title: str = "ORTHANC",
        known_ae_titles: Sequence[str] = ("UDC",),
        overwrite_instances: bool = False,
        default_encoding: str = "Utf8",
        ports: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(state, port_count=2, ports=ports, ready_within_s=60.0)
        self.ae_title = ae_title
        self.known_ae_titles = tuple(known_ae_titles)
        self._overwrite_instances = overwrite_instances
        self._default_encoding = default_encoding

    @property
    def http_port(self) -> int:
        """The port of REST and DICOMweb."""
        return self.ports[0]

    @property
    def dimse_port(self) -> int:
        """The port of C-STORE, C-FIND, C-MOVE."""
        return self.ports[1]

    @property
    def rest_url(self) -> str:
        """Root of Orthanc's own API."""
        return f"http://{LOOPBACK}:{self.http_port}"

    @property
    def dicomweb_url(self) -> str:
        """Root of QIDO-RS, WADO-RS and STOW-RS, without a slash at the end."""
        return f"{self.rest_url}/dicom-web"

    @property
    def credentials(self) -> tuple[str, str]:
        """User name and password for both APIs (HTTP basic authentication)."""
        return _USER, self._password()

    def _password(self) -> str:
        kept = self.state / "password"
        if not kept.exists():
            self.state.mkdir(parents=True, exist_ok=True)
            kept.touch(mode=0o600)
            kept.write_text(secrets.token_urlsafe(24))
        return kept.read_text()

    def _command(self) -> Sequence[str]:
        binary = program("Orthanc", Path("/usr/sbin/Orthanc"))
        if not _DICOMWEB_PLUGIN.exists():
            raise ServerFailedError("Orthanc has no DICOMweb plug-in on this machine: run scripts/install.")
        storage = str(self.state / "storage")
        config = self.state / "orthanc.json"
        config.touch(mode=0o600)
        config.write_text(
            json.dumps(
                {
                    "Name": self.ae_title,
                    "StorageDirectory": storage,
                    "IndexDirectory": storage,
                    "Plugins": [str(_DICOMWEB_PLUGIN)],
                    "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
                    "HttpPort": self.http_port,
                    # Orthanc listens on all addresses; these two make it answer the loopback address only.
                    "RemoteAccessAllowed": False,
                    "DicomCheckModalityHost": True,
                    "AuthenticationEnabled": True,
                    "RegisteredUsers": {_USER: self._password()},
                    # Compressing pixel data costs thirty times the transfer.
                    "HttpCompressionEnabled": False,
                    "DicomAet": self.ae_title,
                    "DicomPort": self.dimse_port,
                    "DicomCheckCalledAet": True,
                    "DicomAlwaysAllowStore": False,
                    "DicomModalities": {
                        # The port is where C-MOVE would send to; nobody listens there.
                        title: {"AET": title, "Host": LOOPBACK, "Port": self.dimse_port}
                        for title in self.known_ae_titles
                    },
                    "DefaultEncoding": self._default_encoding,
                    "OverwriteInstances": self._overwrite_instances,
                    "StableAge": 1,
                },
                indent=2,
            )
        )
        return [str(binary), str(config)]

    async def _ready(self) -> bool:
        token = base64.b64encode(":".join(self.credentials).encode()).decode()
        status, _ = await http_get(self.http_port, "/system", {"Authorization": f"Basic {token}"})
        return status == 200

    async def store(self, paths: Iterable[Path], *, ae_title: str | None = None) -> None:
        """Stores DICOM files by C-STORE, each in the transfer syntax it has, as a modality would.

        Args:
            paths: The files.
            ae_title: Who sends; the first of the known titles when left out.

        Raises:
            ServerFailedError: An object was not stored; the error holds the sender's lines.
        """
        sender = await asyncio.create_subprocess_exec(
            program("dcmsend"),
            "--verbose",
            "--decompress-never",
            *("--aetitle", ae_title or self.known_ae_titles[0], "--call", self.ae_title),
            *(LOOPBACK, str(self.dimse_port)),
            *(str(path) for path in paths),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Without it the sender waits 45 ms for the acknowledgement of each object.
            env={**os.environ, "TCP_NODELAY": "1"},
        )
        try:
            output, _ = await sender.communicate()
        except BaseException:
            sender.kill()
            await sender.wait()
            raise
        if sender.returncode != 0:
            raise ServerFailedError(
                f"{self.ae_title} did not store every object (dcmsend code {sender.returncode}):",
                output.decode(errors="replace").splitlines()[-10:],
            )
