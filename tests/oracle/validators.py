"""The validators of dicom3tools, with a list of messages that are known to contradict the standard."""

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Allowed:
    """A message of a validator that is not a fault of the file.

    Args:
        pattern: Regular expression found in the message.
        clause: The clause of the standard that permits what the validator complains about, or why it cannot know.
    """

    pattern: str
    clause: str


def dciodvfy(path: Path, *, allowed: Sequence[Allowed] = ()) -> list[str]:
    """Check one file against its information object definition.

    Args:
        path: A DICOM file.
        allowed: Messages that do not count.

    Returns:
        The Error lines that are not allowed; one line that says so if the validator recognised no object at all.
    """
    output = _run(["dciodvfy", "-new", str(path)])
    errors = _errors(output, allowed)
    if not any(line and not line.startswith(("Error", "Warning")) for line in output):
        errors.append(f"dciodvfy recognised no information object in {path.name}")
    return errors


def dcentvfy(paths: Sequence[Path], *, allowed: Sequence[Allowed] = ()) -> list[str]:
    """Check that files agree about the patients, studies, series and frames of reference they share.

    The tool compares bytes, so the same name in two character sets would differ: it is shown copies in UTF-8.

    Args:
        paths: DICOM files, sources and results together.
        allowed: Messages that do not count.

    Returns:
        The Error lines that are not allowed.

    Raises:
        subprocess.CalledProcessError: A file cannot be converted to UTF-8.
    """
    with tempfile.TemporaryDirectory() as folder:
        copies = [Path(folder) / f"{number:06d}.dcm" for number in range(len(paths))]
        for path, copy in zip(paths, copies, strict=True):
            subprocess.run(["dcmconv", "+U8", str(path), str(copy)], check=True, capture_output=True)
        return _errors(_run(["dcentvfy", *map(str, copies)]), allowed)


def _run(command: list[str]) -> list[str]:
    # The exit status says only that there was an error; which one, and whether it counts, is in the text.
    done = subprocess.run(command, capture_output=True, check=False)
    return (done.stdout + done.stderr).decode("utf-8", errors="replace").splitlines()


def _errors(output: Sequence[str], allowed: Sequence[Allowed]) -> list[str]:
    return [
        line
        for line in output
        if line.startswith("Error") and not any(re.search(rule.pattern, line) for rule in allowed)
    ]
