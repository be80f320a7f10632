"""``udc surveillance``: what every device did, counted from the events."""

from collections.abc import Iterable
from typing import Annotated, Final

import typer

from cli import output
from cli.connection import call
from cli.options import Json
from udc.events.v1 import job_pb2
from udc.surveillance.v1 import surveillance_pb2 as pb

_REBUILD_S: Final = 600.0
"""A journal of millions of events takes minutes."""

app = typer.Typer(help="What every device did, counted from the events.", no_args_is_help=True)


@app.command()
def counts(
    from_day: Annotated[
        str, typer.Option("--from", help="First day, such as 2026-03-01; default: 30 before --to.")
    ] = "",
    to_day: Annotated[str, typer.Option("--to", help="Last day, inclusive; default: today.")] = "",
    device: Annotated[str, typer.Option(help="Only this device.")] = "",
    *,
    json: Json = False,
) -> None:
    """Count studies by device, organisation, day, mode and current outcome."""
    request = pb.GetCountsRequest(from_day=from_day, to_day=to_day, device=device)
    answer = call(lambda services: services.surveillance().GetCounts(request))
    if json:
        output.as_json(answer)
        return
    output.table(
        f"Counts from {answer.from_day} to {answer.to_day}, days of {answer.zone}",
        ["day", "device", "organisation", "mode", "outcomes", "findings", "errors", "no result because"],
        [
            [
                row.day,
                f"{row.device} {row.version}",
                row.organisation,
                output.word(job_pb2.Mode.Name(row.mode), "MODE_"),
                _list((output.outcome(item.outcome), item.count) for item in row.outcomes),
                _list((name.name, getattr(row.verdicts, name.name)) for name in pb.VerdictCounts.DESCRIPTOR.fields),
                _list(
                    (name.name.replace("_", " "), getattr(row.errors, name.name))
                    for name in pb.ErrorCounts.DESCRIPTOR.fields
                ),
                _list((_category(item.category), item.count) for item in row.categories),
            ]
            for row in answer.rows
        ],
    )


@app.command()
def journal(*, json: Json = False) -> None:
    """Show what the journal holds, and which events are missing. Ends with 1 while one is."""
    answer = call(lambda services: services.surveillance().GetJournalStatus(pb.GetJournalStatusRequest()))
    if json:
        output.as_json(answer)
    else:
        output.table(
            f"Journal of {answer.rows} events",
            ["producer", "last number", "events", "last recorded"],
            [
                [
                    producer.source,
                    str(producer.last_sequence),
                    str(producer.rows),
                    output.when(producer.last_recorded_at),
                ]
                for producer in answer.producers
            ],
        )
        for title, gaps in (("Missing, asked for again", answer.open_gaps), ("Lost", answer.lost)):
            output.table(title, ["producer", "first", "last"], [[g.source, str(g.first), str(g.last)] for g in gaps])
    if answer.open_gaps or answer.lost:
        raise typer.Exit(1)


@app.command()
def rebuild(*, json: Json = False) -> None:
    """Count anew from the journal; nothing is journaled meanwhile."""
    answer = call(lambda services: services.surveillance().RebuildCounts(pb.RebuildCountsRequest(), timeout=_REBUILD_S))
    if json:
        output.as_json(answer)
    else:
        output.console.print(
            f"{answer.rows} events read, {answer.cases} studies counted, {answer.corrected} counts corrected"
        )


def _category(number: int) -> str:
    return output.word(job_pb2.ErrorCategory.Name(number), "ERROR_CATEGORY_").lower().replace("_", " ")


def _list(parts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {count}" for name, count in parts if count)
