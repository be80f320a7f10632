"""``udc sender``: what those who send images really send."""

from pathlib import Path
from typing import Annotated, Final

import typer

from cli import output
from cli.connection import call
from cli.options import Json, new_request_id
from udc.router.v1 import senders_pb2 as pb
from udckit.errors import InvalidRequestError, NotFoundError

app = typer.Typer(help="Sender profiles: what scanners really send, because tags lie.", no_args_is_help=True)

_ALL: Final = "all of the region"

Owner = Annotated[
    str, typer.Option("--organisation", help="FRMO OID of the organisation; left out: all of the region.")
]


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="Profile, YAML of the schema udc.sender/v1alpha1.")],
    organisation: Owner = "",
    *,
    json: Json = False,
) -> None:
    """Put a profile into use, or its next revision. Doing it twice changes nothing."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InvalidRequestError(f"cannot read {file}: {error.strerror}") from error
    request = pb.PutSenderProfileRequest(request_id=new_request_id(), organisation=organisation, profile_yaml=content)
    answer = call(lambda services: services.senders.PutSenderProfile(request))
    if json:
        output.as_json(answer.profile)
        return
    done = "in use" if answer.changed else "known already, unchanged"
    output.console.print(f"sender profile {answer.profile.profile} r{answer.profile.revision}: {done}")


@app.command("list")
def list_(organisation: Owner = "", *, json: Json = False) -> None:
    """List the profiles in use; without an organisation, those of all."""
    found = _profiles(organisation)
    if json:
        output.as_json(found)
        return
    output.table(
        "Sender profiles",
        ["profile", "revision", "organisation"],
        [[item.profile, str(item.revision), item.organisation or _ALL] for item in found],
    )


@app.command()
def show(name: str, organisation: Owner = "", *, json: Json = False) -> None:
    """Print a profile as it was written."""
    found = next(
        (item for item in _profiles(organisation) if item.profile == name and item.organisation == organisation), None
    )
    if found is None:
        raise NotFoundError(f"there is no sender profile {name} of {organisation or 'the region'}; see udc sender list")
    if json:
        output.as_json(found)
        return
    print(f"# {found.profile} r{found.revision}, {found.organisation or _ALL}")
    print(found.profile_yaml.decode("utf-8").rstrip())


@app.command()
def remove(name: str, organisation: Owner = "") -> None:
    """Take a profile out of use: the tags of its senders are believed again. Decisions that were made stay."""
    request = pb.RemoveSenderProfileRequest(request_id=new_request_id(), organisation=organisation, profile=name)
    call(lambda services: services.senders.RemoveSenderProfile(request))
    output.console.print(f"sender profile {name}: no longer in use")


def _profiles(organisation: str) -> list[pb.SenderProfile]:
    request = pb.ListSenderProfilesRequest(organisation=organisation)
    return list(call(lambda services: services.senders.ListSenderProfiles(request)).profiles)
