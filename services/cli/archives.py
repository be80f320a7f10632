"""``udc archive``: image archives of the region."""

from enum import StrEnum
from typing import Annotated

import typer

from cli import output
from cli.connection import call
from cli.options import Json, new_request_id
from udc.router.v1 import archives_pb2 as pb

app = typer.Typer(help="Image archives (PACS) of the region.", no_args_is_help=True)


class Feed(StrEnum):
    """How new studies are found."""

    ORTHANC = "orthanc"
    DICOMWEB = "dicomweb"
    NONE = "none"


class Profile(StrEnum):
    """Which result objects an archive receives."""

    AIR = "air"
    BFT = "bft"


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Id of the archive: lower-case letters, digits, dashes.")],
    dicomweb_url: Annotated[str, typer.Option(help="Root of the DICOMweb services.")],
    organisation: Annotated[str, typer.Option(help="FRMO OID of the organisation whose studies these are.")],
    feed: Annotated[Feed, typer.Option(help="How new studies are found.")] = Feed.ORTHANC,
    orthanc_url: Annotated[str, typer.Option(help="Root of Orthanc's own API, for --feed orthanc.")] = "",
    credentials: Annotated[str, typer.Option(help="Name of the secret that holds user:password.")] = "",
    profile: Annotated[Profile, typer.Option(help="Profile of the results stored here.")] = Profile.AIR,
    *,
    json: Json = False,
) -> None:
    """Attach an archive, or change how it is reached. Doing it twice changes nothing."""
    archive = pb.Archive(
        archive=name,
        organisation=organisation,
        feed=f"FEED_KIND_{feed.name}",
        dicomweb_url=dicomweb_url,
        orthanc_url=orthanc_url,
        credentials=credentials,
        profile=profile,
    )
    request = pb.AddArchiveRequest(request_id=new_request_id(), archive=archive)
    answer = call(lambda services: services.archives.AddArchive(request))
    if json:
        output.as_json(answer)
    else:
        output.console.print(f"archive {name}: {'added' if answer.created else 'was known; it is reached as said now'}")


@app.command("list")
def list_(*, json: Json = False) -> None:
    """List the archives."""
    answer = call(lambda services: services.archives.ListArchives(pb.ListArchivesRequest()))
    if json:
        output.as_json(answer.archives)
        return
    output.table(
        "Archives",
        ["archive", "organisation", "feed", "DICOMweb", "profile"],
        [
            [
                archive.archive,
                archive.organisation,
                output.word(pb.FeedKind.Name(archive.feed), "FEED_KIND_").lower(),
                archive.dicomweb_url,
                archive.profile,
            ]
            for archive in answer.archives
        ],
    )


@app.command()
def check(name: str, *, json: Json = False) -> None:
    """Talk to an archive and say what it answers, step by step. Ends with 1 when a step fails."""
    answer = call(lambda services: services.archives.CheckArchive(pb.CheckArchiveRequest(archive=name)))
    if json:
        output.as_json(answer)
    else:
        output.table(
            f"Archive {name}",
            ["step", "", "detail"],
            [[step.name, "ok" if step.ok else "FAILED", step.detail] for step in answer.steps],
        )
    if not all(step.ok for step in answer.steps):
        raise typer.Exit(1)
