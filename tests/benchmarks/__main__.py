"""Run the benchmarks and show them."""

import argparse
import asyncio
import json
import logging
import os
import platform
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import structlog
from rich.console import Console
from rich.table import Table

from benchmarks import events, inference, memory, readiness, retrieval
from benchmarks.figures import Conditions, Figure, MeasurementFailedError, Row
from udckit.errors import ServiceError
from udckit.testing import ServerFailedError
from udckit.testing.installation import HOME, version_of
from udckit.testing.nats import nats_binary

ROWS: Final[Mapping[str, Callable[[Conditions], Awaitable[Sequence[Row]]]]] = MappingProxyType(
    {
        "a": retrieval.measure,
        "b": inference.measure,
        "c": events.measure,
        "d": readiness.measure,
        "e": memory.measure,
    }
)
LIBRARIES: Final = (
    "numpy",
    "pydicom",
    "dicomweb-client",
    "imagecodecs",
    "tritonclient",
    "nats-py",
    "SQLAlchemy",
    "psycopg",
)
FEWEST_ROUNDS: Final = 5

console: Final = Console(highlight=False)


def main() -> int:
    """Measure what was asked for; 1 when something could not be measured. A goal that is missed is a result."""
    given = _arguments()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    machine = _machine()
    console.print("\n".join(machine))
    conditions = Conditions(
        folder=HOME / "bench", rounds=2 if given.quick else max(given.rounds, FEWEST_ROUNDS), is_quick=given.quick
    )
    rows: dict[str, Sequence[Row]] = {}
    failures: dict[str, str] = {}
    for letter in given.only:
        try:
            rows[letter] = asyncio.run(_measured(letter, conditions))
        except (MeasurementFailedError, ServerFailedError, ServiceError, OSError) as error:
            traceback.print_exc()
            failures[letter] = f"{type(error).__name__}: {error}"
        else:
            for row in rows[letter]:
                _show(row)
    _show_failures(failures)
    if given.json:
        given.json.write_text(json.dumps(_report(machine, conditions, rows, failures), indent=2, ensure_ascii=False))
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--only", type=_letters, default=list(ROWS), metavar="a,c", help=f"rows: {', '.join(ROWS)}")
    parser.add_argument("--rounds", type=int, default=FEWEST_ROUNDS, help="rounds of each row, at least %(default)s")
    parser.add_argument("--quick", action="store_true", help="small amounts and two rounds: shows that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON")
    return parser.parse_args()


def _letters(text: str) -> list[str]:
    letters = text.split(",")
    unknown = sorted(set(letters) - set(ROWS))
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no row {', '.join(unknown)}; rows are {', '.join(ROWS)}")
    return letters


async def _measured(letter: str, conditions: Conditions) -> Sequence[Row]:
    with console.status(f"measuring row {letter} ..."):
        return await ROWS[letter](conditions)


def _machine() -> list[str]:
    memory_mib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    libraries = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)
    return [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {os.cpu_count()} processors ({_processor()}), {memory_mib} MiB,"
        f" Linux {platform.release()}, load {load} at the start",
        f"Python {platform.python_version()}, nats-server {'.'.join(map(str, version_of(nats_binary())))}, {libraries}",
    ]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _show(row: Row) -> None:
    console.print(f"\n[bold]{row.title}[/bold]")
    for setting in row.settings:
        console.print(f"  {setting}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("figure", "median", "min – max", "unit", "goal", ""):
        table.add_column(column, justify="right" if column in {"median", "min – max"} else "left")
    for figure in row.figures:
        style = {"missed": "yellow", "met": "green"}.get(figure.verdict, "")
        table.add_row(
            figure.what,
            _number(figure.median),
            f"{_number(min(figure.values))} – {_number(max(figure.values))}",
            figure.unit,
            str(figure.goal or ""),
            figure.verdict,
            style=style,
        )
    console.print(table)


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"


def _show_failures(failures: Mapping[str, str]) -> None:
    for letter, reason in failures.items():
        console.print(f"\n[red]row {letter} could not be measured[/red]: {reason}", markup=True)


def _report(
    machine: Sequence[str], conditions: Conditions, rows: Mapping[str, Sequence[Row]], failures: Mapping[str, str]
) -> Mapping[str, Any]:
    return {
        "machine": machine,
        "rounds": conditions.rounds,
        "quick": conditions.is_quick,
        "rows": {
            letter: [
                {"title": row.title, "settings": row.settings, "figures": [_figure(figure) for figure in row.figures]}
                for row in found
            ]
            for letter, found in rows.items()
        },
        "failures": failures,
    }


def _figure(figure: Figure) -> Mapping[str, Any]:
    return {**asdict(figure), "goal": str(figure.goal or ""), "median": figure.median, "verdict": figure.verdict}


if __name__ == "__main__":
    sys.exit(main())
