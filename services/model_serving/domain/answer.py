"""What a model must answer, and the proof that it did. An answer that does not pass is a failure, never a result."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, assert_never

import numpy as np
from numpy.typing import DTypeLike, NDArray

from model_serving.domain.failure import Reason, RunFailedError
from udcmodel.manifest import BoxOutput, LabelsOutput, Manifest, ScoresOutput

DTYPES: Final[Mapping[str, np.dtype[Any]]] = MappingProxyType(
    {
        "FP16": np.dtype("<f2"),
        "FP32": np.dtype("<f4"),
        "INT16": np.dtype("<i2"),
        "INT32": np.dtype("<i4"),
        "INT64": np.dtype("<i8"),
        "UINT8": np.dtype("u1"),
        "UINT16": np.dtype("<u2"),
    }
)
"""Data types of the KServe protocol, version 2, as far as a manifest may name them."""


def datatype_of(dtype: DTypeLike) -> str:
    """Return the protocol's name of a NumPy type.

    Raises:
        KeyError: no tensor of a manifest has this type.
    """
    return next(name for name, known in DTYPES.items() if known == np.dtype(dtype))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedOutput:
    """A tensor that the manifest declares. ``is_probability`` means every element lies in [0, 1]."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    is_probability: bool

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * DTYPES[self.datatype].itemsize


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredOutput:
    """A tensor as the server gave it: what it says about it, and the bytes."""

    datatype: str
    shape: tuple[int, ...]
    content: bytes | memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server answered to one inference."""

    model_version: str
    outputs: Mapping[str, AnsweredOutput]


def expected_outputs(manifest: Manifest, tensor_shapes: Mapping[str, Sequence[int]]) -> tuple[ExpectedOutput, ...]:
    """Return the tensors that a run with these inputs must answer.

    Args:
        manifest: The device's.
        tensor_shapes: Shape of the tensor made for each input, by the input's name.
    """
    expected = []
    for output in manifest.outputs:
        match output:
            case LabelsOutput():
                shape = tuple(tensor_shapes[output.input])
            case ScoresOutput() | BoxOutput():
                shape = tuple(output.shape)
            case _:
                assert_never(output)
        expected.append(
            ExpectedOutput(
                name=output.name,
                datatype=output.datatype,
                shape=shape,
                is_probability=isinstance(output, ScoresOutput),
            )
        )
    return tuple(expected)


def check_answer(
    answer: Answer, expected: Sequence[ExpectedOutput], *, model_version: int
) -> Mapping[str, NDArray[Any]]:
    """Return the tensors of an answer that is what was declared.

    The arrays lie on the answer's own bytes; nothing is copied.

    Raises:
        RunFailedError: it is not; the reason says which promise was broken.
    """
    if answer.model_version != str(model_version):
        raise RunFailedError(
            Reason.MODEL_VERSION, f"version {answer.model_version} of the model answered, not {model_version}"
        )
    return MappingProxyType({output.name: _checked(answer.outputs.get(output.name), output) for output in expected})


def _checked(answered: AnsweredOutput | None, expected: ExpectedOutput) -> NDArray[Any]:
    name = f"output {expected.name}"
    if answered is None:
        raise RunFailedError(Reason.OUTPUT_MISSING, f"{name} is not in the answer")
    if answered.datatype != expected.datatype:
        raise RunFailedError(Reason.OUTPUT_DATATYPE, f"{name} is {answered.datatype}, not {expected.datatype}")
    size = len(answered.content)
    if size == 0:
        raise RunFailedError(Reason.OUTPUT_EMPTY, f"{name} holds nothing")
    if answered.shape != expected.shape:
        raise RunFailedError(
            Reason.OUTPUT_SHAPE, f"{name} has the shape {list(answered.shape)}, not {list(expected.shape)}"
        )
    if size != expected.nbytes:
        raise RunFailedError(Reason.OUTPUT_SIZE, f"{name} has {size} bytes, not {expected.nbytes}")
    tensor = np.frombuffer(answered.content, DTYPES[expected.datatype]).reshape(expected.shape)
    if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
        raise RunFailedError(Reason.OUTPUT_NOT_FINITE, f"{name} holds NaN or infinity")
    if expected.is_probability and not ((tensor >= 0) & (tensor <= 1)).all():
        raise RunFailedError(Reason.OUTPUT_OUT_OF_RANGE, f"{name} holds a probability outside of 0 to 1")
    return tensor
