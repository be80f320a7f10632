"""Where scripts/install puts what it installs, and what to say when it is not there."""

import re
import shutil
import subprocess
from pathlib import Path

from udckit.testing.process import ServerFailedError

HOME = Path(__file__).resolve().parents[3] / ".udc"
"""The folder of the working copy that scripts/install fills; git does not see it."""


def program(name: str, *places: Path) -> Path:
    """The program ``name``: the first of ``places`` that is there, else the one on the PATH.

    Raises:
        ServerFailedError: It is nowhere.
    """
    for place in places:
        if place.is_file():
            return place
    found = shutil.which(name)
    if found is None:
        raise ServerFailedError(f"There is no {name} on this machine: run scripts/install.")
    return Path(found)


def version_of(binary: Path) -> tuple[int, ...]:
    """The version that ``binary --version`` prints, such as (2, 15, 1).

    Raises:
        ServerFailedError: It does not run or prints no version.
    """
    try:
        answer = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except OSError as error:
        raise ServerFailedError(f"{binary} does not run: {error}. Run scripts/install.") from error
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", answer.stdout)
    if answer.returncode != 0 or found is None:
        raise ServerFailedError(
            f"{binary} says no version:", [*answer.stdout.splitlines(), *answer.stderr.splitlines()]
        )
    return tuple(int(part) for part in found.groups(default="0"))
