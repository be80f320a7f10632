"""What this worker's processing is made of, as one digest.

The version in ``processing_version`` is raised by people, who forget. Whether golden cases must run again is decided by
this digest instead: it changes with every line of the code and with every library that touches pixels. It changes too
often rather than too rarely, and that costs seconds.
"""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Final

import model_serving
import udcmodel

_LIBRARIES: Final = (
    "imagecodecs",
    "numpy",
    "pydicom",
    "pylibjpeg",
    "pylibjpeg-libjpeg",
    "pylibjpeg-openjpeg",
    "pylibjpeg-rle",
    "scipy",
)


def processing_build() -> str:
    """Return ``sha256:<hex>`` of the sources of serving and of the shared model, and of the libraries' versions."""
    digest = hashlib.sha256()
    for package in (model_serving, udcmodel):
        root = Path(str(package.__file__)).parent
        for path in sorted(root.rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{root.name}/{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    for name in _LIBRARIES:
        digest.update(f"{name}=={version(name)}\n".encode())
    return f"sha256:{digest.hexdigest()}"
