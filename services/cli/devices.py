"""``udc device`` and ``udc attach``: what may run, and where."""

from collections.abc import AsyncIterator, Mapping
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from cli import output
from cli.checking import GOLDEN, check_folder, check_version
from cli.connection import Services, call
from cli.golden import read_cases
from cli.options import Json, new_request_id
from cli.settings import Settings
from cli.yaml_files import read_yaml
from udc.events.v1 import job_pb2
from udc.router.v1 import devices_pb2 as pb
from udc.router.v1 import registry_pb2
from udc.serving.v1 import serving_pb2
from udckit.errors import InvalidRequestError, ServiceError
from udckit.modeldigest import model_digest
from udcmodel.codec import timestamp
from udcmodel.golden import check_golden
from udcmodel.manifest import parse

app = typer.Typer(help="AI medical devices and their versions.", no_args_is_help=True)

MAX_CERTIFICATE_BYTES: Final = 64 * 1024
_CHUNK: Final = 1 << 20
_PUT_TIMEOUT_S: Final = 600.0
_LOAD_TIMEOUT_S: Final = 900.0


class Mode(StrEnum):
    """How far results go."""

    SHADOW = "shadow"
    PILOT = "pilot"
    LIVE = "live"


class Priority(StrEnum):
    """Who goes first."""

    URGENT = "urgent"
    ROUTINE = "routine"
    BATCH = "batch"


class CertificateFile(BaseModel):
    """A registration certificate as a file, YAML or JSON."""

    model_config = ConfigDict(extra="forbid")

    number: str = Field(min_length=1)
    valid_from: AwareDatetime | date
    valid_until: AwareDatetime | date | None = None
    versions: list[str] = Field(min_length=1)
    holder: str = Field(min_length=1)
    source: str = Field(min_length=1)
    checked_at: AwareDatetime | date


def read_certificate(path: Path, *, zone: ZoneInfo) -> registry_pb2.Certificate:
    """Read a certificate snapshot. A day is one of ``zone``; the last day of validity counts in full.

    Raises:
        InvalidRequestError: names the file, the field and what is wrong.
    """
    certificate = read_yaml(path, CertificateFile, what="certificate", longest=MAX_CERTIFICATE_BYTES)
    return registry_pb2.Certificate(
        number=certificate.number,
        valid_from=timestamp(_moment(certificate.valid_from, zone=zone)),
        valid_until=None
        if certificate.valid_until is None
        else timestamp(_moment(certificate.valid_until, zone=zone, days=1)),
        versions=certificate.versions,
        holder=certificate.holder,
        source=certificate.source,
        checked_at=timestamp(_moment(certificate.checked_at, zone=zone)),
    )


def _moment(value: date, *, zone: ZoneInfo, days: int = 0) -> datetime:
    """Return a moment as it is, and of a day its beginning in the region, or that of some day after it."""
    return value if isinstance(value, datetime) else datetime.combine(value + timedelta(days), time(), zone)


