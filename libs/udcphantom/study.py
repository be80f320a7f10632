"""Finished studies: encoded instances that nothing can change, and what is known to be true about them."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from udcphantom.scene import Lesion, Phantom
from udcphantom.solids import Array


@dataclass(frozen=True, slots=True)
class Opacity:
    """An opacity of a radiograph.

    Args:
        name: Label used in manifests and test messages.
        box: Smallest box round the half-intensity contour, as first column, first row, last column, last row;
            pixel coordinates with 0 at the outer edge of the first pixel (as in SCOORD, PS3.3 C.18.6.1.2).
    """

    name: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Truth:
    """What a study shows, from the scene itself and never from its pixels."""

    scene: Phantom | None = None
    opacities: tuple[Opacity, ...] = ()

    @property
    def lesions(self) -> tuple[Lesion, ...]:
        """The lesions of a volume."""
        return self.scene.lesions if self.scene else ()

    def inside(self, points_mm: Array) -> NDArray[np.bool_]:
        """Say which points (LPS, mm, shape ``(..., 3)``) lie in any lesion, shape ``(...)``."""
        return (self.scene or Phantom(())).inside(points_mm)

    def summary(self) -> dict[str, object]:
        """Write the truth as plain values for a manifest."""
        lesions = [
            {
                "name": lesion.name,
                "side": self.scene.side_of(lesion).value,
                "hu": lesion.value,
                "volume_ml": round(lesion.volume_ml, 4),
                "centroid_mm": list(lesion.centroid_mm),
            }
            for lesion in self.lesions
            if self.scene
        ]
        opacities = [{"name": opacity.name, "box": list(opacity.box)} for opacity in self.opacities]
        return {"lesions": lesions, "opacities": opacities}


@dataclass(frozen=True, slots=True)
class Instance:
    """One DICOM file as bytes (PS3.10)."""

    sop_class_uid: str
    sop_instance_uid: str
    encoded: bytes

    def read(self) -> Dataset:
        """Decode the file into a fresh dataset that the caller may change."""
        return pydicom.dcmread(io.BytesIO(self.encoded))


@dataclass(frozen=True, slots=True)
class Series:
    """The instances of one series, in the order in which they were made.

    Args:
        uid: Series Instance UID (0020,000E).
        modality: Modality (0008,0060).
        role: What it is in its study, such as ``volume``, ``localizer`` or ``dose``.
        instances: The files.
    """

    uid: str
    modality: str
    role: str
    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True)
class Study:
    """The series of one study, and the truth about it."""

    uid: str
    patient_id: str
    series: tuple[Series, ...]
    truth: Truth

    @property
    def instances(self) -> tuple[Instance, ...]:
        """All instances of all series."""
        return tuple(instance for series in self.series for instance in series.instances)

    def datasets(self) -> Iterator[Dataset]:
        """Decode every instance, one after the other."""
        return (instance.read() for instance in self.instances)

    def with_series(self, *series: Series) -> "Study":
        """Add series."""
        return replace(self, series=(*self.series, *series))

    def write(self, directory: Path) -> list[Path]:
        """Write every instance as ``<directory>/<series role>-<n>/<n>.dcm``.

        Args:
            directory: Made if missing.

        Returns:
            The paths, in the order of ``instances``.

        Raises:
            OSError: The directory or a file cannot be written.
        """
        paths = []
        for number, series in enumerate(self.series, start=1):
            folder = directory / f"{number:02d}-{series.role}"
            folder.mkdir(parents=True, exist_ok=True)
            for index, instance in enumerate(series.instances, start=1):
                path = folder / f"{index:04d}.dcm"
                path.write_bytes(instance.encoded)
                paths.append(path)
        return paths
