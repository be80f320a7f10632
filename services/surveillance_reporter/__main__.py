"""The command ``surveillance-reporter``."""

from surveillance_reporter.app import lifespan
from surveillance_reporter.settings import Settings
from udckit import runtime


def main() -> None:
    """Serve until SIGTERM."""
    runtime.run(Settings.from_environment(), lifespan)


if __name__ == "__main__":
    main()
