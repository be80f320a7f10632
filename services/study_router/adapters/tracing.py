"""Where traces begin: a study revision has one, and every job has its own, linked to it."""

from opentelemetry import trace
from opentelemetry.context import Context

from udckit import telemetry


def begin_study(linked_to: str) -> str:
    """Begin the trace of a study revision and return its W3C context; the earlier revision's may be linked."""
    with telemetry.span("study.begin", context=Context(), links=_links(linked_to)):
        return telemetry.carrier().get("traceparent", "")


def begin_job(linked_to: str) -> str:
    """Begin the trace of a job and return its W3C context; the study revision's is linked."""
    with telemetry.span("job.begin", context=Context(), links=_links(linked_to)):
        return telemetry.carrier().get("traceparent", "")


def _links(traceparent: str) -> list[trace.Link]:
    if not traceparent:
        return []
    linked = trace.get_current_span(telemetry.remote_context({"traceparent": traceparent})).get_span_context()
    return [trace.Link(linked)]
