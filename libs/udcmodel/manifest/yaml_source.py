"""From YAML to a manifest, or to another document of ours, keeping the line of every key for the error messages."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from udckit.errors import InvalidRequestError
from udcmodel import plain_yaml
from udcmodel.manifest.references import ReferenceProblemError
from udcmodel.manifest.schema import Manifest

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 24
UNION_TAGS: Final = frozenset({"scores", "labels", "boxes", "volume", "image"})

Path = tuple[str | int, ...]
D = TypeVar("D", bound=BaseModel)


class ManifestError(InvalidRequestError):
    """The manifest cannot be used; every problem is listed with its line."""

    reason = "INVALID_MANIFEST"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of document: what people call it, how it begins, and what says that one cannot be used."""

    what: str
    schema: str
    error: type[InvalidRequestError]


_MANIFEST: Final = Kind("manifest", "udc.manifest/v1alpha1", ManifestError)


def parse(content: bytes) -> Manifest:
    """Read a manifest.

    Args:
        content: YAML 1.1 in UTF-8, at most 256 KiB, without anchors, aliases or duplicate keys.

    Raises:
        ManifestError: one line per problem, each with the line of the file and the path of the key.
    """
    return parse_as(Manifest, content, kind=_MANIFEST)


def parse_as(model: type[D], content: bytes, *, kind: Kind) -> D:
    """Read a document of another kind, under the same limits as a manifest.

    Raises:
        InvalidRequestError: as the kind says: one line per problem, each with the line of the file and the key.
    """
    try:
        root = _compose(content, kind)
        lines: dict[Path, int] = {}
        _remember_lines(root, (), lines, kind)
        value = plain_yaml.load(content)
    except yaml.reader.ReaderError as error:
        # Only one about text can come here: bytes that are no UTF-8 were refused before.
        line = content.decode("utf-8").count("\n", 0, error.position) + 1
        raise kind.error(f"line {line}: the character U+{error.character:04X} is not allowed") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise kind.error(f"line {mark.line + 1 if mark else 1}: this is not YAML: {error.problem}") from error
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = []
        for problem in error.errors(include_url=False):
            if problem["type"] == "too_short" and len(error.errors()) > 1:
                # A list whose every item failed also counts as empty; the items' own problems say more.
                continue
            cause = problem.get("ctx", {}).get("error")
            location = cause.path if isinstance(cause, ReferenceProblemError) else problem["loc"]
            path = _written_path(location, lines)
            problems.append(f"line {_line_of(path, lines)}: {_path_text(path, kind)}: {_sentence(problem)}")
        raise kind.error(f"the {kind.what} cannot be used:\n  " + "\n  ".join(problems)) from None


def _compose(content: bytes, kind: Kind) -> yaml.Node:
    if len(content) > MAX_BYTES:
        raise kind.error(f"the {kind.what} has {len(content)} bytes; at most {MAX_BYTES} are read")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise kind.error(f"the {kind.what} is not UTF-8 (byte {error.start})") from error
    try:
        for token in yaml.scan(text):
            line = token.start_mark.line + 1
            if isinstance(token, yaml.AnchorToken | yaml.AliasToken):
                raise kind.error(f"line {line}: anchors and aliases are not read; write the value out")
            if isinstance(token, yaml.ScalarToken) and "\0" in token.value:
                raise kind.error(f"line {line}: the character U+0000 is not allowed")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except RecursionError as error:
        raise kind.error(f"the {kind.what} is nested too deeply") from error
    if not isinstance(root, yaml.MappingNode):
        raise kind.error(f"line 1: the {kind.what} is a mapping of keys, starting with `schema: {kind.schema}`")
    return root


def _remember_lines(node: yaml.Node, path: Path, lines: dict[Path, int], kind: Kind) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if len(path) > MAX_DEPTH:
        raise kind.error(f"line {node.start_mark.line + 1}: the {kind.what} is nested too deeply")
    for key, key_line, child in _children(node):
        here = (*path, key)
        if here in lines:
            raise kind.error(
                f"line {key_line}: {_path_text(here, kind)} is written twice (first in line {lines[here]})"
            )
        lines[here] = key_line
        _remember_lines(child, here, lines, kind)


def _children(node: yaml.Node) -> Iterator[tuple[str | int, int, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            yield str(key.value), key.start_mark.line + 1, child
    elif isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            yield index, child.start_mark.line + 1, child


def _written_path(location: Path, lines: dict[Path, int]) -> Path:
    # pydantic puts the tag of a union (such as `scores`) into the location; nobody wrote it.
    path: Path = ()
    for position, part in enumerate(location):
        is_tag = (*path, part) not in lines and part in UNION_TAGS and position < len(location) - 1
        if not is_tag:
            path = (*path, part)
    return path


def _line_of(path: Path, lines: dict[Path, int]) -> int:
    # A missing key has no line; its nearest parent has.
    while path not in lines:
        path = path[:-1]
    return lines[path]


def _path_text(path: Path, kind: Kind) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or kind.what


def _sentence(problem: ErrorDetails) -> str:
    match problem["type"]:
        case "extra_forbidden":
            return "this key is not known; check its spelling"
        case "missing":
            return "this key is required"
        case _:
            return str(problem["msg"]).removeprefix("Value error, ")
