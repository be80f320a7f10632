"""Logs: one line of JSON per event, without patient data.

The text of an exception or warning that is not ours may quote the value it stumbled over, which may be a patient's
name. So tracebacks are written as the chain of exception types with their places in the code; only a ``ServiceError``,
whose message is free of patient data by contract, is quoted. Local variables are never written.
"""

import logging
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, MutableMapping
from types import TracebackType
from typing import Any, Final, TextIO

import structlog
from opentelemetry import trace

from udckit.errors import ServiceError

EventDict = MutableMapping[str, Any]

_QUIET: Final[Mapping[str, int]] = {
    "alembic": logging.WARNING,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    # It quotes element values, which may be a patient's name.
    "pydicom": logging.CRITICAL,
}
_ONCE_A_MINUTE: Final = ("opentelemetry.exporter", "opentelemetry.sdk")
_CHAIN_LIMIT: Final = 8
_FRAME_LIMIT: Final = 40


def configure(
    *, level: str = "info", stream: TextIO | None = None, service: str = "", region: str = "", replica: str = ""
) -> None:
    """Send every log line of this process, ours and the libraries', to ``stream`` (standard error) as JSON."""
    enriching: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        _add_constants({"service": service, "region": region, "replica": replica}),
        _render_exception,
    ]
    structlog.configure(
        processors=[*enriching, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder(), *enriching],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
            ],
        )
    )
    handler.addFilter(_OnceAMinute(_ONCE_A_MINUTE))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel(quiet)
    warnings.showwarning = _log_warning


def _add_trace(_logger: Any, _method: str, event: EventDict) -> EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


def _add_constants(constants: Mapping[str, str]) -> structlog.typing.Processor:
    given = {name: value for name, value in constants.items() if value}

    def add(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event.update(given)
        return event

    return add


def _render_exception(_logger: Any, _method: str, event: EventDict) -> EventDict:
    raised = event.pop("exc_info", None)
    if raised is True:
        raised = sys.exc_info()
    if isinstance(raised, tuple):
        raised = raised[1]
    if isinstance(raised, BaseException):
        event["exception"] = list(_chain(raised))
    return event


def _chain(error: BaseException) -> Iterator[Mapping[str, object]]:
    """Yield the error and what caused it, newest first, without the words of strangers."""
    current: BaseException | None = error
    for _ in range(_CHAIN_LIMIT):
        if current is None:
            return
        described: dict[str, object] = {
            "type": f"{type(current).__module__}.{type(current).__qualname__}",
            "frames": _frames(current.__traceback__),
        }
        if isinstance(current, ServiceError):
            described["message"] = current.message
        if isinstance(current, BaseExceptionGroup):
            described["members"] = [list(_chain(member)) for member in current.exceptions[:_CHAIN_LIMIT]]
        yield described
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _frames(frames: TracebackType | None) -> list[str]:
    # lookup_lines=False: the place is enough, and reading source files in an error path may block.
    stack = traceback.StackSummary.extract(traceback.walk_tb(frames), lookup_lines=False)
    return [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in stack[-_FRAME_LIMIT:]]


def _log_warning(  # noqa: PLR0917 - the signature of warnings.showwarning
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    # The text is left out for the same reason as the text of an exception. The arguments are those of
    # ``warnings.showwarning``, whose place this takes.
    del message, file, line
    structlog.get_logger().warning("python.warned", category=category.__name__, place=f"{filename}:{lineno}")


class _OnceAMinute(logging.Filter):
    """Lets the same line of the named loggers through once a minute: a dead collector must not flood the log."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self._names = names
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether ``record`` is written."""
        if not record.name.startswith(self._names):
            return True
        key = (record.name, str(record.msg))
        now = time.monotonic()
        if now - self._last.get(key, -60.0) < 60.0:
            return False
        self._last[key] = now
        return True
