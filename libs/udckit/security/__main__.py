"""``python -m udckit.security init --region r77 --out DIRECTORY``: identities for a region that has no authority."""

import argparse
import sys
from pathlib import Path

from udckit.clock import SystemClock
from udckit.errors import ServiceError
from udckit.security.installation import install
from udckit.security.nats_accounts import DEFAULT_POOLS


def main(arguments: list[str] | None = None) -> None:
    """Make or renew the identities of a region.

    Raises:
        SystemExit: it could not be done; the sentence says why.
    """
    parser = argparse.ArgumentParser(prog="python -m udckit.security", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    init = commands.add_parser(
        "init", help="make certificates, token key and broker configuration; renew certificates that end soon"
    )
    init.add_argument("--region", required=True, help="region code, such as r77")
    init.add_argument("--out", required=True, type=Path, metavar="DIRECTORY", help="where everything is written")
    init.add_argument(
        "--host", action="append", default=[], help="further DNS name or address of the services; may be repeated"
    )
    init.add_argument(
        "--pool", action="append", default=[], help="serving pool of the region (default: default); may be repeated"
    )
    given = parser.parse_args(arguments)
    try:
        installation, renewed = install(
            given.out,
            region=given.region,
            clock=SystemClock(),
            hosts=given.host,
            pools=given.pool or DEFAULT_POOLS,
        )
    except (ServiceError, OSError) as error:
        sys.exit(f"udckit.security: {error}")
    issued = ", ".join(renewed) or "none was due"
    sys.stdout.write(f"certificates issued: {issued}\nin {installation.directory}\n")


if __name__ == "__main__":
    main()
