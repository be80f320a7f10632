"""``udc device check``: what a device says about pictures of which the truth is known."""

from collections.abc import Sequence
from pathlib import Path

import typer

from cli import output
from cli.connection import Services, call
from cli.golden import WrittenCase, read_cases
from udc.serving.v1 import serving_pb2 as pb
from udckit.errors import InvalidRequestError
from udckit.modeldigest import model_digest
from udcmodel.golden import check_golden
from udcmodel.manifest import parse

MANIFEST = "manifest.yaml"
GOLDEN = "golden"
MODEL = "model"


def check_folder(folder: Path) -> None:
    """Check what a vendor is about to register, without any service.

    Raises:
        InvalidRequestError: something cannot be used; names the file and the line or the key.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise InvalidRequestError(f"{folder} has no {MANIFEST}; name the folder of a device, or a device and a version")
    manifest = parse(path.read_bytes())
    cases, golden = read_cases(folder / GOLDEN)
    if golden is not None:
        check_golden(golden, manifest)
    output.table(
        f"{manifest.device} {manifest.version}: golden cases",
        ["case", "picture", "images", "expected"],
        [[item.case.case, item.case.picture, str(item.image_count), _expected(item)] for item in cases],
    )
    output.console.print(f"model {manifest.model.name}: {model_digest(folder / MODEL)}")
    output.console.print(
        "The folder can be registered. Whether the device says what is expected is seen once it is:"
        f" udc device check {manifest.device} {manifest.version}"
    )


def check_version(device: str, version: str) -> None:
    """Run the golden cases of a registered version on a worker, and end with 1 when one fails."""

    async def run(services: Services) -> Sequence[pb.CheckDeviceResponse]:
        request = pb.CheckDeviceRequest(device=device, version=version)
        return [answer async for answer in services.serving().CheckDevice(request)]

    answers = call(run)
    output.table(
        f"{device} {version}: golden cases",
        ["case", "picture", "compared", "expected", "got", ""],
        [row for answer in answers for row in _rows(answer)],
    )
    failed = [answer.case for answer in answers if not answer.passed]
    if failed:
        output.console.print(
            f"{len(failed)} of {len(answers)} failed: {', '.join(failed)}. The version is not activated."
        )
        raise typer.Exit(1)
    output.console.print(f"all {len(answers)} passed")


def _rows(answer: pb.CheckDeviceResponse) -> list[list[str]]:
    rows = [
        ["", "", check.what, check.expected, check.got, "passed" if check.passed else "FAILED"]
        for check in answer.checks
    ]
    if rows:
        rows[0][:2] = [answer.case, answer.picture]
    return rows


def _expected(written: WrittenCase) -> str:
    return ", ".join(f"{expected.finding} {expected.presence}" for expected in written.case.expect)
