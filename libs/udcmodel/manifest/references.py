"""Whether the parts of a manifest fit each other: what no part can say about itself."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the schema calls this module
    from udcmodel.manifest.schema import FindingSpec, ImageInput, Manifest, Output

Path = tuple[str | int, ...]


class ReferenceProblemError(ValueError):
    """Two parts of a manifest do not fit together; ``path`` leads to the one that is wrong."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


def check_references(manifest: "Manifest") -> None:
    """Prove that names are unique, and that every reference leads to something of the right form.

    Raises:
        ReferenceProblemError: the first that does not hold.
    """
    _check_names(manifest)
    inputs = {item.name: item for item in manifest.inputs}
    for index, output in enumerate(manifest.outputs):
        _check_output(output, inputs, ("outputs", index))
    for index, finding in enumerate(manifest.findings):
        _check_finding(manifest, finding, ("findings", index))
    _check_all_outputs_are_read(manifest)


def _check_names(manifest: "Manifest") -> None:
    for field, names in (
        ("inputs", [item.name for item in manifest.inputs]),
        ("inputs", [item.tensor.name for item in manifest.inputs]),
        ("outputs", [item.name for item in manifest.outputs]),
        ("findings", [item.id for item in manifest.findings]),
        ("purpose", [item.name for item in manifest.purpose]),
    ):
        for index, name in enumerate(names):
            if name in names[:index]:
                raise ReferenceProblemError((field, index), f"{name!r} is described twice")


def _check_output(output: "Output", inputs: dict[str, "ImageInput"], path: Path) -> None:
    if output.kind == "scores":
        return
    here = (*path, "input")
    if output.input not in inputs:
        raise ReferenceProblemError(here, f"there is no input {output.input!r}; there is {listed(inputs)}")
    tensor = inputs[output.input].tensor
    if output.kind == "labels" and tensor.kind != "volume":
        raise ReferenceProblemError(here, f"labels are read on a volume; the tensor of {output.input!r} is an image")
    if output.kind == "boxes" and tensor.kind != "image":
        raise ReferenceProblemError(here, f"boxes are read on an image; the tensor of {output.input!r} is a volume")


def _check_finding(manifest: "Manifest", finding: "FindingSpec", path: Path) -> None:
    outputs = {output.name: output for output in manifest.outputs}

    def referred(field: str, name: str, kind: str) -> "Output":
        here = (*path, field, "output")
        if name not in outputs:
            raise ReferenceProblemError(here, f"there is no output {name!r}; there is {listed(outputs)}")
        if outputs[name].kind != kind:
            raise ReferenceProblemError(
                here, f"an output of kind {kind} is needed; {name!r} is of kind {outputs[name].kind}"
            )
        return outputs[name]

    scores = referred("probability", finding.probability.output, "scores")
    if scores.kind == "scores":
        _check_index(finding.probability.index, math.prod(scores.shape), "element", path=(*path, "probability"))
    if finding.mask is not None:
        referred("mask", finding.mask.output, "labels")
    if finding.box is not None:
        boxes = referred("box", finding.box.output, "boxes")
        if boxes.kind == "boxes":
            _check_index(finding.box.index, math.prod(boxes.shape) // 4, "box", path=(*path, "box"))
    if finding.per == "component" and manifest.limits.components is None:
        raise ReferenceProblemError(
            (*path, "per"), "`per: component` needs `limits.components`: how many of them one result may have"
        )


def _check_index(index: int, count: int, what: str, *, path: Path) -> None:
    if index >= count:
        raise ReferenceProblemError(
            (*path, "index"), f"there is no {what} {index}; the output has {count}, counted from 0"
        )


def _check_all_outputs_are_read(manifest: "Manifest") -> None:
    read = {finding.probability.output for finding in manifest.findings}
    read |= {finding.mask.output for finding in manifest.findings if finding.mask is not None}
    read |= {finding.box.output for finding in manifest.findings if finding.box is not None}
    for index, output in enumerate(manifest.outputs):
        if output.name not in read:
            raise ReferenceProblemError(
                ("outputs", index, "name"), f"no finding is read from {output.name!r}; leave it out"
            )


def listed(names: Iterable[str]) -> str:
    """Return the names in order, for a sentence."""
    return ", ".join(sorted(names))
