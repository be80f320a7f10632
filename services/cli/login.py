"""``udc login``: a short-lived token from the local signing key."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from cli import output
from cli.settings import Settings
from udckit.clock import SystemClock
from udckit.security.files import write_private
from udckit.security.identity import EVERYWHERE, Role
from udckit.security.installation import Installation
from udckit.security.tokens import issue_token


def login(
    subject: Annotated[str, typer.Option(help="Opaque id of the person; never a name.")] = "",
    role: Annotated[list[Role] | None, typer.Option(help="Role; may be repeated.")] = None,
    organisation: Annotated[list[str] | None, typer.Option(help="FRMO OID; default: all of the region.")] = None,
    key: Annotated[Path | None, typer.Option(help="Signing key; default: that of the local installation.")] = None,
    hours: Annotated[float, typer.Option(min=0.1, max=12, help="How long the token lives.")] = 8,
) -> None:
    """Log in with the local signing key. Installations with an identity provider use its tokens instead."""
    settings = Settings.load()
    roles = role or [Role.REGIONAL_ADMIN, Role.OPERATOR]
    token = issue_token(
        key or Installation(settings.security).signing_key,
        subject=subject or f"local-{os.getuid()}",
        roles=roles,
        organisations=organisation or [EVERYWHERE],
        region=settings.region,
        clock=SystemClock(),
        lifetime=timedelta(hours=hours),
    )
    write_private(settings.token_file, token.encode())
    output.console.print(f"logged in for {hours:g} h as {', '.join(roles)}")
