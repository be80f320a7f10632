"""A job is one trace across all services: every edge is there, from the job's beginning to ``result.archived``."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.watching import Watcher, until_dead
from region.stack import Region
from region.story import current, is_settled
from udc.events.v1 import job_pb2
from udcphantom import LEFT_BLEED, Identity, evenly, head, render_ct, scan

pytestmark = pytest.mark.connected

ATTACHMENTS = 2
SERVICES = ("study-router", "model-serving", "result-archiver", "surveillance-reporter")

EDGES = (
    # Parent service and span, child service and span.
    ("study-router", "job.begin", "model-serving", "process udc.events.v1.job.dispatched"),
    ("model-serving", "process udc.events.v1.job.dispatched", "study-router", "process udc.events.v1.job.started"),
    ("model-serving", "process udc.events.v1.job.dispatched", "model-serving", "dicomweb.retrieve_series"),
    ("model-serving", "process udc.events.v1.job.dispatched", "model-serving", "triton.infer"),
    ("model-serving", "process udc.events.v1.job.dispatched", "study-router", "process udc.events.v1.job.inferred"),
    ("study-router", "process udc.events.v1.job.inferred", "result-archiver", "process udc.events.v1.result.accepted"),
    ("result-archiver", "process udc.events.v1.result.accepted", "result-archiver", "dicom.build"),
    ("result-archiver", "process udc.events.v1.result.accepted", "result-archiver", "dicomweb.store"),
    (
        "result-archiver",
        "process udc.events.v1.result.accepted",
        "study-router",
        "udc.router.v1.JobsService/BeginArchiving",
    ),
    (
        "result-archiver",
        "process udc.events.v1.result.accepted",
        "study-router",
        "process udc.events.v1.result.archived",
    ),
    (
        "study-router",
        "process udc.events.v1.result.archived",
        "surveillance-reporter",
        "process udc.events.v1.job.ended",
    ),
)


@dataclass(frozen=True, slots=True)
class Span:
    """A finished span as the services write it."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str | None


def spans_of(region: Region) -> list[Span]:
    return [span for service in SERVICES for span in _read(region.state / service / "spans.jsonl", service)]


def _read(path: Path, service: str) -> Iterator[Span]:
    for line in path.read_text().splitlines():
        written: Mapping[str, str] = json.loads(line)
        yield Span(service, written["name"], written["trace_id"], written["span_id"], written.get("parent_id"))


def ancestors(span: Span, by_id: Mapping[str, Span]) -> Iterator[Span]:
    above = by_id.get(span.parent_id or "")
    while above is not None:
        yield above
        above = by_id.get(above.parent_id or "")


def missing_edges(spans: Sequence[Span]) -> list[str]:
    """Return the expected edges that are not in one trace; a span in between does not matter."""
    by_id = {span.span_id: span for span in spans}
    there = {(above.service, above.name, span.service, span.name) for span in spans for above in ancestors(span, by_id)}
    return [" -> ".join(edge) for edge in EDGES if edge not in there]


def sent_study(region: Region, folder: Path, seed: int) -> str:
    geometry = scan(evenly(16, spacing=10.0), rows=64, columns=64, pixel_mm=(3.5, 3.5))
    identity = Identity(patient_id=f"TRACE-{seed}", accession_number=f"T{seed}")
    study = render_ct(head([LEFT_BLEED]), geometry, identity=identity, seed=seed)
    asyncio.run(region.orthanc.store(study.write(folder)))
    return study.uid


def archived_trace(region: Region, watcher: Watcher, uid: str) -> list[Span]:
    """Wait for the result of a study; return the spans of the one trace that archived it."""
    found = asyncio.run(watcher.until([uid], lambda study: is_settled(study, attachments=ATTACHMENTS)))
    assert {item.outcome for item in current(found[uid])} == {
        job_pb2.OUTCOME_ARCHIVED,
        job_pb2.OUTCOME_NOT_ELIGIBLE,
    }
    asyncio.run(asyncio.sleep(1.5))  # the reporter hears of the end a moment later
    spans = spans_of(region)
    archived = [span for span in spans if span.name == "process udc.events.v1.result.archived"]
    last = max((span for span in archived if span.service == "study-router"), key=spans.index)
    return [span for span in spans if span.trace_id == last.trace_id]


def test_every_edge_of_a_job_is_in_one_trace(region: Region, watcher: Watcher, tmp_path: Path) -> None:
    trace = archived_trace(region, watcher, sent_study(region, tmp_path, 1))

    assert missing_edges(trace) == []


def test_every_edge_is_there_after_a_worker_died_in_the_middle(
    region: Region, watcher: Watcher, tmp_path: Path
) -> None:
    serving = region.serving
    asyncio.run(serving.stop())
    serving.environment_changes["UDC_CRASH_AT"] = "consumer.before_effect"
    asyncio.run(serving.start())
    uid = sent_study(region, tmp_path, 2)
    asyncio.run(until_dead(serving))
    serving.environment_changes.clear()
    asyncio.run(serving.start())

    trace = archived_trace(region, watcher, uid)

    # The killed worker took its own span with it, under which it had said that it started.
    assert missing_edges(trace) == [" -> ".join(EDGES[1])]


def test_an_edge_that_is_not_there_is_named(region: Region, watcher: Watcher, tmp_path: Path) -> None:
    trace = archived_trace(region, watcher, sent_study(region, tmp_path, 3))
    without_inference = [span for span in trace if span.name != "triton.infer"]

    assert missing_edges(without_inference) == [
        "model-serving -> process udc.events.v1.job.dispatched -> model-serving -> triton.infer"
    ]
