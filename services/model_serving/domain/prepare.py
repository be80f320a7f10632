"""What a device gets to see: the plan of its tensor, made from the geometry alone, and the filling of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, assert_never

import numpy as np
from numpy.typing import NDArray

from model_serving.domain.answer import DTYPES
from model_serving.domain.failure import Reason, RunFailedError
from model_serving.domain.grid import Grid, grid_over
from model_serving.domain.letterbox import Letterbox, draw, letterbox_for
from model_serving.domain.resample import Casting, resample
from model_serving.domain.source import SourceImages
from model_serving.domain.unsuitable import UnsuitableInputError
from udcmodel.geometry import Geometry, GeometryPolicy, diagnose, objections
from udcmodel.manifest import ChannelAxis, GeometrySpec, ImageInput, ImageTensor, VolumeTensor
from udcmodel.stack import StackFrame
from udcmodel.vocabulary import ErrorCategory

_MOST_VOXELS: Final = 1 << 29
"""Two gibibytes of float32: beyond the largest scan in use, far below what nonsense in positions can ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumePlan:
    """A tensor that will hold a volume.

    Attributes:
        input: Name of the input.
        tensor: Name of the tensor.
        frames: The frames to be read, ordered along their normal, each at its own position.
        slots: For each frame that was given, its index in ``frames``; None for a repeated position that is left out.
        geometry: Of all frames that were given.
        grid: Where the voxels lie.
        shape: Of the tensor.
        casting: What becomes of the values.
    """

    input: str
    tensor: str
    frames: tuple[StackFrame, ...]
    slots: tuple[int | None, ...]
    geometry: Geometry
    grid: Grid
    shape: tuple[int, ...]
    casting: Casting

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the tensor's elements."""
        return self.casting.dtype


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePlan:
    """A tensor that will hold one image; as ``VolumePlan``, with a letterbox in place of the grid."""

    input: str
    tensor: str
    frames: tuple[StackFrame, ...]
    slots: tuple[int | None, ...]
    letterbox: Letterbox
    shape: tuple[int, ...]
    casting: Casting

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the tensor's elements."""
        return self.casting.dtype


TensorPlan = VolumePlan | ImagePlan


def plan_tensor(spec: ImageInput, frames: Sequence[StackFrame]) -> TensorPlan:
    """Plan the tensor of one input. No pixel is needed for it.

    Args:
        spec: What the manifest says about the input.
        frames: The stack as it was matched, in any order.

    Raises:
        UnsuitableInputError: the manifest does not accept this geometry.
        RunFailedError: the tensor would be too large.
    """
    match spec.tensor:
        case VolumeTensor():
            return _plan_volume(spec, spec.tensor, tuple(frames))
        case ImageTensor():
            return _plan_image(spec, spec.tensor, tuple(frames))
        case _:
            assert_never(spec.tensor)


def write_tensor(plan: TensorPlan, source: SourceImages, *, out: NDArray[Any]) -> None:
    """Fill a tensor.

    Args:
        plan: As made by ``plan_tensor``.
        source: The finished values of ``plan.frames``.
        out: C-contiguous, of the shape and type plan, such as shared memory.
    """
    match plan:
        case VolumePlan():
            resample(source.values, plan.frames, plan.grid, plan.casting, out=out.reshape(plan.grid.shape))
        case ImagePlan():
            draw(source.values[0], plan.letterbox, plan.casting, out=out.reshape(plan.letterbox.size))
        case _:
            assert_never(plan)


def _plan_volume(spec: ImageInput, tensor: VolumeTensor, frames: tuple[StackFrame, ...]) -> VolumePlan:
    geometry = diagnose(frames)
    policy = policy_of(spec.geometry) if spec.geometry is not None else GeometryPolicy()
    found = objections(geometry, policy)
    if found:
        detail = "; ".join(objection.detail for objection in found)
        raise UnsuitableInputError(detail, category=found[0].category)
    if geometry.normal is None or len(geometry.distinct) < 2:
        # Whatever the manifest accepts: a single plane has no extent, and a projection no place.
        raise UnsuitableInputError("one plane or a projection makes no volume", category=ErrorCategory.NUMBER_OF_IMAGES)
    ordered = tuple(frames[index] for index in geometry.distinct)
    grid = grid_over(ordered, tensor.spacing_mm)
    voxels = math.prod(grid.shape)
    if voxels > _MOST_VOXELS:
        raise RunFailedError(
            Reason.INPUT_TOO_LARGE, f"the volume would have {voxels} voxels; at most {_MOST_VOXELS} are made"
        )
    slot_of = {index: slot for slot, index in enumerate(geometry.distinct)}
    return VolumePlan(
        input=spec.name,
        tensor=tensor.name,
        frames=ordered,
        slots=tuple(slot_of.get(index) for index in range(len(frames))),
        geometry=geometry,
        grid=grid,
        shape=_shape(tensor.axes, dict(zip("zyx", grid.shape, strict=True))),
        casting=Casting(np.dtype(DTYPES[tensor.datatype]), tensor.fill, tensor.clip),
    )


def _plan_image(spec: ImageInput, tensor: ImageTensor, frames: tuple[StackFrame, ...]) -> ImagePlan:
    if len(frames) != 1:
        raise UnsuitableInputError(
            f"the device reads one image; there are {len(frames)}", category=ErrorCategory.NUMBER_OF_IMAGES
        )
    return ImagePlan(
        input=spec.name,
        tensor=tensor.name,
        frames=frames,
        slots=(0,),
        letterbox=letterbox_for(frames[0], tensor.size),
        shape=_shape(tensor.axes, dict(zip("yx", tensor.size, strict=True))),
        casting=Casting(np.dtype(DTYPES[tensor.datatype]), tensor.fill, None),
    )


def policy_of(spec: GeometrySpec) -> GeometryPolicy:
    """Return what the manifest accepts as the rule that is applied."""
    return GeometryPolicy(**spec.model_dump())


def _shape(axes: Sequence[ChannelAxis], sizes: dict[str, int]) -> tuple[int, ...]:
    return tuple(sizes.get(axis, 1) for axis in axes)
