"""An archive that answers QIDO-RS over HTTP as it is told to: those that cut, repeat or refuse are seldom at hand."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from udckit.testing.ports import LOOPBACK


@dataclass(frozen=True, slots=True)
class Entry:
    """A study of the archive: when it was made, and how many instances each of its series has."""

    day: str
    time: str
    series: dict[str, int]


@dataclass
class ScriptedArchive:
    """What the archive holds, and in which way it is difficult.

    Attributes:
        held: Its studies by UID.
        most: Of any answer it shows only so many, whatever the offset.
        page: It gives so many at a time, whatever is asked for.
        ignores_offset: Every page is the first.
        ignores_time: It does not select by Study Time.
        ignores_lists: It finds no study by a list of UIDs.
        warns: It says with a warning when there is more than it gives.
        tells_numbers: It tells how many series and instances a study has.
        refuses_over: It answers 413 to a query that finds more than this.
        next_statuses: What it answers to the next queries instead, without content.
    """

    held: dict[str, Entry] = field(default_factory=dict)
    most: int = 1_000_000
    page: int = 1_000_000
    ignores_offset: bool = False
    ignores_time: bool = False
    ignores_lists: bool = False
    warns: bool = False
    tells_numbers: bool = True
    refuses_over: int = 1_000_000
    next_statuses: list[int] = field(default_factory=list)
    url: str = ""

    def answer(self, target: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and content."""
        if self.next_statuses:
            return self.next_statuses.pop(0), {}, b""
        parts = urlsplit(target)
        asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        path = parts.path.strip("/").split("/")
        if path == ["studies"]:
            return self._studies(asked)
        if len(path) == 3 and path[2] == "series":
            entry = self.held.get(path[1], Entry("", "", {}))
            return _content([_dataset({"0020000E": uid, "00201209": count}) for uid, count in entry.series.items()])
        return 404, {}, b""

    def _studies(self, asked: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        found = [uid for uid in sorted(self.held) if self._matches(uid, asked)]
        if len(found) > self.refuses_over:
            return 413, {}, b""
        offset = 0 if self.ignores_offset else int(asked.get("offset", 0))
        shown = found[: self.most][offset : offset + min(self.page, int(asked.get("limit", 1_000_000)))]
        status, headers, content = _content([self._listed(uid) for uid in shown])
        if self.warns and offset + len(shown) < len(found):
            headers["Warning"] = '299 scripted: "There are additional results that can be requested"'
        return status, headers, content

    def _matches(self, uid: str, asked: dict[str, str]) -> bool:
        wanted = asked.get("StudyInstanceUID", uid).split(",")
        if len(wanted) > 1 and self.ignores_lists:
            return False
        entry = self.held[uid]
        time = True if self.ignores_time else _in_range(entry.time, asked.get("StudyTime"), "235959.999999")
        return uid in wanted and _in_range(entry.day, asked.get("StudyDate"), "99999999") and time

    def _listed(self, uid: str) -> dict[str, Any]:
        entry = self.held[uid]
        values: dict[str, Any] = {"0020000D": uid, "00080020": entry.day, "00080030": entry.time}
        if self.tells_numbers:
            values |= {"00201208": sum(entry.series.values()), "00201206": len(entry.series)}
        return _dataset({**values, "00080061": "CT"})


def _in_range(value: str, asked: str | None, end: str) -> bool:
    if asked is None:
        return True
    first, _, last = asked.partition("-")
    return bool(value) and (first or "0") <= value <= (last or end)


def _dataset(values: dict[str, Any]) -> dict[str, Any]:
    return {tag: {"vr": "UN", "Value": [value]} if value != "" else {"vr": "UN"} for tag, value in values.items()}


def _content(found: list[dict[str, Any]]) -> tuple[int, dict[str, str], bytes]:
    if not found:
        return 204, {}, b""
    return 200, {"Content-Type": "application/dicom+json"}, json.dumps(found).encode()


@contextmanager
def serving(archive: ScriptedArchive) -> Iterator[ScriptedArchive]:
    """Serve the archive on a free loopback port, and tell it its ``url``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, content = archive.answer(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="scripted-archive")
        thread.start()
        archive.url = f"http://{LOOPBACK}:{server.server_address[1]}"
        try:
            yield archive
        finally:
            server.shutdown()
            thread.join()
