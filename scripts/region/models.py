"""The reference devices' models as Triton serves them: copied from examples/devices, or built by their script."""

import runpy
import shutil
import sys
from pathlib import Path
from typing import Final

from udcmodel.manifest import Manifest, parse

DEVICES: Final = Path(__file__).resolve().parents[2] / "examples" / "devices"


def reference_devices() -> dict[str, Manifest]:
    """Return the manifests of the reference devices by folder name."""
    return {path.parent.name: parse(path.read_bytes()) for path in sorted(DEVICES.glob("*/manifest.yaml"))}


def build_models(repository: Path) -> None:
    """Write every reference model into ``repository``, one folder each; what was there is replaced.

    Args:
        repository: Triton's model repository.
    """
    for folder, manifest in reference_devices().items():
        target = repository / manifest.model.name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(DEVICES / folder / "model", target, ignore=shutil.ignore_patterns("__pycache__"))
        script = DEVICES / folder / "build.py"
        if script.exists():
            _run(script, target)


def _run(script: Path, target: Path) -> None:
    arguments = sys.argv
    sys.argv = [str(script), str(target)]
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.argv = arguments
