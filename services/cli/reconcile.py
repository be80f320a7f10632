"""``udc reconcile``: proves that archives, index, outcomes, results and events agree."""

import asyncio
import json as json_module
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from cli import output
from cli.comparing import Look, look, name_of
from cli.connection import Services, call
from cli.options import Json
from udc.reconciliation.v1 import finding_pb2 as pb
from udckit.errors import InvalidRequestError

_SHORTEST_PAUSE_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 10.0
_AGE: Final = re.compile(r"(\d{1,4})([hd])")


@dataclass(frozen=True, slots=True)
class Result:
    """What was found, and whether another look no longer found it."""

    finding: pb.Finding
    is_repaired: bool


def reconcile(
    since: Annotated[
        str, typer.Option(help="Studies in which something arrived since then: an age such as 12h or 2d, or a day.")
    ] = "2d",
    wait: Annotated[int, typer.Option(min=0, help="How long to wait for repairs, seconds.")] = 60,
    *,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what can be, and look again.")] = False,
    json: Json = False,
) -> None:
    """Compare archives, index, outcomes, results and events. Ends with 1 while something does not agree."""
    start = since_of(since, now=datetime.now(UTC))
    results = call(lambda services: compare(services, since=start, repair=repair, wait_s=wait))
    if json:
        print(json_module.dumps([_plain(result) for result in results], ensure_ascii=False, indent=2))
    else:
        output.table(
            f"What does not agree since {output.local(int(start.timestamp()))}",
            ["what", "about", "detail", "repair"],
            [
                [
                    _kind(result.finding).lower().replace("_", " "),
                    result.finding.about,
                    result.finding.detail,
                    _repair(result),
                ]
                for result in results
            ],
        )
    if not all(result.is_repaired for result in results):
        raise typer.Exit(1)


def since_of(text: str, *, now: datetime) -> datetime:
    """Return the moment that an age (``12h``, ``2d``) or a day (``2026-03-01``) means.

    Raises:
        InvalidRequestError: it is neither.
    """
    age = _AGE.fullmatch(text)
    if age is not None:
        return now - int(age[1]) * (timedelta(hours=1) if age[2] == "h" else timedelta(days=1))
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise InvalidRequestError(f"{text} is neither an age such as 12h or 2d nor a day such as 2026-03-01") from None


async def compare(services: Services, *, since: datetime, repair: bool, wait_s: float) -> Sequence[Result]:
    """Look; after repairs look again until they have helped or ``wait_s`` is over."""
    first = await look(services, since=since, repair=repair)
    if not any(finding.repair for finding in first.findings):
        return [Result(finding, is_repaired=False) for finding in first.findings]
    ends_at = time.monotonic() + wait_s
    pause_s = _SHORTEST_PAUSE_S
    while True:
        await asyncio.sleep(pause_s)
        last = await look(services, since=since, repair=False)
        if time.monotonic() >= ends_at or not any(item.repair and last.is_open(item) for item in first.findings):
            return judge(first, last)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def judge(first: Look, last: Look) -> Sequence[Result]:
    """Return what the first look found, repaired where the last did not find it, and what the last found beside."""
    known = {name_of(finding) for finding in first.findings}
    return [
        *(Result(finding, is_repaired=not last.is_open(finding)) for finding in first.findings),
        *(Result(finding, is_repaired=False) for finding in last.findings if name_of(finding) not in known),
    ]


def _plain(result: Result) -> dict[str, object]:
    finding = result.finding
    return {
        "kind": _kind(finding),
        "about": finding.about,
        "detail": finding.detail,
        "repair": finding.repair,
        "repaired": result.is_repaired,
    }


def _kind(finding: pb.Finding) -> str:
    return output.word(pb.FindingKind.Name(finding.kind), "FINDING_KIND_")


def _repair(result: Result) -> str:
    if not result.finding.repair:
        return "agrees now" if result.is_repaired else "-"
    return f"{result.finding.repair}: {'agrees now' if result.is_repaired else 'NOT YET'}"
