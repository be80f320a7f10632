"""YAML files that people write and commands read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from udckit.errors import InvalidRequestError
from udcmodel import plain_yaml

M = TypeVar("M", bound=BaseModel)


def read_yaml(path: Path, schema: type[M], *, what: str, longest: int) -> M:
    """Read a file of at most ``longest`` bytes that says what ``schema`` asks for; ``what`` is the name of such a file.

    Raises:
        InvalidRequestError: names the file, the field and what is wrong.
    """
    with naming(path, what=what):
        content = path.read_bytes()
        if len(content) > longest:
            raise InvalidRequestError(f"{path} is too large for a {what}")
        return schema.model_validate(plain_yaml.load(content))


@contextmanager
def naming(path: Path, *, what: str) -> Iterator[None]:
    """Name the file in whatever is wrong with it.

    Raises:
        InvalidRequestError: names the file, the field and what is wrong.
    """
    try:
        yield
    except OSError as error:
        raise InvalidRequestError(f"{path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise InvalidRequestError(f"{path} is not YAML: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise InvalidRequestError(f"{path} is no {what}: {faults}") from error
