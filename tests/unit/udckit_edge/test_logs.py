import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import structlog

from udckit import logs
from udckit.errors import NotFoundError


class Lines:
    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    def all(self) -> list[Mapping[str, Any]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    def text(self) -> str:
        return self._stream.getvalue()


@pytest.fixture
def lines() -> Iterator[Lines]:
    root, showwarning, configuration = logging.getLogger(), warnings.showwarning, structlog.get_config()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()
    logs.configure(stream=stream, service="study-router", region="r77", replica="a")
    yield Lines(stream)
    root.handlers = handlers
    root.setLevel(level)
    warnings.showwarning = showwarning
    structlog.configure(**configuration)


def test_a_line_is_json_and_says_who_wrote_it(lines: Lines) -> None:
    structlog.get_logger().info("study.closed", study="5f", stack_count=3)

    [line] = lines.all()
    assert {"event": "study.closed", "study": "5f", "stack_count": 3, "level": "info"}.items() <= line.items()
    assert (line["service"], line["region"], line["replica"]) == ("study-router", "r77", "a")
    assert line["timestamp"].endswith("Z")


def test_lines_of_libraries_have_the_same_shape(lines: Lines) -> None:
    logging.getLogger("somebody.else").warning("slow answer after %d s", 3)

    [line] = lines.all()
    assert (line["event"], line["level"], line["logger"]) == ("slow answer after 3 s", "warning", "somebody.else")
    assert line["service"] == "study-router"


def fail_with_a_name() -> None:
    patient = "Ivanov^Ivan"
    int(patient)


@pytest.mark.parametrize("library", [True, False])
def test_a_traceback_has_places_but_neither_local_variables_nor_the_words_of_strangers(
    lines: Lines, library: bool
) -> None:
    try:
        fail_with_a_name()
    except ValueError:
        if library:
            logging.getLogger("somebody.else").exception("it broke")
        else:
            structlog.get_logger().exception("it.broke")

    [line] = lines.all()
    [error] = line["exception"]
    assert error["type"] == "builtins.ValueError"
    assert error["frames"][-1].endswith("in fail_with_a_name")
    assert "Ivanov" not in lines.text()


def test_our_own_errors_are_quoted_and_so_is_what_caused_them_without_its_words(lines: Lines) -> None:
    try:
        try:
            fail_with_a_name()
        except ValueError as error:
            raise NotFoundError("there is no job 5f") from error
    except NotFoundError:
        structlog.get_logger().exception("it.broke")

    ours, cause = lines.all()[0]["exception"]
    assert (ours["type"], ours["message"]) == ("udckit.errors.NotFoundError", "there is no job 5f")
    assert cause["type"] == "builtins.ValueError"
    assert "Ivanov" not in lines.text()


def test_a_warning_is_named_by_place_because_its_text_may_quote_a_value(lines: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("Invalid value for VR PN: Ivanov", UserWarning, stacklevel=1)

    [line] = lines.all()
    assert (line["event"], line["category"]) == ("python.warned", "UserWarning")
    assert "test_logs.py" in line["place"]
    assert "Ivanov" not in lines.text()


def test_debug_lines_are_left_out_at_level_info(lines: Lines) -> None:
    structlog.get_logger().debug("detail.seen")

    assert lines.all() == []


def test_a_dead_collector_does_not_flood_the_log(lines: Lines) -> None:
    for _ in range(20):
        logging.getLogger("opentelemetry.exporter.otlp").error("Failed to export traces")
        logging.getLogger("somebody.else").error("again")

    written = [line["event"] for line in lines.all()]
    assert written.count("Failed to export traces") == 1
    assert written.count("again") == 20


def test_what_is_bound_to_the_context_is_in_every_line(lines: Lines) -> None:
    with structlog.contextvars.bound_contextvars(event_id="e1", attempt=2):
        structlog.get_logger().info("event.handled")

    assert (lines.all()[0]["event_id"], lines.all()[0]["attempt"]) == ("e1", 2)
