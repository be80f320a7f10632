"""``udc`` commands as a user would type them, shown and run."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from region.models import DEVICES, reference_devices
from region.stack import ARCHIVE_SECRET, ORGANISATION, POOL, Region
from udckit.testing.ports import LOOPBACK

ARCHIVE = "hospital"
CERTIFICATE = """\
# Invented for the demonstration; no such certificate exists.
number: "РЗН 2099/00001"
valid_from: 2024-01-01
valid_until: 2099-12-31
versions: ["1.0.0"]
holder: "Демонстрационный производитель"
source: "demonstration file"
checked_at: 2024-01-01
"""


class CommandFailedError(Exception):
    """A command of the demonstration did not end with 0."""


def udc(region: Region, *arguments: str) -> None:
    """Show a ``udc`` command and run it.

    Raises:
        CommandFailedError: it ended with another code than 0.
    """
    print(f"\n$ udc {shlex.join(arguments)}", flush=True)
    environment = {**os.environ, "UDC_ENV_FILE": str(region.environment_file)}
    ended = subprocess.run([sys.executable, "-m", "cli", *arguments], env=environment, check=False)
    if ended.returncode != 0:
        raise CommandFailedError(f"udc {shlex.join(arguments)} ended with {ended.returncode}")


def storescu(region: Region, files: Sequence[Path]) -> str:
    """Send DICOM files to the archive with DCMTK's storescu, as a modality would; return the command.

    Raises:
        CommandFailedError: a file was not stored; the message ends with what storescu said.
    """
    archive = region.orthanc
    command = ["storescu", "--required", "--aetitle", archive.known_ae_titles[0], "--call", archive.ae_title]
    command += [LOOPBACK, str(archive.dimse_port)]
    # Without TCP_NODELAY it waits 45 ms for the acknowledgement of each object.
    environment = {**os.environ, "TCP_NODELAY": "1"}
    ended = subprocess.run([*command, *files], env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise CommandFailedError(f"storescu ended with {ended.returncode}: {ended.stderr.strip()[-500:]}")
    return shlex.join([*command, _shown(files[0].parent)]) + "/*.dcm"


def set_up(region: Region, *, feed: str = "orthanc") -> None:
    """Log in, attach the archive, register the reference devices and attach them.

    Args:
        region: A running region.
        feed: How new studies are found: ``orthanc`` or ``dicomweb``.
    """
    udc(region, "login")
    udc(
        region, "archive", "add", ARCHIVE,
        "--dicomweb-url", region.orthanc.dicomweb_url,
        *(("--orthanc-url", region.orthanc.rest_url) if feed == "orthanc" else ("--feed", feed)),
        "--organisation", ORGANISATION,
        "--credentials", ARCHIVE_SECRET,
    )  # fmt: skip
    udc(region, "archive", "check", ARCHIVE)
    certificate = region.state / "certificate.yaml"
    certificate.write_text(CERTIFICATE)
    for folder, manifest in reference_devices().items():
        udc(
            region, "device", "register", _shown(DEVICES / folder / "manifest.yaml"),
            "--model", _shown(region.models / manifest.model.name),
            "--certificate", _shown(certificate),
        )  # fmt: skip
        udc(region, "attach", manifest.device, manifest.version, "--mode", "live", "--to", ARCHIVE, "--pool", POOL)


def _shown(path: Path) -> str:
    """Return ``path`` as a user in the project's folder would type it."""
    return os.path.relpath(path)
