"""A made-up stack on which a model is tried before it sees a patient's."""

import math
from typing import Final

from udcmodel.manifest import ImageInput, ImageTensor
from udcmodel.stack import StackDescriptor, StackFrame

_MATRIX: Final = 64
_PIXEL_MM: Final = 2.5
_SPACING_MM: Final = 2.5


def canary_stack(image_input: ImageInput) -> StackDescriptor:
    """Return a small stack that the geometry policy of ``image_input`` accepts: axial, regular, calibrated."""
    if isinstance(image_input.tensor, ImageTensor):
        return _stack([StackFrame(sop_class_uid="", sop_instance_uid="canary", rows=_MATRIX, columns=_MATRIX)])
    policy = image_input.geometry
    fewest, coverage, widest = (
        (policy.min_frames, policy.min_coverage_mm, policy.max_spacing_mm) if policy else (1, 0.0, None)
    )
    spacing = min(_SPACING_MM, widest or _SPACING_MM)
    count = max(fewest, math.ceil(coverage / spacing) + 1, 2)
    return _stack(
        [
            StackFrame(
                sop_class_uid="",
                sop_instance_uid=f"canary-{index}",
                rows=_MATRIX,
                columns=_MATRIX,
                position=(0.0, 0.0, index * spacing),
                row_direction=(1.0, 0.0, 0.0),
                column_direction=(0.0, 1.0, 0.0),
                pixel_spacing=(_PIXEL_MM, _PIXEL_MM),
            )
            for index in range(count)
        ]
    )


def _stack(frames: list[StackFrame]) -> StackDescriptor:
    return StackDescriptor(
        archive="",
        study_instance_uid="",
        series_instance_uid="",
        modality="",
        frame_of_reference_uid="",
        frames=tuple(frames),
        instance_count=len(frames),
    )
