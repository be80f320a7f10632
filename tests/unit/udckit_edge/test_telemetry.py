import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from udckit import telemetry
from udckit.errors import NotFoundError

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


class Spans:
    """What was written to the file, line by line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> list[Mapping[str, Any]]:
        return [json.loads(line) for line in self._path.read_text().splitlines()]

    def text(self) -> str:
        return self._path.read_text()


@pytest.fixture
def spans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """Our spans go to a file; the process's own provider, which can be set only once, is left alone."""
    path = tmp_path / "traces" / "spans.jsonl"
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(telemetry.JsonLinesExporter(path)))
    monkeypatch.setattr(telemetry, "tracer", lambda: provider.get_tracer("udc"))
    yield Spans(path)
    provider.shutdown()


def test_a_finished_span_is_a_line_with_its_place_in_the_trace(spans: Spans) -> None:
    with telemetry.span("outer"), telemetry.span("inner", kind=trace.SpanKind.CLIENT, attributes={"udc.job": "5f"}):
        pass

    inner, outer = spans.all()
    assert (inner["name"], inner["kind"], inner["attributes"]) == ("inner", "CLIENT", {"udc.job": "5f"})
    assert (inner["trace_id"], inner["parent_id"]) == (outer["trace_id"], outer["span_id"])
    assert outer["parent_id"] is None
    assert outer["start_ns"] <= inner["start_ns"] <= inner["end_ns"] <= outer["end_ns"]


@pytest.mark.parametrize("name", ["traceparent", "Traceparent", "TRACEPARENT"])
def test_a_trace_continues_from_headers_in_any_case(spans: Spans, name: str) -> None:
    with telemetry.span("process", context=telemetry.remote_context({name: TRACEPARENT, "ce-id": "1"})):
        pass

    [line] = spans.all()
    assert (line["trace_id"], line["parent_id"]) == (TRACE, PARENT)


@pytest.mark.parametrize("headers", [None, {}, {"traceparent": "nonsense"}])
def test_without_a_trace_in_the_headers_a_new_one_begins_even_inside_of_another(
    spans: Spans, headers: Mapping[str, str] | None
) -> None:
    with telemetry.span("loop"), telemetry.span("process", context=telemetry.remote_context(headers)):
        pass

    process, loop = spans.all()
    assert process["parent_id"] is None
    assert process["trace_id"] != loop["trace_id"]


@pytest.mark.usefixtures("spans")
def test_the_carrier_names_the_current_span() -> None:
    with telemetry.span("work", context=telemetry.remote_context({"traceparent": TRACEPARENT})) as current:
        carried = telemetry.carrier()

    assert carried == {"traceparent": f"00-{TRACE}-{current.get_span_context().span_id:016x}-01"}
    assert telemetry.carrier() == {}


def test_an_error_leaves_its_kind_and_none_of_its_words(spans: Spans) -> None:
    with pytest.raises(ValueError, match="Ivanov"), telemetry.span("stranger"):
        raise ValueError("Ivanov^Ivan is no number")
    with pytest.raises(NotFoundError), telemetry.span("ours"):
        raise NotFoundError("there is no job 5f")

    stranger, ours = spans.all()
    assert (stranger["status"], stranger["attributes"]) == ("ERROR", {"error.type": "ValueError"})
    assert (ours["status"], ours["attributes"]) == ("ERROR", {"error.type": "NOT_FOUND"})
    assert "Ivanov" not in spans.text()
