"""CT series in an archive, and as the router would have matched them."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom

from benchmarks.figures import Conditions
from integration.model_serving.world import frame_of
from udckit.testing import Orthanc
from udcmodel.stack import StackDescriptor
from udcphantom.ct import Numbering, render_ct
from udcphantom.geometry import evenly, scan
from udcphantom.heads import head
from udcphantom.identity import Identity
from udcphantom.pixels import PixelForm

MATRIX = 512
SPACING_MM = 0.6
PIXEL_MM = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSeries:
    """A series on the disk."""

    paths: Sequence[Path]
    stack: StackDescriptor

    @property
    def pixel_bytes(self) -> int:
        """Size of the pixels, 16 bits each, uncompressed."""
        return 2 * len(self.stack.frames) * MATRIX * MATRIX


def ct_series(conditions: Conditions, slices: int, transfer_syntax: str) -> KeptSeries:
    """Return a head CT with noise, its slices numbered in no order; drawn at the first need, 40 ms a slice."""
    folder = conditions.folder / "phantoms" / f"ct-{slices}-{transfer_syntax}"
    if not folder.exists():
        study = render_ct(
            head(),
            scan(evenly(slices, spacing=SPACING_MM), rows=MATRIX, columns=MATRIX, pixel_mm=(PIXEL_MM, PIXEL_MM)),
            identity=Identity(accession_number=f"B{slices}-{transfer_syntax[-2:]}"),
            pixels=PixelForm(bits_stored=16, signed=True, intercept=0.0),
            numbering=Numbering.SHUFFLED,
            transfer_syntax=transfer_syntax,
        )
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        study.write(unfinished)
        unfinished.rename(folder)
    paths = sorted(folder.rglob("*.dcm"))
    return KeptSeries(paths=paths, stack=_stack_of(paths))


def _stack_of(paths: Sequence[Path]) -> StackDescriptor:
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    frames = sorted((frame_of(header) for header in headers), key=lambda frame: (frame.position or (0.0,) * 3)[2])
    return StackDescriptor(
        archive="pacs",
        study_instance_uid=headers[0].StudyInstanceUID,
        series_instance_uid=headers[0].SeriesInstanceUID,
        modality="CT",
        frame_of_reference_uid=headers[0].FrameOfReferenceUID,
        frames=tuple(frames),
        instance_count=len(frames),
    )


async def store(orthanc: Orthanc, series: KeptSeries) -> None:
    """Send a series to the archive, in no order."""
    shuffled = np.random.default_rng(1).permutation(len(series.paths))
    await orthanc.store([series.paths[index] for index in shuffled])
