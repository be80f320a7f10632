"""What a manifest and a loaded model say about the same tensors, and where they disagree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from udcmodel.manifest import BoxOutput, ImageTensor, LabelsOutput, Manifest, ScoresOutput, VolumeTensor


@dataclass(frozen=True, slots=True)
class TensorForm:
    """Type and extents of a tensor; an extent that is free is None."""

    datatype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        extents = ", ".join("free" if extent is None else str(extent) for extent in self.shape)
        return f"{self.datatype} [{extents}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelForm:
    """The tensors of a model, by their names."""

    inputs: Mapping[str, TensorForm]
    outputs: Mapping[str, TensorForm]


def form_of(manifest: Manifest) -> ModelForm:
    """Return the form that a manifest says its model has."""
    inputs = {item.name: _input_form(item.tensor) for item in manifest.inputs}
    outputs = {}
    for output in manifest.outputs:
        match output:
            case LabelsOutput():
                outputs[output.name] = TensorForm(output.datatype, inputs[output.input].shape)
            case ScoresOutput() | BoxOutput():
                outputs[output.name] = TensorForm(output.datatype, tuple(output.shape))
            case _:
                assert_never(output)
    return ModelForm(inputs={item.tensor.name: inputs[item.name] for item in manifest.inputs}, outputs=outputs)


def _input_form(tensor: VolumeTensor | ImageTensor) -> TensorForm:
    extents: dict[str, int | None] = {"batch": 1, "channel": 1}
    match tensor:
        case VolumeTensor():
            extents |= {"z": None, "y": None, "x": None}
        case ImageTensor():
            extents |= dict(zip("yx", tensor.size, strict=True))
        case _:
            assert_never(tensor)
    return TensorForm(tensor.datatype, tuple(extents[axis] for axis in tensor.axes))


def disagreements(declared: ModelForm, loaded: ModelForm) -> Sequence[str]:
    """Say in sentences where a loaded model is not what the manifest declares.

    Every input of the model must be declared, because it would wait for what nobody gives; an output that the manifest
    does not read is nobody's concern.
    """
    found = [
        f"the model wants an input {name}, which the manifest does not have"
        for name in loaded.inputs.keys() - declared.inputs.keys()
    ]
    for kind, wanted, given in (
        ("input", declared.inputs, loaded.inputs),
        ("output", declared.outputs, loaded.outputs),
    ):
        for name, form in wanted.items():
            if name not in given:
                found.append(f"the model has no {kind} {name}; it has {', '.join(sorted(given)) or 'none'}")
            elif not _fits(form, given[name]):
                found.append(f"{kind} {name} is {form} in the manifest and {given[name]} in the model")
    return found


def _fits(declared: TensorForm, loaded: TensorForm) -> bool:
    """A free extent of the model takes whatever is declared; a free one of the manifest needs a free one."""
    return (
        declared.datatype == loaded.datatype
        and len(declared.shape) == len(loaded.shape)
        and all(had is None or had == wanted for wanted, had in zip(declared.shape, loaded.shape, strict=True))
    )
