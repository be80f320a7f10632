"""Generated code and what it runs on must agree: a newer generator than the runtime fails only at import."""

import importlib
import pkgutil
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import udc

ROOT = Path(__file__).parents[2]
GENERATED = sorted((ROOT / "libs" / "udc").rglob("*_pb2*.py"))


def floor_of(name: str) -> Version:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirement = next(item for item in map(Requirement, project["dependencies"]) if item.name == name)
    return next(Version(part.version) for part in requirement.specifier if part.operator == ">=")


def test_every_generated_module_can_be_imported() -> None:
    modules = [module.name for module in pkgutil.walk_packages(udc.__path__, "udc.")]

    assert len(modules) > len(GENERATED)
    for name in modules:
        importlib.import_module(name)


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.stem)
def test_the_floors_are_what_the_generator_wrote(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    grpc = re.search(r"GRPC_GENERATED_VERSION = '([\d.]+)'", text)
    protobuf = re.search(r"Protobuf Python Version: ([\d.]+)", text)

    assert grpc or protobuf
    if grpc:
        assert Version(grpc.group(1)) <= floor_of("grpcio")
    if protobuf:
        assert Version(protobuf.group(1)) <= floor_of("protobuf")
