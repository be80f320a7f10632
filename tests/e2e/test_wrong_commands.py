"""What a person asks wrongly is refused with a sentence that names the thing, and changes nothing."""

import asyncio
from pathlib import Path

import pytest

from e2e.terminal import Answer, Terminal
from e2e.watching import Watcher
from region.models import DEVICES
from region.stack import ORGANISATION, Region
from region.story import is_settled
from udc.router.v1 import archives_pb2
from udc.router.v1.archives_pb2_grpc import ArchivesServiceStub
from udckit.errors import UnauthenticatedError
from udckit.grpc_client import open_channel
from udckit.security.ca import files_in
from udckit.security.identity import Service
from udckit.testing.ports import LOOPBACK, ReservedPorts
from udcphantom import evenly, head, render_ct, scan

ATTACHMENTS = 2
DEVICE = "ct-brain-hyperdensity"
MANIFEST = DEVICES / DEVICE / "manifest.yaml"
UNKNOWN_UID = "2.25.404"
UNKNOWN_JOB = "00000000-0000-5000-8000-000000000404"

pytestmark = pytest.mark.connected


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A copy of the CT device's manifest that a test may change."""
    copy = tmp_path / "manifest.yaml"
    copy.write_bytes(MANIFEST.read_bytes())
    return copy


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def model_of(region: Region) -> str:
    return str(region.models / "ct_brain_hyperdensity")


def test_other_content_under_a_registered_version_is_refused(
    terminal: Terminal, region: Region, manifest: Path
) -> None:
    replace_in(manifest, "max_tilt_deg: 30", "max_tilt_deg: 29")

    answer = terminal.udc("device", "register", str(manifest), "--model", model_of(region))

    assert answer.code == 1
    assert f"devices/{DEVICE}/versions/1.0.0 is registered with other content" in answer.said
    same = terminal.udc("device", "register", str(MANIFEST), "--model", model_of(region))
    assert (same.code, "registered already, unchanged" in same.said) == (0, True)


def test_another_model_under_a_registered_version_is_refused(terminal: Terminal, region: Region) -> None:
    answer = terminal.udc("device", "register", str(MANIFEST), "--model", str(region.models / "cxr_opacity"))

    assert answer.code == 1
    assert "is registered with other content; a change needs a new version" in answer.said


def test_a_manifest_whose_rule_does_not_type_check_is_refused_with_the_position(
    terminal: Terminal, region: Region, manifest: Path
) -> None:
    replace_in(manifest, "version: 1.0.0", "version: 1.1.0")
    replace_in(manifest, "study.age_years >= 18.0", "study.age_years >= 'old'")

    answer = terminal.udc("device", "register", str(manifest), "--model", model_of(region))

    assert answer.code == 2
    assert "purpose adult: position 17:" in answer.said
    assert "1.1.0" not in terminal.udc("device", "list").said


@pytest.mark.parametrize(
    ("rule", "position"),
    [("study.sex == 1", 11), ("study.colour == 'red'", 7), ("study.sex ==", 13), ("study.age_years", 1)],
)
def test_an_attachment_whose_rule_does_not_type_check_is_refused_with_the_position(
    terminal: Terminal, rule: str, position: int
) -> None:
    answer = terminal.udc("attach", DEVICE, "1.0.0", "--name", "wrong-rule", "--rule", rule)

    assert answer.code == 2
    assert f"rule of the attachment: position {position}:" in answer.said
    assert "wrong-rule" not in terminal.udc("attachments").said


def test_a_device_that_is_not_registered_cannot_be_attached(terminal: Terminal) -> None:
    answer = terminal.udc("attach", DEVICE, "7.7.7", "--to", "hospital")

    assert (answer.code, answer.said) == (1, f"udc: there is no device {DEVICE} 7.7.7")


def test_a_device_without_certificate_may_run_in_shadow_mode_only(
    terminal: Terminal, region: Region, manifest: Path
) -> None:
    replace_in(manifest, "version: 1.0.0", "version: 1.2.0")
    assert terminal.udc("device", "register", str(manifest), "--model", model_of(region)).code == 0

    answer = terminal.udc("attach", DEVICE, "1.2.0", "--name", "uncertified", "--mode", "live", "--to", "hospital")

    assert answer.code == 1
    assert "attachment uncertified may run in shadow mode only" in answer.said
    assert "uncertified" not in terminal.udc("attachments").said


def test_results_for_people_need_a_destination(terminal: Terminal) -> None:
    answer = terminal.udc("attach", DEVICE, "1.0.0", "--name", "nowhere", "--mode", "live")

    assert answer.code == 2
    assert "attachment nowhere shows results and names no destination" in answer.said


