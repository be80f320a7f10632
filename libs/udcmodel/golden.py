"""Golden cases: pictures on which a device version must say what its vendor promised, whoever processes them.

The schema ``udc.golden/v1alpha1`` as types. What is expected comes from what is known about the picture, never from
what the device once answered.
"""

import json
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from udckit.errors import InvalidRequestError
from udcmodel.ids import digest_of
from udcmodel.manifest import FindingSpec, Manifest

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Distance = Annotated[float, Field(ge=0, allow_inf_nan=False)]

MOST_CASES: Final = 64


class Part(BaseModel):
    """A part of a case: immutable, and no key is accepted that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Near(Part):
    """A number, and how far off an answer may be."""

    value: Finite
    within: Distance


class Place(Part):
    """A point of the patient (LPS, mm), and how far off an answer may be, mm."""

    at: tuple[Finite, Finite, Finite]
    within: Distance


class ExpectedRegion(Part):
    """A region in its segment: where its centre is, and how large it is."""

    centroid_mm: Place
    volume_ml: Near | None = None
    max_diameter_mm: Near | None = None


class ExpectedBox(Part):
    """A box in pixels of the image; ``overlap`` is the least intersection over union of an answer with it."""

    left: Finite
    top: Finite
    right: Finite
    bottom: Finite
    overlap: Annotated[float, Field(gt=0, le=1)]

    @model_validator(mode="after")
    def _has_an_extent(self) -> Self:
        if not (self.left < self.right and self.top < self.bottom):
            raise ValueError("a box goes from left to right and from top to bottom")
        return self


class ExpectedFinding(Part):
    """What must be said about one finding of the manifest. ``regions`` are all there are, and so are ``boxes``."""

    finding: Name
    presence: Literal["present", "absent"]
    probability: Near | None = None
    regions: tuple[ExpectedRegion, ...] | None = None
    boxes: tuple[ExpectedBox, ...] | None = None

    @model_validator(mode="after")
    def _what_is_absent_has_no_place(self) -> Self:
        if self.presence == "absent" and (self.regions or self.boxes):
            raise ValueError("a finding that is absent has no regions and no boxes")
        return self


class GoldenCase(Part):
    """One case.

    Attributes:
        case: Its name.
        picture: What there is to see, in words for people.
        inputs: For each input of the manifest the object with its images: a ``multipart/related`` body of DICOM files
            with the boundary ``BOUNDARY``, as an archive would answer it.
        expect: For each finding of the manifest what must be said.
    """

    case: Name
    picture: Annotated[str, Field(min_length=1, max_length=512)]
    inputs: dict[Name, Digest]
    expect: tuple[ExpectedFinding, ...]


BOUNDARY: Final = "udc-golden-case"
"""Between the DICOM files of an input."""


class GoldenCases(Part):
    """All cases of a device version."""

    schema_: Literal["udc.golden/v1alpha1"] = Field(alias="schema", default="udc.golden/v1alpha1")
    cases: Annotated[tuple[GoldenCase, ...], Field(min_length=1, max_length=MOST_CASES)]

    def canonical(self) -> bytes:
        """Return the one JSON form: sorted keys, no spaces, UTF-8. This is what is digested."""
        content = self.model_dump(mode="json", by_alias=True)
        return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()

    @property
    def digest(self) -> str:
        """Content address of the canonical form."""
        return digest_of(self.canonical())


def parse_golden(content: bytes) -> GoldenCases:
    """Read golden cases in any JSON form.

    Raises:
        InvalidRequestError: names the key and what is wrong with it.
    """
    try:
        return GoldenCases.model_validate_json(content)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise InvalidRequestError(f"these are no golden cases: {faults}") from error


def check_golden(golden: GoldenCases, manifest: Manifest) -> None:
    """Prove that every case is one of this device.

    Raises:
        InvalidRequestError: a case has other inputs or findings, or expects what the manifest does not give.
    """
    names = [case.case for case in golden.cases]
    for index, case in enumerate(golden.cases):
        if case.case in names[:index]:
            raise InvalidRequestError(f"golden case {case.case} is described twice")
        _check_names(case, "input", list(case.inputs), [item.name for item in manifest.inputs])
        _check_names(case, "finding", [item.finding for item in case.expect], [item.id for item in manifest.findings])
        for expected in case.expect:
            _check_expectation(case, expected, next(item for item in manifest.findings if item.id == expected.finding))


def _check_names(case: GoldenCase, what: str, given: list[str], wanted: list[str]) -> None:
    if sorted(given) != sorted(wanted):
        raise InvalidRequestError(
            f"golden case {case.case} has the {what}s {', '.join(sorted(given)) or 'none'};"
            f" the manifest has {', '.join(sorted(wanted))}"
        )


def _check_expectation(case: GoldenCase, expected: ExpectedFinding, spec: FindingSpec) -> None:
    where = f"golden case {case.case}, finding {spec.id}"
    if expected.regions and spec.mask is None:
        raise InvalidRequestError(f"{where}: the manifest reads no mask for it, so there are no regions")
    if expected.boxes and spec.box is None:
        raise InvalidRequestError(f"{where}: the manifest reads no box for it")
    for region in expected.regions or ():
        if region.max_diameter_mm is not None and "max_diameter" not in spec.measurements:
            raise InvalidRequestError(f"{where}: the manifest does not measure max_diameter")
