"""Traces and metrics: where they go, and how a trace travels with events and calls.

Names of spans, attributes and metrics are declared in ``telemetry/`` before they are used.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Final

import structlog
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from udckit.errors import ServiceError

FLUSH_S: Final = 3.0
"""How long the end of the process waits for a collector; the SDK's own limit was seen to be exceeded."""

_SCOPE: Final = "udc"
_propagator: Final = TraceContextTextMapPropagator()
_log: Final = structlog.get_logger()


@contextmanager
def configured(
    *,
    service: str,
    region: str,
    replica: str,
    otlp_endpoint: str | None = None,
    trace_file: Path | None = None,
    trace_ratio: float = 1.0,
) -> Iterator[None]:
    """Record spans and metrics of this process while the block runs, then send what is left.

    OpenTelemetry allows one provider per process, so this is entered once, by the runtime.

    Args:
        service: ``service.name`` of everything recorded, such as ``study-router``.
        region: Region code.
        replica: ``service.instance.id``.
        otlp_endpoint: Collector (OTLP over gRPC); ``http://`` is plain text, ``https://`` is TLS.
        trace_file: File to which each finished span is appended as a line of JSON.
        trace_ratio: Share of new traces that are recorded, 0 to 1.
    """
    resource = Resource.create(
        {
            "service.name": service,
            "service.namespace": "udc",
            "service.instance.id": replica,
            "service.version": _version(),
            "udc.region": region,
        }
    )
    traces = TracerProvider(
        resource=resource, sampler=ParentBased(TraceIdRatioBased(trace_ratio)), shutdown_on_exit=False
    )
    closing: list[Callable[[], None]] = [traces.shutdown]
    if otlp_endpoint is not None:
        traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=otlp_endpoint)))
        measures = MeterProvider(
            resource=resource,
            shutdown_on_exit=False,
            metric_readers=[PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=otlp_endpoint))],
        )
        metrics.set_meter_provider(measures)
        closing.append(measures.shutdown)
    if trace_file is not None:
        traces.add_span_processor(SimpleSpanProcessor(JsonLinesExporter(trace_file)))
    trace.set_tracer_provider(traces)
    try:
        yield
    finally:
        for close in closing:
            _close(close)


def tracer() -> trace.Tracer:
    """Return the tracer for our own spans."""
    return trace.get_tracer(_SCOPE)


def meter() -> metrics.Meter:
    """Return the meter for our own metrics."""
    return metrics.get_meter(_SCOPE)


def carrier() -> dict[str, str]:
    """Return the current trace context as headers (``traceparent``, ``tracestate``); empty outside of a span."""
    headers: dict[str, str] = {}
    _propagator.inject(headers)
    return headers


def remote_context(headers: Mapping[str, str] | None) -> Context:
    """Return the trace context that ``headers`` carry, in whatever case their names are written.

    Without one the result is empty: a span begun in it is the root of a new trace, not a child of what happens to
    run here.
    """
    lowered = {name.lower(): value for name, value in (headers or {}).items()}
    return _propagator.extract(lowered, context=Context())


@contextmanager
def span(
    name: str,
    *,
    kind: trace.SpanKind = trace.SpanKind.INTERNAL,
    context: Context | None = None,
    links: Sequence[trace.Link] = (),
    attributes: Mapping[str, AttributeValue] | None = None,
) -> Iterator[trace.Span]:
    """Record what runs inside as one span; use this and never the tracer itself.

    The SDK would write the text of a passing exception into the span, and that text may quote a patient's name.
    Here an error leaves its ``error.type`` only: the reason of a ``ServiceError``, else the name of the class.

    Args:
        name: Declared in ``telemetry/spans.yaml``; low cardinality.
        kind: Role of the span; producer and consumer for events, server and client for calls.
        context: Parent, such as ``remote_context(headers)``; by default the current span.
        links: Related spans; the SDK keeps 128 and drops the rest silently.
        attributes: Declared in ``telemetry/attributes.yaml``, or from the OpenTelemetry conventions.
    """
    with tracer().start_as_current_span(
        name,
        context=context,
        kind=kind,
        links=links,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except Exception as error:
            current.set_attribute(
                "error.type", error.reason if isinstance(error, ServiceError) else type(error).__qualname__
            )
            current.set_status(trace.StatusCode.ERROR)
            raise


class JsonLinesExporter(SpanExporter):
    """Appends finished spans to a file, one JSON object per line; several processes may share the file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write ``spans``; one write call, so that lines of different processes never mix."""
        os.write(self._descriptor, b"".join(_line(span) for span in spans))
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _version() -> str:
    try:
        return metadata.version("udc")
    except metadata.PackageNotFoundError:
        return "unreleased"


def _close(shutdown: Callable[[], None]) -> None:
    """Run ``shutdown`` for at most ``FLUSH_S``: a hanging collector must not hold up the end of the process."""
    closing = threading.Thread(target=shutdown, name="telemetry-flush", daemon=True)
    closing.start()
    closing.join(FLUSH_S)
    if closing.is_alive():
        _log.warning("telemetry.flush_abandoned")


def _line(finished: ReadableSpan) -> bytes:
    context = finished.get_span_context()
    described = {
        "name": finished.name,
        "kind": finished.kind.name,
        "service": finished.resource.attributes.get("service.name"),
        "region": finished.resource.attributes.get("udc.region"),
        "trace_id": trace.format_trace_id(context.trace_id) if context else None,
        "span_id": trace.format_span_id(context.span_id) if context else None,
        "parent_id": trace.format_span_id(finished.parent.span_id) if finished.parent else None,
        "start_ns": finished.start_time,
        "end_ns": finished.end_time,
        "status": finished.status.status_code.name,
        "attributes": dict(finished.attributes or {}),
        "links": [
            {
                "trace_id": trace.format_trace_id(link.context.trace_id),
                "span_id": trace.format_span_id(link.context.span_id),
            }
            for link in finished.links
        ],
        "events": [{"name": event.name, "attributes": dict(event.attributes or {})} for event in finished.events],
    }
    return json.dumps(described, ensure_ascii=False, default=str).encode() + b"\n"
