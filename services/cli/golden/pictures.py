"""Pictures of golden cases: drawn by the platform's phantoms, or files of the vendor."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, assert_never

from pydantic import BaseModel, ConfigDict, Field

from udckit.errors import InvalidRequestError
from udcmodel.golden import BOUNDARY
from udcphantom import (
    LEFT_BLEED,
    LEFT_LOWER,
    RIGHT_BLEED,
    RIGHT_UPPER,
    Instance,
    evenly,
    head,
    render_chest,
    render_ct,
    scan,
)

_FIELD_MM: Final = 240.0
_LESIONS: Final = {lesion.name: lesion for lesion in (LEFT_BLEED, RIGHT_BLEED)}
_SHADOWS: Final = {shadow.name: shadow for shadow in (RIGHT_UPPER, LEFT_LOWER)}

Seed = Annotated[int, Field(ge=0)]


class Picture(BaseModel):
    """A picture as it is written in a case; no key is accepted that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class HeadCt(Picture):
    """A head on CT, 240 mm wide: ``matrix`` rows and columns, ``slices`` at ``spacing_mm``, the gantry tilted."""

    phantom: Literal["head-ct"]
    lesions: tuple[Literal["left-deep", "right-frontal"], ...] = ()
    slices: Annotated[int, Field(ge=2, le=500)]
    spacing_mm: Annotated[float, Field(gt=0, le=20)]
    matrix: Annotated[int, Field(ge=32, le=512)]
    tilt_deg: Annotated[float, Field(ge=-30, le=30)] = 0.0
    noise_hu: Annotated[float, Field(ge=0, le=30)] = 4.0
    seed: Seed


class ChestRadiograph(Picture):
    """A postero-anterior chest radiograph of ``matrix`` rows and columns."""

    phantom: Literal["chest-radiograph"]
    shadows: tuple[Literal["right-upper", "left-lower"], ...] = ()
    matrix: Annotated[int, Field(ge=64, le=4096)]
    seed: Seed


class Files(Picture):
    """Every file of a folder, relative to the case: the DICOM images of one stack, free of patient data."""

    dicom: Annotated[str, Field(min_length=1)]


AnyPicture = HeadCt | ChestRadiograph | Files


def images_of(picture: AnyPicture, folder: Path) -> Sequence[bytes]:
    """Return the DICOM files of a picture; the same picture always gives the same bytes.

    Args:
        picture: As it is written.
        folder: Where the case is.

    Raises:
        InvalidRequestError: the vendor's files are not there.
    """
    match picture:
        case HeadCt():
            return _encoded(_head(picture))
        case ChestRadiograph():
            shadows = tuple(_SHADOWS[name] for name in picture.shadows)
            study = render_chest(shadows, rows=picture.matrix, columns=picture.matrix, seed=picture.seed)
            return _encoded(study.instances)
        case Files():
            return _read(folder, picture.dicom)
        case _:
            assert_never(picture)


def body_of(images: Sequence[bytes]) -> bytes:
    """Return the images as an archive would answer them: ``multipart/related`` with the boundary of golden cases."""
    parts = [
        f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\nContent-Length: {len(image)}\r\n\r\n".encode() + image
        for image in images
    ]
    return b"\r\n".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


def _head(picture: HeadCt) -> Sequence[Instance]:
    geometry = scan(
        evenly(picture.slices, spacing=picture.spacing_mm),
        rows=picture.matrix,
        columns=picture.matrix,
        pixel_mm=(_FIELD_MM / picture.matrix,) * 2,
        tilt_deg=picture.tilt_deg,
    )
    scene = head([_LESIONS[name] for name in picture.lesions])
    return render_ct(scene, geometry, seed=picture.seed, noise_hu=picture.noise_hu).instances


def _encoded(instances: Sequence[Instance]) -> Sequence[bytes]:
    return [instance.encoded for instance in instances]


def _read(folder: Path, name: str) -> Sequence[bytes]:
    place = (folder / name).resolve()
    if not place.is_relative_to(folder.resolve()):
        raise InvalidRequestError(f"the images {name} of a golden case are outside of its folder {folder}")
    files = sorted(path for path in place.rglob("*") if path.is_file())
    if not files:
        raise InvalidRequestError(f"{place} holds no images of a golden case")
    return [path.read_bytes() for path in files]
