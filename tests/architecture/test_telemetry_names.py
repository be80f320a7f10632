"""Names of spans, metrics and attributes are a schema: code and ``telemetry/*.yaml`` say the same."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for folder in ("libs/udckit", "libs/udcmodel", "services")
    for path in (ROOT / folder).rglob("*.py")
    if "testing" not in path.parts
)
OURS = re.compile(r"udc(\.[a-z][a-z_]*)+")
INSTRUMENTS = {
    "create_counter": "counter",
    "create_up_down_counter": "up_down_counter",
    "create_histogram": "histogram",
    "create_gauge": "gauge",
    "create_observable_counter": "observable_counter",
    "create_observable_up_down_counter": "observable_up_down_counter",
    "create_observable_gauge": "observable_gauge",
}
NAMED_BY_THE_CALL = {"{rpc.service}/{rpc.method}"}
"""Spans of gRPC: their names are those of the methods and are in no source."""


def declared(kind: str) -> Mapping[str, Mapping[str, Any]]:
    entries = yaml.safe_load((ROOT / "telemetry" / f"{kind}.yaml").read_text())[kind]
    names = [entry["name"] for entry in entries]
    assert len(names) == len(set(names)), "a name is declared twice"
    return {entry["name"]: entry for entry in entries}


def called(node: ast.Call) -> str:
    match node.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def template(node: ast.expr) -> str | None:
    """Return the text of a literal, with ``{}`` for what is filled in; None for anything else."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
    return None


def calls() -> Iterator[tuple[Path, ast.Call]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield path.relative_to(ROOT), node


def spans_in_code() -> Iterator[tuple[Path, str | None]]:
    for path, node in calls():
        if called(node) == "span" and node.args:
            yield path, template(node.args[0])


def metrics_in_code() -> Iterator[tuple[str, str, str | None]]:
    for path, node in calls():
        if called(node) in INSTRUMENTS:
            name = template(node.args[0])
            assert name is not None, f"{path}:{node.lineno}: the name of a metric is written where it is made"
            unit = next((template(keyword.value) for keyword in node.keywords if keyword.arg == "unit"), None)
            yield name, INSTRUMENTS[called(node)], unit


def attributes_in_code() -> set[str]:
    found = {
        node.value
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and OURS.fullmatch(node.value)
    }
    return found - {name for name, _, _ in metrics_in_code()}


def test_every_span_in_code_is_declared_and_the_other_way_round() -> None:
    braces = re.compile(r"\{[^}]*\}")
    known = {braces.sub("{}", name) for name in declared("spans").keys() - NAMED_BY_THE_CALL}

    assert {name for _, name in spans_in_code() if name is not None} == known


def test_only_the_plumbing_of_calls_takes_the_name_of_a_span_from_elsewhere() -> None:
    computed = {str(path) for path, name in spans_in_code() if name is None}

    assert computed == {"libs/udckit/grpc_client.py", "libs/udckit/grpc_server.py"}


def test_no_span_is_begun_beside_the_one_way_that_keeps_words_of_exceptions_out() -> None:
    beside = {str(path) for path, node in calls() if called(node) in {"start_as_current_span", "start_span"}}

    assert beside == {"libs/udckit/telemetry.py"}


def test_every_metric_in_code_is_declared_with_its_instrument_and_unit_and_the_other_way_round() -> None:
    known = {(name, entry["instrument"], entry["unit"]) for name, entry in declared("metrics").items()}

    assert set(metrics_in_code()) == known


def test_every_attribute_of_ours_in_code_is_declared_and_the_other_way_round() -> None:
    assert attributes_in_code() == set(declared("attributes"))


@pytest.mark.parametrize("metric", sorted(declared("metrics")))
def test_a_metric_has_known_attributes_only(metric: str) -> None:
    ours = {name for name in declared("metrics")[metric]["attributes"] if name.startswith("udc.")}

    assert ours <= set(declared("attributes"))


@pytest.mark.parametrize("kind", ["attributes", "spans", "metrics"])
def test_every_name_says_what_it_is(kind: str) -> None:
    assert [name for name, entry in declared(kind).items() if not entry["brief"].endswith(".")] == []
