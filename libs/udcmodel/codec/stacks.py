"""``StackDescriptor`` and its wire form."""

from collections.abc import Iterable

from udc.device.v1 import stack_pb2
from udckit.errors import InvalidRequestError
from udcmodel.codec.basics import decoded
from udcmodel.stack import StackDescriptor, StackFrame, Vector


def encode_stack(stack: StackDescriptor) -> bytes:
    """Serialise deterministically; the digest of these bytes is the input's digest."""
    return stack_pb2.StackDescriptor(
        archive=stack.archive,
        study_instance_uid=stack.study_instance_uid,
        series_instance_uid=stack.series_instance_uid,
        modality=stack.modality,
        frame_of_reference_uid=stack.frame_of_reference_uid,
        instance_count=stack.instance_count,
        frames=[
            stack_pb2.StackFrame(
                sop_class_uid=frame.sop_class_uid,
                sop_instance_uid=frame.sop_instance_uid,
                frame_number=frame.frame_number,
                position=frame.position or (),
                orientation=(*(frame.row_direction or ()), *(frame.column_direction or ())),
                pixel_spacing=frame.pixel_spacing or (),
                rows=frame.rows,
                columns=frame.columns,
            )
            for frame in stack.frames
        ],
    ).SerializeToString(deterministic=True)


def decode_stack(content: bytes) -> StackDescriptor:
    """Undo ``encode_stack``.

    Raises:
        InvalidRequestError: the bytes are not a stack.
    """
    message = decoded(stack_pb2.StackDescriptor, content)
    return StackDescriptor(
        archive=message.archive,
        study_instance_uid=message.study_instance_uid,
        series_instance_uid=message.series_instance_uid,
        modality=message.modality,
        frame_of_reference_uid=message.frame_of_reference_uid,
        instance_count=message.instance_count,
        frames=tuple(
            StackFrame(
                sop_class_uid=frame.sop_class_uid,
                sop_instance_uid=frame.sop_instance_uid,
                frame_number=frame.frame_number,
                position=_vector(frame.position),
                row_direction=_vector(frame.orientation[:3]),
                column_direction=_vector(frame.orientation[3:]),
                pixel_spacing=(frame.pixel_spacing[0], frame.pixel_spacing[1]) if frame.pixel_spacing else None,
                rows=frame.rows,
                columns=frame.columns,
            )
            for frame in message.frames
        ),
    )


def _vector(numbers: Iterable[float]) -> Vector | None:
    match tuple(numbers):
        case ():
            return None
        case (x, y, z):
            return (x, y, z)
        case other:
            raise InvalidRequestError(f"a vector of a stack has {len(other)} numbers instead of three")
