"""The demonstration: a morning of synthetic studies, from the archive through Triton and back."""

import argparse
import asyncio
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any, Final

import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

from cli.connection import Services, connected
from cli.settings import Settings
from region.commands import CommandFailedError, set_up, storescu, udc
from region.objects import measured_volume_ml, retrieve
from region.quiet import only_warnings
from region.stack import Region, Times
from region.story import Row, counted_outcomes, current, is_settled, rows_of, studies_of
from udc.events.v1 import job_pb2
from udc.router.v1 import devices_pb2, studies_pb2
from udckit.errors import ServiceError
from udcphantom.demo import write_demo

HOME: Final = Path(__file__).resolve().parents[2] / ".udc"
TIMES: Final = Times(input_quiet_s=3.0, study_quiet_s=10.0)
PATIENCE_S: Final = 240.0
REPORTER_PATIENCE_S: Final = 30.0
DETAIL_WIDTH: Final = 56
"""`udc study explain` shows the whole sentence."""

console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)


class DemoFailedError(Exception):
    """The demonstration did not end as it should."""


def main() -> None:
    """Run the demonstration; 0 when every study ended in an explained outcome."""
    only_warnings()
    given = _arguments()
    try:
        asyncio.run(_demonstrate(given))
    except (ServiceError, CommandFailedError, DemoFailedError) as error:
        sys.exit(f"\nthe demonstration failed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the outcomes as JSON")
    parser.add_argument("--results", type=Path, metavar="DIR", help="save the result objects as .dcm")
    return parser.parse_args()


async def _demonstrate(given: argparse.Namespace) -> None:
    state = HOME / "demo"
    await asyncio.to_thread(shutil.rmtree, state, ignore_errors=True)
    console.print("[bold]UDC[/bold]: AI medical devices on the studies of a region. All data are synthetic.\n")
    studies = await _phantoms(state / "phantoms")
    begun = time.monotonic()
    console.print("\nstarting a region on this machine:")
    async with Region(state, times=TIMES, say=lambda what: console.print(f"  {what}")) as region:
        console.print(f"  everything answers after {time.monotonic() - begun:.0f} s")
        await asyncio.to_thread(set_up, region)
        settings = Settings(_env_file=region.environment_file)
        async with connected(settings) as services:
            console.print(f"\nsending {len(studies)} studies to the archive with DCMTK, as modalities do, such as")
            async with asyncio.TaskGroup() as group:
                group.create_task(_send(region, services, state / "phantoms", studies))
                rows = await _watch(services, studies)
            await _compare_with_surveillance(services, rows)
        saved = await _retrieve(region, rows, given.results or state / "results")
        _show(studies, rows, saved)
        console.print("\nwhat the surveillance reporter counted from the events; the same outcomes:")
        await asyncio.to_thread(udc, region, "surveillance", "counts")
        if given.report:
            _report(given.report, rows, saved)
        if given.results:
            console.print(f"\nresult objects: {given.results}")
        if given.keep:
            await _linger(region)


async def _phantoms(directory: Path) -> Sequence[Mapping[str, Any]]:
    with console.status("drawing phantoms of known truth ..."):
        manifest: Any = await asyncio.to_thread(write_demo, directory)
    entries: Sequence[Mapping[str, Any]] = manifest["studies"]
    files = sum(len(entry["files"]) + len(entry["late"]) for entry in entries)
    console.print(f"{len(entries)} phantom studies drawn, {files} files")
    return entries


async def _send(region: Region, services: Services, folder: Path, studies: Sequence[Mapping[str, Any]]) -> None:
    for number, study in enumerate(studies):
        for _ in range(study["sends"]):
            command = await asyncio.to_thread(storescu, region, [folder / file for file in study["files"]])
        if number == 0:
            console.print(f"$ {command}", soft_wrap=True)
    for study in studies:
        if study["late"]:
            await _until_in_work(services, study["study_instance_uid"])
            await asyncio.to_thread(storescu, region, [folder / file for file in study["late"]])


async def _until_in_work(services: Services, uid: str) -> None:
    while True:
        study = (await studies_of(services)).get(uid)
        if study is not None and any(item.job for item in study.outcomes):
            return
        await asyncio.sleep(0.5)


async def _watch(services: Services, studies: Sequence[Mapping[str, Any]]) -> Sequence[Row]:
    listed = await services.attachments.ListAttachments(devices_pb2.ListAttachmentsRequest())
    expected = len(listed.attachments)
    names = {study["study_instance_uid"]: study["name"] for study in studies}
    until = time.monotonic() + PATIENCE_S
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            found = await studies_of(services)
            live.update(_progress(names, found), refresh=True)
            known = [found[uid] for uid in names if uid in found]
            if len(known) == len(names) and all(is_settled(study, attachments=expected) for study in known):
                return [row for study in known for row in await rows_of(services, study)]
            if time.monotonic() > until:
                raise DemoFailedError(f"not every study had its outcomes after {PATIENCE_S:.0f} s")
            await asyncio.sleep(0.5)


