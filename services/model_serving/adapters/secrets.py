"""The secrets that records of archives name."""

import re
from pathlib import Path
from typing import Final

from udckit.errors import PreconditionError, UpstreamUnavailableError

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


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
