"""The command ``study-router``."""

from study_router.app import lifespan
from study_router.settings import Settings
from udckit import runtime


def main() -> None:
    """Serve until SIGTERM."""
    runtime.run(Settings.from_environment(), lifespan)


if __name__ == "__main__":
    main()
