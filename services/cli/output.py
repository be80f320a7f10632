"""What commands print: a table for people, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Table

from udc.events.v1 import job_pb2

WIDTH_OF_A_FILE: Final = 200

# What is printed comes from images and from people, and is never a command to the printer.
console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE)


def as_json(messages: Message | Sequence[Message]) -> None:
    """Print messages as JSON with the field names of the proto files."""
    if isinstance(messages, Message):
        content: object = _plain(messages)
    else:
        content = [_plain(message) for message in messages]
    print(json.dumps(content, ensure_ascii=False, indent=2))


def _plain(message: Message) -> object:
    return MessageToDict(message, preserving_proto_field_name=True)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, or say that there is nothing."""
    drawn = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    if drawn.row_count == 0:
        console.print(f"{title}: none")
    else:
        console.print(drawn)


def local(seconds: int) -> str:
    """Return local date and time of seconds since 1970."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def when(stamp: Timestamp) -> str:
    """Return local date and time to the second, or a dash where there is none."""
    return local(stamp.seconds) if stamp.seconds else "-"


def word(enum_name: str, prefix: str) -> str:
    """Return the readable part of an enumeration value: ``OUTCOME_ARCHIVED`` becomes ``ARCHIVED``."""
    name = enum_name.removeprefix(prefix)
    return "-" if name == "UNSPECIFIED" else name


def outcome(number: job_pb2.Outcome) -> str:
    """Return the name of an outcome, or a dash while there is none."""
    return word(job_pb2.Outcome.Name(number), "OUTCOME_")
