"""The manifest: everything a region must know to run a device, written by its vendor as YAML.

``parse`` is the only way to get one. What it refuses it refuses with the line.
"""

from udcmodel.manifest.schema import (
    BoxOutput,
    ChannelAxis,
    Clause,
    FindingSpec,
    GeometrySpec,
    ImageInput,
    ImageTensor,
    LabelsOutput,
    Manifest,
    Output,
    ScoresOutput,
    VolumeTensor,
)
from udcmodel.manifest.yaml_source import ManifestError, parse

__all__ = [
    "BoxOutput",
    "ChannelAxis",
    "Clause",
    "FindingSpec",
    "GeometrySpec",
    "ImageInput",
    "ImageTensor",
    "LabelsOutput",
    "Manifest",
    "ManifestError",
    "Output",
    "ScoresOutput",
    "VolumeTensor",
    "parse",
]