def test_an_archive_that_cannot_be_reached_is_found_out_by_the_check(terminal: Terminal) -> None:
    with ReservedPorts(1) as ports:
        [port] = ports
        added = terminal.udc(
            "archive", "add", "silent",
            "--dicomweb-url", f"http://{LOOPBACK}:{port}/dicom-web",
            "--orthanc-url", f"http://{LOOPBACK}:{port}",
            "--organisation", ORGANISATION,
        )  # fmt: skip
        assert added.code == 0

        answer = terminal.udc("archive", "check", "silent")

    assert answer.code == 1
    assert answer.said.count("FAILED") == 2
    assert "archive silent does not answer" in answer.said
    assert terminal.udc("archive", "check", "hospital").code == 0


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["study", "show", UNKNOWN_UID], f"there is no study {UNKNOWN_UID}"),
        (["study", "explain", UNKNOWN_UID], f"there is no study {UNKNOWN_UID}"),
        (["study", "trace", UNKNOWN_UID], f"there is no study {UNKNOWN_UID}"),
        (["study", "complete", UNKNOWN_UID], f"there is no study {UNKNOWN_UID}"),
        (["job", "show", UNKNOWN_JOB], f"there is no job {UNKNOWN_JOB}"),
        (["job", "retry", UNKNOWN_JOB], f"there is no job {UNKNOWN_JOB}"),
        (["job", "cancel", UNKNOWN_JOB, "--reason", "a test"], f"there is no job {UNKNOWN_JOB}"),
        (["archive", "check", "nowhere"], "there is no archive nowhere"),
        (["device", "suspend", DEVICE, "7.7.7", "--reason", "a test"], f"there is no device {DEVICE} 7.7.7"),
    ],
)
def test_what_does_not_exist_is_named(terminal: Terminal, command: list[str], sentence: str) -> None:
    assert terminal.udc(*command) == Answer(1, f"udc: {sentence}")


def test_a_job_that_has_ended_cannot_be_canceled_or_retried(
    terminal: Terminal, region: Region, watcher: Watcher, tmp_path: Path
) -> None:
    study = render_ct(head(), scan(evenly(20, spacing=8.0)), seed=404)
    asyncio.run(region.orthanc.store(study.write(tmp_path)))
    settled = asyncio.run(watcher.until([study.uid], lambda found: is_settled(found, attachments=ATTACHMENTS)))
    [job] = [item.job for item in settled[study.uid].outcomes if item.job]

    canceled = terminal.udc("job", "cancel", job, "--reason", "too late")
    retried = terminal.udc("job", "retry", job)

    assert canceled == Answer(1, f"udc: job {job} is ARCHIVED and cannot be canceled")
    assert retried == Answer(1, f"udc: job {job} is ARCHIVED; only work without a result is repeated")


def test_nobody_is_served_without_logging_in(region: Region, tmp_path: Path) -> None:
    answer = Terminal(region, tmp_path / "none").udc("study", "list")

    assert answer == Answer(1, "udc: nobody is logged in: run udc login")


def test_a_call_without_a_token_is_refused_by_the_service(region: Region) -> None:
    async def call() -> None:
        tls = files_in(region.security, Service.CLI)
        async with open_channel(region.router.address, tls=tls, service=str(Service.STUDY_ROUTER)) as channel:
            await ArchivesServiceStub(channel).ListArchives(archives_pb2.ListArchivesRequest())

    with pytest.raises(UnauthenticatedError, match="the call carries no token"):
        asyncio.run(call())


def test_a_token_that_nobody_signed_is_refused(region: Region, tmp_path: Path) -> None:
    invented = tmp_path / "token"
    invented.write_text("eyJhbGciOiJub25lIn0.e30.")

    answer = Terminal(region, invented).udc("study", "list")

    assert answer == Answer(1, "udc: a token is signed with EdDSA, not with none")


@pytest.mark.parametrize(
    ("role", "command"),
    [
        ("auditor", ["device", "suspend", DEVICE, "1.0.0", "--reason", "a test"]),
        ("vendor", ["study", "list"]),
        ("operator", ["attach", DEVICE, "1.0.0", "--name", "by-operator"]),
        ("physician", ["archive", "add", "own", "--dicomweb-url", "http://127.0.0.1:1", "--organisation", "1.2"]),
    ],
)
def test_a_person_without_the_role_is_refused(region: Region, tmp_path: Path, role: str, command: list[str]) -> None:
    terminal = Terminal(region, tmp_path / "token")
    assert terminal.udc("login", "--role", role).code == 0

    answer = terminal.udc(*command)

    assert answer.code == 1
    assert "is refused: none of your roles may call it" in answer.said


def test_a_person_of_one_organisation_is_not_shown_the_region(region: Region, tmp_path: Path) -> None:
    terminal = Terminal(region, tmp_path / "token")
    assert terminal.udc("login", "--role", "regional_admin", "--organisation", ORGANISATION).code == 0

    answer = terminal.udc("study", "list")

    assert answer.code == 1
    assert "is refused: it reaches every organisation, and you act for some only" in answer.said