async def _compare_with_surveillance(services: Services, rows: Sequence[Row]) -> None:
    expected = Counter((row.device, row.outcome) for row in rows)
    until = time.monotonic() + REPORTER_PATIENCE_S
    while (counted := await counted_outcomes(services)) != expected:
        if time.monotonic() > until:
            raise DemoFailedError(f"the reporter counts {dict(counted)}, and the router has {dict(expected)}")
        await asyncio.sleep(0.5)


def _progress(names: Mapping[str, str], found: Mapping[str, studies_pb2.Study]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("study", "state", "stacks", "outcomes so far"):
        table.add_column(column)
    for uid, name in names.items():
        study = found.get(uid)
        if study is None:
            table.add_row(name, "[dim]not seen yet[/dim]", "", "")
            continue
        state = studies_pb2.StudyState.Name(study.state).removeprefix("STUDY_STATE_").lower()
        table.add_row(
            name,
            f"{state}, revision {study.revision}",
            str(len(study.stacks)),
            ", ".join(f"{item.device}: {_outcome(item)}" for item in current(study)),
        )
    return table


def _outcome(item: studies_pb2.StudyOutcome) -> str:
    if item.outcome == job_pb2.OUTCOME_UNSPECIFIED:
        return "working"
    return job_pb2.Outcome.Name(item.outcome).removeprefix("OUTCOME_")


async def _retrieve(region: Region, rows: Sequence[Row], directory: Path) -> Mapping[str, Path]:
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    saved: dict[str, Path] = {}
    async with httpx.AsyncClient(auth=region.orthanc.credentials, timeout=30) as client:
        for row in rows:
            for item in row.objects:
                path = directory / f"{item.kind.lower()}-{item.sop_instance_uid}.dcm"
                await asyncio.to_thread(
                    path.write_bytes, await retrieve(client, region.orthanc.dicomweb_url, row.study_instance_uid, item)
                )
                saved[item.sop_instance_uid] = path
    return saved


def _show(studies: Sequence[Mapping[str, Any]], rows: Sequence[Row], saved: Mapping[str, Path]) -> None:
    table = Table(title="What became of every study", title_justify="left", header_style="bold")
    for column in ("study", "device", "outcome", "seconds", "objects", "found", "truth"):
        table.add_column(column, overflow="fold")
    for study in studies:
        truth = _truth(study["truth"])
        for row in (row for row in rows if row.study_instance_uid == study["study_instance_uid"]):
            style = "" if row.outcome == "ARCHIVED" else "dim"
            table.add_row(
                study["name"],
                row.device,
                row.outcome if row.outcome == "ARCHIVED" else f"{row.outcome}: {shorten(row.detail, DETAIL_WIDTH)}",
                "" if row.seconds_to_result is None else f"{row.seconds_to_result:.1f}",
                " ".join(item.kind for item in row.objects),
                _found(row, saved),
                truth if row.outcome == "ARCHIVED" else "",
                style=style,
            )
    console.print(table)
    console.print("seconds: from the last instance of the study to the result read back from the archive.")


def _truth(truth: Mapping[str, Any]) -> str:
    volume = sum(lesion["volume_ml"] for lesion in truth.get("lesions", ()))
    parts = [f"{volume:.1f} ml"] if volume else []
    parts += [f"box {tuple(round(edge) for edge in item['box'])}" for item in truth.get("opacities", ())]
    return ", ".join(parts) or "nothing"


def _found(row: Row, saved: Mapping[str, Path]) -> str:
    reports = [saved[item.sop_instance_uid] for item in row.objects if item.kind == "SR"]
    return "; ".join(measured_volume_ml(path) for path in reports)


def _report(path: Path, rows: Sequence[Row], saved: Mapping[str, Path]) -> None:
    content = {
        "studies": [
            {
                "study_uid": row.study_instance_uid,
                "device": row.device,
                "outcome": row.outcome,
                "detail": row.detail,
                "job": row.job,
                "seconds_to_result": row.seconds_to_result,
                "objects": [
                    {
                        "sop_class_uid": item.sop_class_uid,
                        "sop_instance_uid": item.sop_instance_uid,
                        "file": str(saved[item.sop_instance_uid]),
                    }
                    for item in row.objects
                ],
            }
            for row in rows
        ]
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False))
    console.print(f"\nreport: {path}")


async def _linger(region: Region) -> None:
    user, password = region.orthanc.credentials
    console.print(
        f"\nstill running until Ctrl-C. In another terminal:\n"
        f"  export UDC_ENV_FILE={region.environment_file}\n"
        f"  .udc/venv/bin/udc study list\n"
        f"archive: {region.orthanc.rest_url} (user {user}, password {password})\n"
        f"logs:    {region.state}/*/log.txt"
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