@app.command()
def register(
    manifest: Annotated[Path, typer.Argument(help="The manifest, YAML.")],
    model: Annotated[Path, typer.Option(help="Directory of the model as Triton serves it; its files are digested.")],
    certificate: Annotated[Path | None, typer.Option(help="Snapshot of the registration certificate, YAML.")] = None,
    golden: Annotated[
        Path | None, typer.Option(help="Folder of golden cases; default: golden/ beside the manifest.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Register a version of a device. The same content twice changes nothing; other content is refused."""
    try:
        content = manifest.read_bytes()
    except OSError as error:
        raise InvalidRequestError(f"{manifest} cannot be read: {error.strerror}") from error
    described = parse(content)
    cases, written = read_cases(golden or manifest.parent / GOLDEN)
    if written is not None:
        check_golden(written, described)
    request = pb.RegisterDeviceRequest(
        request_id=new_request_id(),
        manifest_yaml=content,
        model_digest=model_digest(model),
        certificate=None if certificate is None else read_certificate(certificate, zone=Settings.load().time_zone),
        golden_json=b"" if written is None else written.canonical(),
    )

    async def put_and_register(services: Services) -> pb.RegisterDeviceResponse:
        for case in cases:
            for body in case.bodies.values():
                await services.devices.PutCaseInput(_chunks(body), timeout=_PUT_TIMEOUT_S)
        registered: pb.RegisterDeviceResponse = await services.devices.RegisterDevice(request)
        return registered

    answer = call(put_and_register)
    if json:
        output.as_json(answer)
        return
    state = "registered" if answer.created else "registered already, unchanged"
    if certificate is not None:
        state += f", certificate {answer.device.certificate.number}"
    known = f"{len(cases)} golden cases" if cases else "without golden cases: nothing proves it after an upgrade"
    output.console.print(f"device {described.device} {described.version}: {state}, {known}")


async def _chunks(body: bytes) -> AsyncIterator[pb.PutCaseInputRequest]:
    for start in range(0, len(body), _CHUNK):
        yield pb.PutCaseInputRequest(chunk=body[start : start + _CHUNK])


@app.command()
def check(
    device: Annotated[str, typer.Argument(help="Id of a registered device, or the folder of one that is not yet.")],
    version: Annotated[str, typer.Argument(help="Its version; left out for a folder.")] = "",
) -> None:
    """Run the golden cases of a version on a worker; of a folder, check that it can be registered."""
    if version:
        check_version(device, version)
    else:
        check_folder(Path(device))


@app.command()
def load(device: str, version: str) -> None:
    """Load the model of a version on a worker and prove it, as its first job would."""
    request = serving_pb2.LoadDeviceRequest(device=device, version=version)
    model = call(lambda services: services.serving().LoadDevice(request, timeout=_LOAD_TIMEOUT_S)).model
    output.console.print(f"device {device} {version}: model {model.model} {_activation(model)}")


@app.command()
def unload(device: str, version: str) -> None:
    """Take the model of a version out of a worker's memory; the next job loads it again."""
    request = serving_pb2.UnloadDeviceRequest(device=device, version=version)
    call(lambda services: services.serving().UnloadDevice(request, timeout=_LOAD_TIMEOUT_S))
    output.console.print(f"device {device} {version}: unloaded")


@app.command("list")
def list_(*, json: Json = False) -> None:
    """List devices and versions."""
    answer, served = call(_devices_and_models)
    if json:
        output.as_json(answer.devices)
        return
    output.table(
        "Devices",
        ["device", "version", "title", "certificate", "state", "golden", "worker"],
        [
            [
                device.device,
                device.version,
                device.title_ru,
                device.certificate.number or ("none" if device.medical_device else "not a medical device"),
                "suspended" if device.suspended else "active",
                str(device.golden_cases) if device.golden_cases else "none",
                served.get((device.device, device.version), "not asked for yet"),
            ]
            for device in answer.devices
        ],
    )


async def _devices_and_models(services: Services) -> tuple[pb.ListDevicesResponse, dict[tuple[str, str], str]]:
    """Return the devices, and what a worker says about those whose models it was asked for."""
    answer = await services.devices.ListDevices(pb.ListDevicesRequest())
    try:
        status = await services.serving().GetStatus(serving_pb2.GetStatusRequest())
    except ServiceError as error:
        unknown = f"not known: {error.message}"
        return answer, {(device.device, device.version): unknown for device in answer.devices}
    return answer, {(model.device, model.version): _activation(model) for model in status.models}


def _activation(model: serving_pb2.LoadedModel) -> str:
    if not model.activated:
        return f"NOT ACTIVATED, {model.golden}"
    return f"ready, golden cases: {model.golden}" if model.ready else f"not ready, phantom: {model.canary}"


@app.command()
def suspend(
    device: str,
    version: str,
    reason: Annotated[str, typer.Option(help="Why; it is shown with every refusal.")],
) -> None:
    """Stop new work of a version everywhere."""
    request = pb.SuspendDeviceRequest(request_id=new_request_id(), device=device, version=version, reason=reason)
    call(lambda services: services.devices.SuspendDevice(request))
    output.console.print(f"device {device} {version}: suspended")


@app.command()
def resume(device: str, version: str) -> None:
    """Let a suspended version work again."""
    request = pb.ResumeDeviceRequest(request_id=new_request_id(), device=device, version=version)
    call(lambda services: services.devices.ResumeDevice(request))
    output.console.print(f"device {device} {version}: active")


MODES: Final[Mapping[Mode, job_pb2.Mode]] = {
    Mode.SHADOW: job_pb2.MODE_SHADOW,
    Mode.PILOT: job_pb2.MODE_PILOT,
    Mode.LIVE: job_pb2.MODE_LIVE,
}
PRIORITIES: Final[Mapping[Priority, job_pb2.Priority]] = {
    Priority.URGENT: job_pb2.PRIORITY_URGENT,
    Priority.ROUTINE: job_pb2.PRIORITY_ROUTINE,
    Priority.BATCH: job_pb2.PRIORITY_BATCH,
}


def attach(
    device: Annotated[str, typer.Argument(help="Id of the device.")],
    version: Annotated[str, typer.Argument(help="Its version.")],
    to: Annotated[list[str] | None, typer.Option(help="Archive that receives the results; may be repeated.")] = None,
    source: Annotated[list[str] | None, typer.Option("--from", help="Archive to look at; default: all.")] = None,
    organisation: Annotated[list[str] | None, typer.Option(help="FRMO OID; default: the whole region.")] = None,
    mode: Annotated[Mode, typer.Option(help="How far results go.")] = Mode.SHADOW,
    rule: Annotated[str, typer.Option(help="CEL over the study, beside the intended purpose.")] = "",
    pool: Annotated[str, typer.Option(help="Serving pool; default: the one in the manifest.")] = "",
    priority: Annotated[Priority, typer.Option(help="Who goes first.")] = Priority.ROUTINE,
    deadline_s: Annotated[int, typer.Option(help="Seconds from dispatch to the deadline of an attempt.")] = 390,
    name: Annotated[str, typer.Option(help="Name of the attachment; default: device and version.")] = "",
    *,
    json: Json = False,
) -> None:
    """Let a device version work on studies that arrive from now on."""
    attachment = pb.Attachment(
        attachment=name or f"{device}-{version.lower().replace('.', '-')}",
        device=device,
        version=version,
        mode=MODES[mode],
        organisations=organisation or [],
        sources=source or [],
        destinations=to or [],
        rule=rule,
        pool=pool,
        priority=PRIORITIES[priority],
        deadline_s=deadline_s,
    )
    request = pb.CreateAttachmentRequest(request_id=new_request_id(), attachment=attachment)
    answer = call(lambda services: services.attachments.CreateAttachment(request))
    if json:
        output.as_json(answer)
    else:
        attached = answer.attachment
        state = f"attached in mode {mode} ({attached.attachment}, revision {attached.revision})"
        output.console.print(f"{device} {version}: {state}{'' if answer.created else '; the attachment was known'}")


@app.command()
def attachments(*, json: Json = False) -> None:
    """List where devices run."""
    answer = call(lambda services: services.attachments.ListAttachments(pb.ListAttachmentsRequest()))
    if json:
        output.as_json(answer.attachments)
        return
    output.table(
        "Attachments",
        ["attachment", "device", "version", "mode", "from", "to", "rule"],
        [
            [
                item.attachment,
                item.device,
                item.version,
                output.word(job_pb2.Mode.Name(item.mode), "MODE_").lower(),
                ", ".join(item.sources) or "all",
                ", ".join(item.destinations) or "-",
                item.rule or "-",
            ]
            for item in answer.attachments
        ],
    )
