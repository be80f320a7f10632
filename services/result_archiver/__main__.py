"""``python -m result_archiver``: run the service until SIGTERM."""

import sys

from result_archiver.app import lifespan
from result_archiver.settings import Settings
from udckit.errors import InvalidRequestError
from udckit.runtime import run


def main() -> None:
    """Run the service."""
    try:
        settings = Settings.from_environment()
    except InvalidRequestError as error:
        sys.exit(f"result-archiver cannot start: {error.message}")
    run(settings, lifespan)


if __name__ == "__main__":
    main()
