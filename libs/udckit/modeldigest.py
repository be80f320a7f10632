"""What a model is made of, as one digest: whoever serves it can prove that nothing was exchanged."""

import hashlib
from pathlib import Path
from typing import Final

from udckit.errors import InvalidRequestError, NotFoundError

_CHUNK: Final = 1 << 20
_MADE_WHILE_RUNNING: Final = frozenset({"__pycache__"})
"""Python writes these beside the sources when the model is loaded; every start may remake them."""


def model_digest(directory: Path) -> str:
    """Return the content address of a model's folder: ``sha256:`` and 64 hexadecimal digits.

    The digest covers the path (relative, with ``/``), the length and the bytes of every file, in the order of the
    paths. Times, owners and empty folders do not count.

    Args:
        directory: The model's folder in the model repository: configuration and versions.

    Raises:
        NotFoundError: there is no such folder, or no file in it.
        InvalidRequestError: it holds something that is neither file nor folder, such as a symbolic link: what that
            stands for could change without the digest changing.
    """
    if not directory.is_dir():
        raise NotFoundError(f"there is no model folder {directory.name}")
    files = sorted(_files(directory), key=lambda path: path.relative_to(directory).as_posix())
    if not files:
        raise NotFoundError(f"the model folder {directory.name} holds no file")
    total = hashlib.sha256()
    for path in files:
        name = path.relative_to(directory).as_posix().encode()
        total.update(len(name).to_bytes(8, "big") + name)
        total.update(path.stat().st_size.to_bytes(8, "big"))
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                total.update(chunk)
    return f"sha256:{total.hexdigest()}"


def _files(directory: Path) -> list[Path]:
    found: list[Path] = []
    for entry in directory.iterdir():
        if entry.is_symlink() or not (entry.is_dir() or entry.is_file()):
            raise InvalidRequestError(
                f"{entry.name} in the model folder is neither file nor folder; copy what it means"
            )
        if entry.is_file():
            found.append(entry)
        elif entry.name not in _MADE_WHILE_RUNNING:
            found.extend(_files(entry))
    return found
