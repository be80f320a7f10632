"""The schema ``udc.manifest/v1alpha1`` as types. Unknown keys are refused at every level."""

import json
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from udcmodel.ids import digest_of
from udcmodel.manifest.references import check_references
from udcmodel.result import Code
from udcmodel.vocabulary import InputKind

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,62}$")]
Version = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$")]
Expression = Annotated[str, Field(min_length=1, max_length=4096)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Datatype = Literal["FP16", "FP32", "INT16", "INT32", "INT64", "UINT8", "UINT16"]
ChannelAxis = Literal["batch", "channel", "z", "y", "x"]


class Part(BaseModel):
    """A part of the manifest: immutable, and no key is accepted that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Title(Part):
    """A text in both languages of the platform."""

    ru: str = Field(min_length=1, max_length=256)
    en: str = Field(min_length=1, max_length=256)


class Vendor(Part):
    """Who makes the device. ``inn`` is the taxpayer number, 10 or 12 digits."""

    name: str = Field(min_length=1, max_length=256)
    inn: str = Field(pattern=r"^(\d{10}|\d{12})$")


class Clause(Part):
    """One condition of the intended purpose: CEL over ``study``. FALSE or UNKNOWN refuses with ``explain``."""

    name: Name
    expression: Expression
    explain: str = Field(min_length=1, max_length=512)


class GeometrySpec(Part):
    """What spatial irregularities the device accepts. Millimetres and degrees."""

    tilt: Literal["shear", "refuse"] = "refuse"
    max_tilt_deg: Annotated[float, Field(ge=0, le=45)] = 30.0
    spacing: Literal["resample", "refuse"] = "refuse"
    gap: Literal["accept", "refuse"] = "refuse"
    duplicates: Literal["first", "refuse"] = "refuse"
    min_frames: Annotated[int, Field(ge=1)] = 1
    max_frames: Annotated[int, Field(ge=1, le=10_000)] = 2_000
    max_spacing_mm: Positive | None = None
    min_coverage_mm: Annotated[float, Field(ge=0)] = 0.0


class VolumeTensor(Part):
    """A volume on an axis-parallel grid of the patient: z towards the head, y to the back, x to the left (LPS)."""

    name: Identifier
    kind: Literal["volume"]
    datatype: Datatype
    axes: tuple[ChannelAxis, ...]
    spacing_mm: tuple[Positive, Positive, Positive]
    """Distance between voxel centres along z, y, x."""
    clip: tuple[float, float] | None = None
    fill: float = 0.0

    @model_validator(mode="after")
    def _axes_make_a_volume(self) -> Self:
        if tuple(axis for axis in self.axes if axis in {"z", "y", "x"}) != ("z", "y", "x"):
            raise ValueError("the axes of a volume are z, y, x in this order, optionally after batch and channel")
        _check_axes(self.axes)
        return self


class ImageTensor(Part):
    """One image, scaled so that it fits into ``size`` (rows, columns); what is left over holds ``fill``."""

    name: Identifier
    kind: Literal["image"]
    datatype: Datatype
    axes: tuple[ChannelAxis, ...]
    size: tuple[Annotated[int, Field(ge=8, le=4096)], Annotated[int, Field(ge=8, le=4096)]]
    fill: float = 0.0

    @model_validator(mode="after")
    def _axes_make_an_image(self) -> Self:
        if tuple(axis for axis in self.axes if axis in {"z", "y", "x"}) != ("y", "x"):
            raise ValueError("the axes of an image are y, x in this order, optionally after batch and channel")
        _check_axes(self.axes)
        return self


def _check_axes(axes: tuple[ChannelAxis, ...]) -> None:
    if len(set(axes)) != len(axes):
        raise ValueError("an axis is named twice")


class ImageInput(Part):
    """A stack or an image that the device reads."""

    name: Name
    kind: Literal["stack"]
    scope: Literal["study"]
    where: Expression
    prefer: tuple[Expression, ...] = ()
    cardinality: Literal["one", "each"] = "one"
    at_most: Annotated[int, Field(ge=1, le=64)] | None = None
    """How many stacks ``each`` may take; the preferred ones are taken."""
    values: Literal["hounsfield", "stored", "normalised"]
    tensor: Annotated[VolumeTensor | ImageTensor, Field(discriminator="kind")]
    geometry: GeometrySpec | None = None

    @property
    def input_kind(self) -> InputKind:
        """What this input is in a job."""
        return InputKind.STACK

    @model_validator(mode="after")
    def _a_volume_has_a_geometry(self) -> Self:
        if isinstance(self.tensor, VolumeTensor) and self.geometry is None:
            raise ValueError("an input with a volume tensor needs a geometry block")
        if isinstance(self.tensor, ImageTensor) and self.geometry is not None:
            raise ValueError("an input with an image tensor has no geometry block")
        return self

    @model_validator(mode="after")
    def _the_number_of_stacks_has_a_limit(self) -> Self:
        if (self.cardinality == "each") != (self.at_most is not None):
            raise ValueError("`cardinality: each` needs `at_most`, and nothing else has it")
        return self


class ModelRef(Part):
    """Which model of the serving backend computes the answer."""

    backend: Literal["triton"]
    name: Identifier
    version: Annotated[int, Field(ge=1)]


class ScoresOutput(Part):
    """Probabilities, each in [0, 1]."""

    name: Identifier
    kind: Literal["scores"]
    datatype: Literal["FP16", "FP32"]
    shape: tuple[Annotated[int, Field(ge=1, le=65_536)], ...]


class LabelsOutput(Part):
    """An integer label for each voxel of an input's grid; 0 is background."""

    name: Identifier
    kind: Literal["labels"]
    datatype: Literal["UINT8", "UINT16"]
    shape: Literal["like-input"]
    input: Name


class BoxOutput(Part):
    """Boxes left, top, right, bottom in pixels of an input's tensor."""

    name: Identifier
    kind: Literal["boxes"]
    datatype: Literal["FP16", "FP32"]
    shape: tuple[Annotated[int, Field(ge=1, le=4096)], ...]
    input: Name

    @model_validator(mode="after")
    def _four_numbers_each(self) -> Self:
        if self.shape[-1] != 4:
            raise ValueError("the last dimension of a box output is 4: left, top, right, bottom")
        return self


Output = Annotated[ScoresOutput | LabelsOutput | BoxOutput, Field(discriminator="kind")]


class Element(Part):
    """One element of an output, counted in C order from 0."""

    output: Identifier
    index: Annotated[int, Field(ge=0)]


class MaskRef(Part):
    """The voxels of one label. Regions below ``min_volume_ml`` are left out."""

    output: Identifier
    label: Annotated[int, Field(ge=1)]
    min_volume_ml: Annotated[float, Field(ge=0)] = 0.0


class PresenceRule(Part):
    """The finding is present from this probability on."""

    threshold: Annotated[float, Field(ge=0, le=1)]


class FindingSpec(Part):
    """Something the device looks for and how it is read from the outputs."""

    id: Name
    title: Title
    code: Code
    category: Code | None = None
    site: Code | None = None
    probability: Element
    presence: PresenceRule
    mask: MaskRef | None = None
    box: Element | None = None
    per: Literal["study", "mask", "component"]
    measurements: tuple[Literal["volume", "max_diameter"], ...] = ()

    @model_validator(mode="after")
    def _measurements_need_a_mask(self) -> Self:
        if self.measurements and self.mask is None:
            raise ValueError("measurements need a mask")
        if self.per != "study" and self.mask is None:
            raise ValueError(f"`per: {self.per}` needs a mask")
        return self


class Limits(Part):
    """What an inference may cost, in seconds, and how much it may say."""

    timeout_s: Annotated[float, Field(gt=0, le=3600)]
    components: Annotated[int, Field(ge=1, le=256)] | None = None
    """Most findings that one ``per: component`` may become; the largest regions stay, and the result says so."""


class Resources(Part):
    """Where it runs and what it needs there."""

    pool: Name
    memory_mb: Annotated[int, Field(ge=1)]


class Manifest(Part):
    """A device version as its vendor describes it."""

    schema_: Literal["udc.manifest/v1alpha1"] = Field(alias="schema")
    device: Name
    version: Version
    title: Title
    vendor: Vendor
    kind: Literal["medical_device", "ai_service"]
    data_type: Literal["image", "ehr", "signal"]
    language: Literal["ru", "en"]
    purpose: tuple[Clause, ...] = ()
    inputs: tuple[ImageInput, ...] = Field(min_length=1)
    model: ModelRef
    outputs: tuple[Output, ...] = Field(min_length=1)
    findings: tuple[FindingSpec, ...] = Field(min_length=1)
    limits: Limits
    resources: Resources

    def canonical(self) -> bytes:
        """Return the one JSON form of this manifest: sorted keys, no spaces, UTF-8. This is what is digested."""
        content = self.model_dump(mode="json", by_alias=True)
        return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_canonical(cls, content: bytes) -> "Manifest":
        """Read what ``canonical`` wrote."""
        return cls.model_validate_json(content)

    @property
    def digest(self) -> str:
        """Content address of the canonical form."""
        return digest_of(self.canonical())

    def input(self, name: str) -> ImageInput:
        """Return the input of this name; references are checked when the manifest is read."""
        return next(item for item in self.inputs if item.name == name)

    def output(self, name: str) -> ScoresOutput | LabelsOutput | BoxOutput:
        """Return the output of this name; references are checked when the manifest is read."""
        return next(item for item in self.outputs if item.name == name)

    @model_validator(mode="after")
    def _references_hold(self) -> Self:
        check_references(self)
        return self
