"""Manifests of the reference devices."""

from pathlib import Path

from udcmodel.manifest import parse

DEVICES = Path(__file__).parents[3] / "examples" / "devices"
BRAIN = parse((DEVICES / "ct-brain-hyperdensity" / "manifest.yaml").read_bytes())
CHEST = parse((DEVICES / "cxr-opacity" / "manifest.yaml").read_bytes())
