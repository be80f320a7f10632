"""``udc study``: what arrived, what became of it, and why."""

from collections.abc import Mapping
from typing import Annotated, Final

import typer

from cli import output
from cli.connection import Services, call
from cli.options import Json, new_request_id
from cli.timeline import timeline_of
from udc.events.v1 import job_pb2
from udc.router.v1 import studies_pb2 as pb

app = typer.Typer(help="Studies and their outcomes.", no_args_is_help=True)

StudyName = Annotated[str, typer.Argument(help="Internal id or Study Instance UID.")]

QUARANTINES: Final[Mapping[str, str]] = {
    "TWO_PATIENTS": "two patients share this Study Instance UID: no device sees it until the archive is put right"
}
"""Why a study is in quarantine, in words."""


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 50, *, json: Json = False
) -> None:
    """List studies, newest first."""
    answer = call(lambda services: services.studies.ListStudies(pb.ListStudiesRequest(page_size=limit)))
    if json:
        output.as_json(answer.studies)
        return
    output.table(
        "Studies",
        ["study instance UID", "state", "revision", "last arrival", "outcomes"],
        [
            [
                study.study_instance_uid,
                output.word(pb.StudyState.Name(study.state), "STUDY_STATE_").lower(),
                str(study.revision),
                output.when(study.last_arrival_at),
                "; ".join(
                    f"{outcome.device}: {output.outcome(outcome.outcome)}"
                    for outcome in study.outcomes
                    if outcome.revision == study.revision
                )
                or "-",
            ]
            for study in answer.studies
        ],
    )


@app.command()
def show(study: StudyName, *, json: Json = False) -> None:
    """Show one study: its stacks and its outcomes."""
    answer = call(lambda services: services.studies.GetStudy(pb.GetStudyRequest(study=study)))
    found = answer.study
    if json:
        output.as_json(found)
        return
    state = output.word(pb.StudyState.Name(found.state), "STUDY_STATE_").lower()
    output.console.print(f"{found.study_instance_uid}\n  id {found.study}, {state}, revision {found.revision}")
    if found.reason:
        output.console.print(f"  {QUARANTINES.get(found.reason, found.reason)}")
    output.console.print(f"  in {', '.join(found.archives) or 'no archive'}; organisation {found.organisation}")
    output.table(
        "Stacks",
        ["modality", "description", "frames", "spacing mm", "use"],
        [
            [
                stack.modality,
                stack.description or "-",
                str(stack.frame_count),
                f"{stack.slice_spacing_mm:.2f}" if stack.slice_spacing_mm else "-",
                stack.excluded or ("complete" if stack.closed else "still growing"),
            ]
            for stack in found.stacks
        ],
    )
    output.table(
        "Outcomes",
        ["revision", "device", "version", "outcome", "category", "reason", "job"],
        [
            [
                str(item.revision),
                item.device,
                item.version,
                output.outcome(item.outcome),
                output.word(job_pb2.ErrorCategory.Name(item.category), "ERROR_CATEGORY_"),
                item.detail or item.reason or "-",
                item.job or "-",
            ]
            for item in found.outcomes
        ],
    )


def _print_state(study: pb.Study) -> None:
    state = output.word(pb.StudyState.Name(study.state), "STUDY_STATE_").lower()
    is_open = study.state == pb.STUDY_STATE_OPEN
    advice = ": what follows may change until it is closed; see udc study complete" if is_open else ""
    output.console.print(f"study {study.study_instance_uid}: {state}, revision {study.revision}{advice}")
    for entry in study.history:
        if entry.event in {"QUARANTINED", "RELEASED"}:
            output.console.print(f"  {entry.event.lower()} {output.when(entry.at)}: {entry.detail}")


@app.command()
def explain(study: StudyName, *, json: Json = False) -> None:
    """Say for every attachment why the study was or was not sent."""
    answer = call(lambda services: services.studies.ExplainStudy(pb.ExplainStudyRequest(study=study)))
    if json:
        output.as_json(answer)
        return
    _print_state(answer.study)
    if not answer.explanations:
        output.console.print("no device is attached: nothing decides about studies; see udc attach")
    for line in answer.finished:
        output.console.print(f"end of the study: {line}")
    for item in answer.explanations:
        output.console.print(f"{item.device} {item.version}: {item.decision}", style="bold")
        output.table(
            "  clauses",
            ["clause", "value", "expression", "explanation"],
            [[clause.name, clause.value, clause.expression, clause.explanation] for clause in item.clauses],
        )
        for line in item.stacks:
            output.console.print(f"  {line}")
    for number, stack in enumerate(answer.stacks, start=1):
        use = f", excluded as {stack.excluded}" if stack.excluded else ""
        output.table(
            f"Stack {number} of {len(answer.stacks)} ({stack.modality or 'no modality'}{use})",
            ["fact", "sent", "understood", "source"],
            [[fact.name, fact.raw or "-", fact.value, fact.source] for fact in stack.facts],
        )


