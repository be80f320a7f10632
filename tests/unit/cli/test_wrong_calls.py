"""What a person is told who calls ``udc`` wrongly: the thing, what is wrong with it, and what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MANIFEST = Path(__file__).parents[3] / "examples" / "devices" / "cxr-opacity" / "manifest.yaml"
CERTIFICATE = """\
number: "РЗН 2099/00001"
valid_from: 2024-01-01
versions: ["1.0.0"]
holder: h
source: file
checked_at: 2024-01-01
"""


def udc(*arguments: str, environment_file: Path) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("UDC_")}
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**inherited, "UDC_ENV_FILE": str(environment_file), "COLUMNS": "200"},
    )


@pytest.fixture
def environment_file(tmp_path: Path) -> Path:
    """The environment file of an installation that does not run."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.pbtxt").write_text("x")
    (tmp_path / "good.yaml").write_text(CERTIFICATE)
    file = tmp_path / "udc.env"
    file.write_text(
        f"UDC_REGION=r77\nUDC_ROUTER=127.0.0.1:1\nUDC_SECURITY={tmp_path}\nUDC_TOKEN_FILE={tmp_path / 'token'}\n"
    )
    return file


def test_without_an_installation_it_says_how_to_get_one(tmp_path: Path) -> None:
    ended = udc("study", "list", environment_file=tmp_path / "absent.env")

    assert ended.returncode == 2
    assert f"{tmp_path / 'absent.env'}, and there is no such file" in ended.stderr
    assert "run scripts/up" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_a_token_it_says_to_log_in(environment_file: Path) -> None:
    ended = udc("study", "list", environment_file=environment_file)

    assert ended.returncode == 1
    assert ended.stderr == "udc: nobody is logged in: run udc login\n"


def test_an_unknown_command_is_named(environment_file: Path) -> None:
    ended = udc("studdy", "list", environment_file=environment_file)

    assert ended.returncode == 2
    assert "studdy" in ended.stderr


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("prefer:", "preffer:", "inputs[0].preffer: this key is not known"),
        ("output: BOX, index", "output: BOXES, index", "there is no output 'BOXES'"),
    ],
)
def test_a_mistake_in_a_manifest_is_named_with_its_line(environment_file: Path, old: str, new: str, words: str) -> None:
    manifest = environment_file.parent / "manifest.yaml"
    manifest.write_text(MANIFEST.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    ended = udc(
        "device", "register", str(manifest), "--model", str(manifest.parent / "model"),
        environment_file=environment_file,
    )  # fmt: skip

    assert ended.returncode == 2
    assert words in ended.stderr
    assert "line " in ended.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (CERTIFICATE.replace("holder: h\n", ""), "holder: Field required"),
        (CERTIFICATE.replace("2024-01-01", "soon"), "valid_from"),
        (CERTIFICATE + "holder2: x\n", "holder2: Extra inputs are not permitted"),
        ("[", "is not YAML"),
        (CERTIFICATE.replace("2024-01-01", "2024-13-01"), "is not YAML: this is no timestamp"),
        ("x" * 70_000, "too large for a certificate"),
    ],
)
def test_a_mistake_in_a_certificate_is_named(environment_file: Path, content: str, words: str) -> None:
    certificate = environment_file.parent / "certificate.yaml"
    certificate.write_text(content, encoding="utf-8")

    ended = udc(
        "device", "register", str(MANIFEST), "--model", str(certificate.parent / "model"),
        "--certificate", str(certificate), environment_file=environment_file,
    )  # fmt: skip

    assert ended.returncode == 2
    assert str(certificate) in ended.stderr
    assert words in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("device", "register", "absent.yaml", "--model", "model"), "absent.yaml cannot be read"),
        (("device", "register", str(MANIFEST), "--model", "absent"), "there is no model folder absent"),
    ],
)
def test_a_file_that_is_not_there_is_named(environment_file: Path, arguments: tuple[str, ...], words: str) -> None:
    ended = udc(*arguments, environment_file=environment_file)

    assert ended.returncode != 0
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
