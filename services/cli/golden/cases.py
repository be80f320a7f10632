"""A folder of golden cases, one YAML file each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from cli.golden.pictures import ChestRadiograph, Files, HeadCt, body_of, images_of
from cli.yaml_files import naming, read_yaml
from udcmodel.golden import ExpectedFinding, GoldenCase, GoldenCases, Name
from udcmodel.ids import digest_of

_LONGEST: Final = 64 * 1024


class CaseFile(BaseModel):
    """A case as it is written: see ``GoldenCase``, with pictures in the place of digests. Its name is the file's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    picture: Annotated[str, Field(min_length=1, max_length=512)]
    inputs: dict[Name, HeadCt | ChestRadiograph | Files]
    expect: tuple[ExpectedFinding, ...]


class WrittenCase:
    """A case with its pictures drawn.

    Attributes:
        case: As it is registered.
        bodies: The images of each input, by their digest.
        image_count: How many images all inputs have.
    """

    def __init__(self, path: Path, written: CaseFile) -> None:
        images = {name: images_of(picture, path.parent) for name, picture in written.inputs.items()}
        bodies = {name: body_of(found) for name, found in images.items()}
        self.bodies: Mapping[str, bytes] = {digest_of(body): body for body in bodies.values()}
        self.image_count = sum(map(len, images.values()))
        self.case = GoldenCase(
            case=path.stem,
            picture=written.picture,
            inputs={name: digest_of(body) for name, body in bodies.items()},
            expect=written.expect,
        )


def read_cases(folder: Path) -> tuple[Sequence[WrittenCase], GoldenCases | None]:
    """Read every ``*.yaml`` of a folder and draw its pictures.

    Returns:
        The cases, and what is registered; None when there is no case.

    Raises:
        InvalidRequestError: a file cannot be used; names the file, the key and what is wrong.
    """
    cases = [_read(path) for path in sorted(folder.glob("*.yaml"))]
    return cases, GoldenCases(cases=tuple(item.case for item in cases)) if cases else None


def _read(path: Path) -> WrittenCase:
    with naming(path, what="golden case"):
        return WrittenCase(path, read_yaml(path, CaseFile, what="golden case", longest=_LONGEST))
