"""A region on this machine that stays until Ctrl-C, with one archive and the reference devices."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from typing import Final

from region.commands import CommandFailedError, set_up
from region.quiet import only_warnings
from region.stack import Region, Times
from udckit.errors import ServiceError

STATE: Final = Path(__file__).resolve().parents[2] / ".udc" / "region"


def main() -> None:
    """Start, say where to look, and wait."""
    parser = argparse.ArgumentParser(prog="scripts/up", description=__doc__)
    parser.add_argument("--bare", action="store_true", help="attach no archive and register no device")
    given = parser.parse_args()
    only_warnings()
    try:
        asyncio.run(_stay(bare=given.bare))
    except (ServiceError, CommandFailedError) as error:
        sys.exit(f"scripts/up: {error}")


async def _stay(*, bare: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Region(STATE, times=Times(), say=lambda what: print(f"starting {what}", flush=True)) as region:
        if not bare:
            await asyncio.to_thread(set_up, region)
        user, password = region.orthanc.credentials
        print(
            f"\nrunning until Ctrl-C. In another terminal:\n"
            f"  export UDC_ENV_FILE={region.environment_file}\n"
            f"  .udc/venv/bin/udc --help\n"
            f"archive: {region.orthanc.rest_url} (user {user}, password {password}),"
            f" DICOM port {region.orthanc.dimse_port}, AE title {region.orthanc.ae_title}\n"
            f"logs:    {region.state}/*/log.txt",
            flush=True,
        )
        await stop.wait()
        print("stopping", flush=True)


if __name__ == "__main__":
    main()
