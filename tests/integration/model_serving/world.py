"""Phantoms as stacks, devices in a model repository, and a run put together from real parts."""

import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import numpy as np
from pydicom import Dataset

from model_serving.adapters.images import DicomwebImages
from model_serving.adapters.memory import Pool, pooled, private, shared
from model_serving.adapters.triton import TritonBackend, connected_triton
from model_serving.usecases import Archives, Inference, InFlight, Models, RunJob
from udckit.modeldigest import model_digest
from udckit.testing import Triton
from udcmodel.manifest import Manifest, parse
from udcmodel.stack import StackDescriptor, StackFrame
from udcphantom.study import Series, Study
from unit.model_serving.plain_parts import no_golden_cases
from unit.model_serving.stand_ins import HandClock, PlainArtefacts, PlainRegistry, PlainRuns

DEVICES = Path(__file__).parents[3] / "examples" / "devices"
MIB = 1 << 20


def frame_of(header: Dataset, frame_number: int = 1) -> StackFrame:
    """The place of a single-frame image, from its own header."""
    orientation = [float(number) for number in header.get("ImageOrientationPatient") or ()]
    spacing = [float(number) for number in header.get("PixelSpacing") or ()]
    position = [float(number) for number in header.get("ImagePositionPatient") or ()]
    return StackFrame(
        sop_class_uid=header.SOPClassUID,
        sop_instance_uid=header.SOPInstanceUID,
        frame_number=frame_number,
        rows=header.Rows,
        columns=header.Columns,
        position=(position[0], position[1], position[2]) if position else None,
        row_direction=(orientation[0], orientation[1], orientation[2]) if orientation else None,
        column_direction=(orientation[3], orientation[4], orientation[5]) if orientation else None,
        pixel_spacing=(spacing[0], spacing[1]) if spacing else None,
    )


def stack_of(study: Study, series: Series, *, archive: str = "pacs") -> StackDescriptor:
    """The single-frame images of a series as one stack, along the normal."""
    frames = [frame_of(instance.read()) for instance in series.instances]
    first = frames[0]
    if first.position is not None and first.row_direction is not None and first.column_direction is not None:
        normal = np.cross(first.row_direction, first.column_direction)
        frames.sort(key=lambda frame: float(np.dot(frame.position or (), normal)))
    return StackDescriptor(
        archive=archive,
        study_instance_uid=study.uid,
        series_instance_uid=series.uid,
        modality=series.modality,
        frame_of_reference_uid="",
        frames=tuple(frames),
        instance_count=len(frames),
    )


def add_example(repository: Path, name: str) -> tuple[Manifest, str]:
    """Put an example device into a model repository; its manifest and the digest of its model."""
    manifest = parse((DEVICES / name / "manifest.yaml").read_bytes())
    folder = repository / manifest.model.name
    if not folder.exists():
        shutil.copytree(DEVICES / name / "model", folder)
    return manifest, model_digest(folder)


def add_python_model(repository: Path, name: str, config: str, execute: str) -> str:
    """Put a model into a repository whose ``answer(request)`` is the given code; the digest of its files."""
    version = repository / name / "1"
    version.mkdir(parents=True)
    (version.parent / "config.pbtxt").write_text(dedent(config))
    (version / "model.py").write_text(_MODEL + dedent(execute))
    return model_digest(version.parent)


_MODEL = """
import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in answer(request).items()])
            for request in requests
        ]


def tensor(request, name):
    return pb_utils.get_input_tensor_by_name(request, name).as_numpy()

"""


@dataclass
class World:
    """A worker without its transports: real archive client, real Triton, plain registry and records."""

    images: DicomwebImages
    backend: TritonBackend
    models: Models
    volumes: Pool
    tensors: Pool
    fallbacks: list[str]
    registry: PlainRegistry = field(default_factory=PlainRegistry)
    artefacts: PlainArtefacts = field(default_factory=PlainArtefacts)
    runs: PlainRuns = field(default_factory=PlainRuns)
    in_flight: InFlight = field(default_factory=InFlight)
    clock: HandClock = field(default_factory=HandClock)
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def archives(self) -> Archives:
        return Archives(self.registry, self.images)

    @property
    def run_job(self) -> RunJob:
        return RunJob(
            registry=self.registry,
            artefacts=self.artefacts,
            images=self.images,
            archives=self.archives,
            infer=Inference(backend=self.backend, clock=self.clock),
            models=self.models,
            runs=self.runs,
            in_flight=self.in_flight,
            clock=self.clock,
        )


@asynccontextmanager
async def a_world(
    triton: Triton, *, slots: int = 2, idle_s: float = 5.0, canary_s: float = 20.0, longest_part: int = 64 * MIB
) -> AsyncIterator[World]:
    """Put a worker together."""
    fallbacks: list[str] = []
    secrets: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        volumes = stack.enter_context(pooled(private, capacity=512 * MIB))
        tensors = stack.enter_context(pooled(shared, capacity=512 * MIB))
        images = DicomwebImages(
            memory=volumes,
            readers=stack.enter_context(ThreadPoolExecutor(4, thread_name_prefix="retrieve")),
            decoders=stack.enter_context(ThreadPoolExecutor(2, thread_name_prefix="decode")),
            secret=secrets.__getitem__,
            idle_s=idle_s,
            longest_part=longest_part,
            longest_queue=4 * MIB,
            series_at_once=2,
            tls=None,
            count_fallback=fallbacks.append,
        )
        backend = await stack.enter_async_context(
            connected_triton(triton.grpc_address, repository=triton.model_repository, memory=tensors)
        )
        models = Models(
            backend, no_golden_cases, slots=slots, runs_per_model=max(1, slots - 1), load_s=60.0, canary_s=canary_s
        )
        yield World(
            images=images,
            backend=backend,
            models=models,
            volumes=volumes,
            tensors=tensors,
            fallbacks=fallbacks,
            secrets=secrets,
        )
