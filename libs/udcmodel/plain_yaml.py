"""YAML of plain values, whose every error is one of YAML."""

from typing import Any, Final

import yaml

_TAG: Final = "tag:yaml.org,2002:"


class _PlainLoader(yaml.SafeLoader):
    """A safe loader that says in which line a value cannot be made, where its base raises what Python happened to."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            kind = node.tag.removeprefix(_TAG)
            raise yaml.constructor.ConstructorError(None, None, f"this is no {kind}", node.start_mark) from error


def load(content: bytes | str) -> Any:
    """Return the value of a document.

    Raises:
        yaml.YAMLError: it cannot be read.
    """
    try:
        return yaml.load(content, Loader=_PlainLoader)  # noqa: S506 it is a safe one
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply") from error
