"""The entry point of ``udc``."""

import sys

import typer

from cli import archives, dead_letters, devices, jobs, senders, studies, surveillance
from cli.login import login
from cli.reconcile import reconcile
from udckit.errors import InvalidRequestError, ServiceError

app = typer.Typer(
    name="udc",
    help="AI medical devices on the studies of a region: attach, watch, explain.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(login)
app.command()(devices.attach)
app.command()(devices.attachments)
app.command()(reconcile)
app.add_typer(archives.app, name="archive")
app.add_typer(senders.app, name="sender")
app.add_typer(devices.app, name="device")
app.add_typer(studies.app, name="study")
app.add_typer(jobs.app, name="job")
app.add_typer(dead_letters.app, name="dlq")
app.add_typer(surveillance.app, name="surveillance")


def main() -> None:
    """Run the command line: 0 done, 1 refused or failed, 2 called wrongly."""
    try:
        app()
    except ServiceError as error:
        print(f"udc: {error.message}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InvalidRequestError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