@app.command()
def complete(study: StudyName) -> None:
    """Declare that nothing more will come: the study is closed now."""
    request = pb.CompleteStudyRequest(request_id=new_request_id(), study=study)
    answer = call(lambda services: services.studies.CompleteStudy(request))
    output.console.print(f"study {answer.study.study_instance_uid}: closed at revision {answer.study.revision}")


@app.command()
def release(
    study: Annotated[str, typer.Argument(help="Internal id; udc study list --json shows it.")],
    reason: Annotated[str, typer.Option(help="What was found out; kept in the audit trail.")],
) -> None:
    """End the quarantine of a study, once the archives hold it under one patient."""
    request = pb.ReleaseStudyRequest(request_id=new_request_id(), study=study, reason=reason)
    answer = call(lambda services: services.studies.ReleaseStudy(request))
    state = output.word(pb.StudyState.Name(answer.study.state), "STUDY_STATE_").lower()
    output.console.print(f"study {answer.study.study}: {state}, revision {answer.study.revision}")


@app.command()
def submit(
    archive: Annotated[str, typer.Argument(help="Archive that holds the studies.")],
    study: Annotated[list[str], typer.Argument(help="Study Instance UIDs.")],
    *,
    json: Json = False,
) -> None:
    """Have studies read that no feed shows, such as old ones of an archive that only answers queries."""
    request = pb.SubmitStudyRequest(request_id=new_request_id(), archive=archive, study_instance_uids=study)
    answer = call(lambda services: services.studies.SubmitStudy(request))
    if json:
        output.as_json(answer)
        return
    for item in answer.studies:
        held = f"{item.instances} instances of {item.series} series"
        doing = f"{item.series_to_read} series are read now" if item.series_to_read else "known already, unchanged"
        output.console.print(f"study {item.study_instance_uid}: {held}; {doing}")


@app.command()
def backfill(
    attachment: Annotated[str, typer.Argument(help="Attachment that is to look at older studies.")],
    *,
    from_day: Annotated[str, typer.Option("--from", help="First Study Date, such as 2026-03-01.")] = "",
    to_day: Annotated[str, typer.Option("--to", help="Last Study Date, inclusive.")] = "",
    study: Annotated[
        list[str] | None, typer.Option("--study", help="Study Instance UID, instead of days; may be repeated.")
    ] = None,
    request: Annotated[
        str, typer.Option("--request-id", help="Repeat an order whose answer was lost, without a second one.")
    ] = "",
) -> None:
    """Have an attachment look at studies that were complete before it began, at batch priority."""
    order = pb.BackfillStudiesRequest(
        request_id=request or new_request_id(),
        attachment=attachment,
        from_day=from_day,
        to_day=to_day,
        study_instance_uids=study or [],
    )
    answer = call(lambda services: services.studies.BackfillStudies(order))
    output.console.print(f"backfill {answer.backfill.backfill} of {attachment}: ordered; see udc study backfills")


@app.command()
def backfills(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 50, *, json: Json = False
) -> None:
    """List backfills and how far they have come."""
    answer = call(lambda services: services.studies.ListBackfills(pb.ListBackfillsRequest(page_size=limit)))
    if json:
        output.as_json(answer.backfills)
        return
    output.table(
        "Backfills",
        ["backfill", "attachment", "what", "ordered", "handed on", "ended"],
        [
            [
                item.backfill,
                item.attachment,
                f"{item.from_day} to {item.to_day}" if item.from_day else f"{len(item.study_instance_uids)} named",
                output.when(item.ordered_at),
                str(item.handed_on),
                output.when(item.ended_at),
            ]
            for item in answer.backfills
        ],
    )


@app.command()
def trace(study: StudyName) -> None:
    """Show everything that happened to a study, in order."""

    async def gather(services: Services) -> list[tuple[str, str, str]]:
        return await timeline_of(services, study)

    output.table("What happened", ["time", "who", "what"], call(gather))
