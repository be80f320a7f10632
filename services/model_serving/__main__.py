"""The command ``model-serving``."""

from model_serving.app import lifespan
from model_serving.settings import Settings
from udckit import runtime


def main() -> None:
    """Serve until SIGTERM."""
    runtime.run(Settings.from_environment(), lifespan)


if __name__ == "__main__":
    main()
