"""``udc dlq``: events that a service gave up on."""

from typing import Annotated

import typer

from cli import output
from cli.connection import Services, call
from cli.options import Json
from udc.events.v1 import events_service_pb2 as pb

app = typer.Typer(help="Events that a service gave up on.", no_args_is_help=True)


@app.command("list")
def list_(*, json: Json = False) -> None:
    """List dead letters of all services; of each, those that nobody has replayed come first."""

    async def gather(services: Services) -> list[tuple[str, pb.DeadLetter]]:
        request = pb.ListDeadLettersRequest(page_size=1000)
        return [
            (str(service), letter)
            for service, events in services.events().items()
            for letter in (await events.ListDeadLetters(request)).dead_letters
        ]

    letters = call(gather)
    if json:
        output.as_json([letter for _, letter in letters])
        return
    output.table(
        "Dead letters",
        ["service", "id", "event", "about", "reason", "attempts", "when", "replayed"],
        [
            [
                service,
                letter.id,
                letter.event_type.rpartition(".")[2],
                letter.about,
                f"{letter.reason}: {letter.detail}",
                str(letter.attempts),
                output.when(letter.died_at),
                output.when(letter.replayed_at),
            ]
            for service, letter in letters
        ],
    )


@app.command()
def replay(
    service: Annotated[str, typer.Argument(help="Service that gave up, such as result-archiver.")],
    letter: Annotated[str, typer.Argument(help="Id of the dead letter.")],
) -> None:
    """Hand a dead letter to the consumer that failed, once more."""
    call(lambda services: services.events_of(service).ReplayDeadLetter(pb.ReplayDeadLetterRequest(id=letter)))
    output.console.print(f"dead letter {letter}: handed to {service} again")
