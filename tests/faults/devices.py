"""Devices that misbehave: each answers a phantom as it should, and a patient in its own way."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent

from region.commands import ARCHIVE, CERTIFICATE, udc
from region.stack import POOL, Region
from udcmodel.manifest import parse

VERSION = "1.0.0"

_MANIFEST = """\
schema: udc.manifest/v1alpha1
device: {name}
version: {version}
title: {{ru: "Устройство для испытаний", en: "Device for tests"}}
vendor: {{name: "Демонстрационный производитель", inn: "7707083893"}}
kind: medical_device
data_type: image
language: ru
purpose:
  - {{name: adult, expression: "study.age_years >= 18.0", explain: "For adults."}}
inputs:
  - name: ct
    kind: stack
    scope: study
    where: stack.modality == "CT"
    prefer: ["double(stack.frame_count)"]
    cardinality: one
    geometry:
      tilt: shear
      max_tilt_deg: 30
      spacing: resample
      gap: refuse
      duplicates: refuse
      min_frames: 8
      max_frames: 100
      max_spacing_mm: 10
      min_coverage_mm: 60
    values: hounsfield
    tensor:
      name: VOLUME
      kind: volume
      datatype: FP32
      axes: [z, y, x]
      spacing_mm: [5.0, 4.0, 4.0]
      clip: [-1024, 3071]
      fill: -1024
model: {{backend: triton, name: {model}, version: 1}}
outputs:
  - {{name: MASK, datatype: UINT8, shape: like-input, input: ct, kind: labels}}
  - {{name: PROBABILITY, datatype: FP32, shape: [1], kind: scores}}
findings:
  - id: hyperdensity
    title: {{ru: "гиперденсный участок", en: "hyperdense region"}}
    code: {{value: "50960005", scheme: SCT, meaning: "Hemorrhage"}}
    category: {{value: "49755003", scheme: SCT, meaning: "Morphologically Abnormal Structure"}}
    site: {{value: "12738006", scheme: SCT, meaning: "Brain"}}
    probability: {{output: PROBABILITY, index: 0}}
    presence: {{threshold: 0.5}}
    mask: {{output: MASK, label: 1}}
    per: mask
    measurements: []
limits: {{timeout_s: {timeout_s}}}
resources: {{pool: cpu, memory_mb: 256}}
"""

_CONFIG = """\
name: "{model}"
backend: "python"
max_batch_size: 0
input [ {{ name: "VOLUME", data_type: TYPE_FP32, dims: [ -1, -1, -1 ] }} ]
output [
  {{ name: "MASK", data_type: TYPE_UINT8, dims: [ -1, -1, -1 ] }},
  {{ name: "PROBABILITY", data_type: TYPE_FP32, dims: [ 1 ] }}
]
instance_group [ {{ kind: KIND_CPU, count: 1 }} ]
version_policy: {{ specific: {{ versions: [ 1 ] }} }}
"""

_MODEL = """\
import random
import time

import numpy as np
import triton_python_backend_utils as pb_utils


def probability_of(volume):
    if volume.min() == volume.max():  # the phantom on which a model is tried holds nothing but filling
        return 0.5
{behaviour}

def mask_of(volume, probability):
    # A block in the middle whose length depends on the probability: another answer looks different too.
    mask = np.zeros(volume.shape, np.uint8)
    z, y, x = (size // 2 for size in volume.shape)
    mask[z - 2 : z + 3, y : y + 8, x : x + 4 + round(100 * probability) % 24] = 1
    return mask


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            volume = pb_utils.get_input_tensor_by_name(request, "VOLUME").as_numpy()
            probability = probability_of(volume)
            answers = {{"MASK": mask_of(volume, probability), "PROBABILITY": np.array([probability], np.float32)}}
            tensors = [pb_utils.Tensor(name, answer) for name, answer in answers.items()]
            responses.append(pb_utils.InferenceResponse(tensors))
        return responses
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device made for a test.

    Attributes:
        name: Its id.
        behaviour: Body of a Python function of ``volume`` that returns the probability.
        timeout_s: How long one inference may take.
    """

    name: str
    behaviour: str
    timeout_s: int = 60

    @property
    def model(self) -> str:
        return self.name.replace("-", "_")

    def write(self, models: Path, manifests: Path) -> Path:
        """Write the model into ``models`` and the manifest into ``manifests``; return the path of the manifest."""
        code = models / self.model / "1" / "model.py"
        code.parent.mkdir(parents=True)
        code.write_text(_MODEL.format(behaviour=indent(dedent(self.behaviour), "    ")))
        (models / self.model / "config.pbtxt").write_text(_CONFIG.format(model=self.model))
        manifest = manifests / f"{self.name}.yaml"
        manifest.write_text(
            _MANIFEST.format(name=self.name, version=VERSION, model=self.model, timeout_s=self.timeout_s)
        )
        return manifest


def fickle(name: str, answers: Path) -> Device:
    """Make a device that finds something in every patient, and something else each time it is asked.

    Args:
        name: Its id.
        answers: File in which it notes each probability that it answers for a patient.
    """
    return Device(
        name=name,
        behaviour=f"""
        probability = 0.5 + random.SystemRandom().random() / 2
        with open({str(answers)!r}, "a") as file:
            print(probability, file=file)
        return probability
        """,
    )


def attach(region: Region, name: str, manifest: Path, *, deadline_s: int = 390) -> None:
    """Register a device and attach it to the studies that are described by its name.

    Args:
        region: Has the device's model.
        name: The device.
        manifest: Its manifest.
        deadline_s: From dispatch to the deadline of an attempt.
    """
    certificate = region.state / "certificate.yaml"
    certificate.write_text(CERTIFICATE)
    udc(
        region, "device", "register", str(manifest),
        "--model", str(region.models / parse(manifest.read_bytes()).model.name),
        "--certificate", str(certificate),
    )  # fmt: skip
    udc(
        region, "attach", name, VERSION, "--mode", "live", "--to", ARCHIVE, "--pool", POOL,
        "--rule", f'study.description == "{name}"',
        "--deadline-s", str(deadline_s),
    )  # fmt: skip
