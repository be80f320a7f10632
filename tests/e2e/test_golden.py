"""A region's golden cases: registered with a device, run by its worker, and what follows when one fails."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.connection import connected
from e2e.watching import Watcher
from region.commands import ARCHIVE, CERTIFICATE, udc
from region.models import DEVICES
from region.stack import POOL, Region
from udc.router.v1 import jobs_pb2
from udc.serving.v1 import serving_pb2
from udcphantom import Identity, evenly, head, render_ct, scan

pytestmark = pytest.mark.connected

DEVICE = "ct-brain-hyperdensity"
OVERSTATED = "9.9.9"


def run(region: Region, *arguments: str) -> tuple[int, str]:
    """Run a ``udc`` command; what it ended with, and what it printed."""
    environment = {**os.environ, "UDC_ENV_FILE": str(region.environment_file)}
    ended = subprocess.run(
        [sys.executable, "-m", "cli", *arguments], env=environment, check=False, capture_output=True, text=True
    )
    return ended.returncode, ended.stdout + ended.stderr


def overstating(folder: Path) -> Path:
    """The reference device in another version, whose vendor promises a smaller bleed than was drawn."""
    shutil.copytree(DEVICES / DEVICE, folder, ignore=shutil.ignore_patterns("model"))
    manifest = folder / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace("version: 1.0.0", f"version: {OVERSTATED}"))
    case = folder / "golden" / "left-bleed.yaml"
    text = case.read_text()
    assert "volume_ml: {value: 18.77, within: 1.9}" in text
    case.write_text(text.replace("value: 18.77, within: 1.9", "value: 8.77, within: 1.9"))
    return manifest


def register(region: Region, manifest: Path, version: str) -> None:
    certificate = region.state / "golden-certificate.yaml"
    certificate.write_text(CERTIFICATE.replace("1.0.0", version))
    udc(
        region, "device", "register", str(manifest),
        "--model", str(region.models / "ct_brain_hyperdensity"),
        "--certificate", str(certificate),
    )  # fmt: skip


def model_of(region: Region, version: str) -> serving_pb2.LoadedModel:
    """What the worker says about the model of a version."""

    async def ask() -> serving_pb2.GetStatusResponse:
        async with connected(Watcher(region).settings()) as services:
            status: serving_pb2.GetStatusResponse = await services.serving().GetStatus(serving_pb2.GetStatusRequest())
            return status

    return next(model for model in asyncio.run(ask()).models if model.version == version and model.device == DEVICE)


def test_the_reference_devices_pass_their_cases(region: Region) -> None:
    code, printed = run(region, "device", "check", DEVICE, "1.0.0")
    assert code == 0, printed
    assert "all 3 passed" in printed
    for case in ("healthy", "left-bleed", "two-bleeds-tilted"):
        assert case in printed
    model = model_of(region, "1.0.0")
    assert (model.activated, model.golden) == (True, "passed")
    assert run(region, "device", "list")[0] == 0


def test_a_version_that_fails_a_case_runs_nothing_and_the_others_go_on(region: Region, tmp_path: Path) -> None:
    register(region, overstating(tmp_path / "device"), OVERSTATED)
    rule = 'study.description == "golden"'
    attach = ("--mode", "live", "--to", ARCHIVE, "--pool", POOL, "--rule", rule)
    udc(region, "attach", DEVICE, OVERSTATED, *attach)

    code, printed = run(region, "device", "check", DEVICE, OVERSTATED)
    assert code == 1
    assert "1 of 3 failed: left-bleed. The version is not activated." in printed
    assert "8.77 ± 1.9" in printed
    model = model_of(region, OVERSTATED)
    assert not model.activated
    assert (
        "golden case left-bleed: hyperdensity: region 1, volume of the segment, ml: expected 8.77 ± 1.9" in model.golden
    )
    assert model_of(region, "1.0.0").activated
    assert "NOT" in run(region, "device", "list")[1]

    async def story() -> dict[str, jobs_pb2.Job]:
        study = render_ct(
            head(()),
            scan(evenly(16, spacing=10.0), rows=64, columns=64, pixel_mm=(3.5, 3.5)),
            identity=Identity(patient_id="GOLDEN-1", accession_number="G1", study_description="golden"),
            seed=901,
        )
        await region.orthanc.store(study.write(tmp_path / "study"))
        watcher = Watcher(region)
        async with asyncio.timeout(120), connected(watcher.settings()) as services:
            while True:
                listed = (await services.jobs.ListJobs(jobs_pb2.ListJobsRequest(page_size=1000))).jobs
                jobs = {job.version: job for job in listed if job.study_instance_uid == study.uid}
                if jobs.keys() >= {"1.0.0", OVERSTATED} and jobs["1.0.0"].state == jobs_pb2.JOB_STATE_ENDED:
                    return jobs
                await asyncio.sleep(0.5)

    jobs = asyncio.run(story())
    assert jobs[OVERSTATED].state == jobs_pb2.JOB_STATE_PENDING
    assert jobs[OVERSTATED].attempt == 0, "it was dispatched although the worker had said that it does not run it"
