"""Where a person types ``udc`` commands."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from region.stack import Region


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended."""

    code: int
    said: str


@dataclass(frozen=True, slots=True)
class Terminal:
    """A shell in which ``udc`` knows the region, and whose token it carries."""

    region: Region
    token_file: Path

    def udc(self, *arguments: str) -> Answer:
        """Run a command; ``said`` is what it wrote to both outputs, on one line."""
        environment = {
            **os.environ,
            "UDC_ENV_FILE": str(self.region.environment_file),
            "UDC_TOKEN_FILE": str(self.token_file),
        }
        ended = subprocess.run(
            [sys.executable, "-m", "cli", *arguments], env=environment, check=False, capture_output=True, text=True
        )
        assert "Traceback" not in ended.stderr
        return Answer(ended.returncode, " ".join((ended.stdout + ended.stderr).split()))
