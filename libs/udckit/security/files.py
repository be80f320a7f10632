"""Files that are either whole or absent, and private from their first byte."""

import os
from pathlib import Path
from typing import Final

_OWNER_ONLY: Final = 0o600
_EVERYONE: Final = 0o644


def write_private(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``, readable by its owner only."""
    _replace(path, content, _OWNER_ONLY)


def write_public(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``, readable by everyone."""
    _replace(path, content, _EVERYONE)


def _replace(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.chmod(mode)
    draft.replace(path)
