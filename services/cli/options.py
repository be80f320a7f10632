"""Options that many commands share."""

import uuid
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def new_request_id() -> str:
    """Return an id under which a repeated request is recognised (AIP-155)."""
    return str(uuid.uuid4())
