"""A study goes from a real archive through a device in Triton and back, and every result is true."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import (
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from e2e.watching import Watcher, read_all
from oracle.geometry import slices_of
from oracle.report import check_measurement_report, evidence_faults, identity_faults, tracking_faults
from oracle.segmentation import frame_faults, measure_segments
from oracle.validators import Allowed, dciodvfy
from region.stack import Region
from region.story import Row, current, is_settled
from udc.router.v1 import studies_pb2
from udcphantom.demo import Size, write_demo

ATTACHMENTS = 2
MODEST = Size(matrix=256, chest=512, slices=48)

CONTRADICTED = (
    # The tool counts bytes; a Cyrillic letter has two in UTF-8.
    Allowed(
        r"Value invalid for this VR \[LO\] = <.*> - Length invalid .*64", "PS3.5 6.2: LO has 64 characters maximum"
    ),
)

pytestmark = pytest.mark.connected


class Morning:
    """The studies of the demonstration, sent once and settled."""

    def __init__(self, folder: Path, entries: Mapping[str, Mapping[str, Any]], watcher: Watcher) -> None:
        self.folder = folder
        self.entries = entries
        self.watcher = watcher
        self.studies: Mapping[str, studies_pb2.Study] = {}

    def uid(self, name: str) -> str:
        return str(self.entries[name]["study_instance_uid"])

    def study(self, name: str) -> studies_pb2.Study:
        return self.studies[self.uid(name)]

    def sources(self, name: str) -> list[Path]:
        return [self.folder / file for file in (*self.entries[name]["files"], *self.entries[name]["late"])]

    def row(self, name: str, device: str) -> Row:
        return asyncio.run(self.watcher.rows(self.study(name)))[device]


@pytest.fixture(scope="module")
def morning(region: Region, watcher: Watcher, tmp_path_factory: pytest.TempPathFactory) -> Morning:
    """All studies were sent and have their outcomes; the late slice came after the first job was made."""
    folder = tmp_path_factory.mktemp("phantoms")
    manifest: Any = write_demo(folder, size=MODEST)
    morning = Morning(folder, {entry["name"]: entry for entry in manifest["studies"]}, watcher)

    async def send() -> None:
        for entry in morning.entries.values():
            for _ in range(entry["sends"]):
                await region.orthanc.store([folder / file for file in entry["files"]])
        late = next(entry for entry in morning.entries.values() if entry["late"])
        # Late is what comes after the study was closed; before, it is only one more slice.
        await watcher.until([late["study_instance_uid"]], lambda study: is_settled(study, attachments=ATTACHMENTS))
        await region.orthanc.store([folder / file for file in late["late"]])

    asyncio.run(send())
    uids = [morning.uid(name) for name in morning.entries]
    late_uid = next(morning.uid(name) for name, entry in morning.entries.items() if entry["late"])
    morning.studies = asyncio.run(
        watcher.until(
            uids,
            lambda study: (
                is_settled(study, attachments=ATTACHMENTS)
                and (study.study_instance_uid != late_uid or study.revision == 2)
            ),
        )
    )
    return morning


CT_WITH_LESIONS = ("ct-left-bleed", "ct-two-bleeds", "ct-tilted", "ct-late-slice", "ct-sent-twice")
DEVICE_OF = {"ct": "ct-brain-hyperdensity", "cr": "cxr-opacity", "fluorography": "cxr-opacity"}


@pytest.mark.parametrize(
    ("name", "device", "outcome"),
    [
        *((name, "ct-brain-hyperdensity", "ARCHIVED") for name in (*CT_WITH_LESIONS, "ct-healthy")),
        *((name, "cxr-opacity", "NOT_ELIGIBLE") for name in (*CT_WITH_LESIONS, "ct-healthy", "mr-unwanted")),
        *((name, "cxr-opacity", "ARCHIVED") for name in ("cr-opacity", "cr-clear", "fluorography")),
        ("mr-unwanted", "ct-brain-hyperdensity", "NOT_ELIGIBLE"),
        ("cr-opacity", "ct-brain-hyperdensity", "NOT_ELIGIBLE"),
    ],
)
def test_every_study_ends_in_one_explained_outcome(morning: Morning, name: str, device: str, outcome: str) -> None:
    study = morning.study(name)
    rows = [item for item in current(study) if item.device == device]

    assert len(rows) == 1
    row = morning.row(name, device)
    assert row.outcome == outcome
    assert outcome == "ARCHIVED" or row.detail


@pytest.mark.parametrize("name", CT_WITH_LESIONS)
def test_a_lesion_comes_back_at_its_place_and_size(morning: Morning, name: str) -> None:
    objects = asyncio.run(morning.watcher.objects(morning.row(name, "ct-brain-hyperdensity")))
    sources = read_all(morning.sources(name))
    truth = morning.entries[name]["truth"]["lesions"]
    used = {
        item.ReferencedSOPInstanceUID
        for series in objects["SEG"].ReferencedSeriesSequence
        for item in series.ReferencedInstanceSequence
    }
    series = next(dataset.SeriesInstanceUID for dataset in sources if dataset.SOPInstanceUID in used)
    slices = slices_of(dataset for dataset in sources if dataset.SeriesInstanceUID == series)

    measured = measure_segments(objects["SEG"], slices)

    expected = sum(lesion["volume_ml"] for lesion in truth)
    assert sum(item.volume_ml for item in measured.values()) == pytest.approx(expected, rel=0.05)
    assert frame_faults(objects["SEG"], slices) == []


@pytest.mark.parametrize("name", [*CT_WITH_LESIONS, "ct-healthy", "cr-opacity", "cr-clear"])
def test_results_hold_against_the_standard_and_name_the_right_patient(
    morning: Morning, name: str, tmp_path: Path
) -> None:
    objects = asyncio.run(morning.watcher.objects(morning.row(name, DEVICE_OF[name.split("-", maxsplit=1)[0]])))
    sources = read_all(morning.sources(name))

    for kind, dataset in objects.items():
        path = tmp_path / f"{kind}.dcm"
        dataset.save_as(path)
        assert dciodvfy(path, allowed=CONTRADICTED) == [], kind
        assert identity_faults(dataset, sources[0]) == [], kind
    report = objects["SR"]
    assert report.SOPClassUID in {Comprehensive3DSRStorage, ComprehensiveSRStorage}
    assert check_measurement_report(report) == []
    others = [objects[kind] for kind in objects if kind != "SR"]
    assert evidence_faults(report, [*sources, *others]) == []
    if "SEG" in objects:
        assert tracking_faults(report, objects["SEG"]) == []


@pytest.mark.parametrize(("name", "segmented"), [("ct-left-bleed", True), ("ct-healthy", False), ("cr-clear", False)])
def test_a_normal_study_has_a_report_and_no_segmentation(morning: Morning, name: str, segmented: bool) -> None:
    row = morning.row(name, DEVICE_OF[name.split("-", maxsplit=1)[0]])
    classes = {item.sop_class_uid for item in row.objects}

    assert (SegmentationStorage in classes) is segmented
    assert SecondaryCaptureImageStorage in classes
    assert BasicTextSRStorage not in classes


def test_a_late_slice_makes_a_new_revision_and_supersedes_the_first_job(morning: Morning) -> None:
    study = morning.study("ct-late-slice")
    jobs = asyncio.run(morning.watcher.jobs(study))

    assert study.revision == 2
    by_revision = {job.revision: job for job in jobs}
    assert len(jobs) == 2
    assert len(by_revision[2].inputs) == 1
    assert by_revision[1].inputs[0].digest != by_revision[2].inputs[0].digest


def test_a_study_sent_twice_has_one_job(morning: Morning) -> None:
    study = morning.study("ct-sent-twice")

    assert len(asyncio.run(morning.watcher.jobs(study))) == 1
    assert study.revision == 1


def test_results_that_come_back_start_nothing(morning: Morning, region: Region) -> None:
    """Own results are in the archive's feed like anything else; a restarted router reads it again."""
    before = {uid: (study.revision, [item.job for item in study.outcomes]) for uid, study in morning.studies.items()}
    counted = asyncio.run(morning.watcher.instance_count(morning.uid("ct-left-bleed")))
    assert counted > len(morning.sources("ct-left-bleed"))

    async def restart_and_wait() -> Mapping[str, studies_pb2.Study]:
        await region.router.stop()
        await region.router.start()
        await asyncio.sleep(10)
        return await morning.watcher.until([morning.uid(name) for name in morning.entries], lambda _: True)

    after = asyncio.run(restart_and_wait())

    assert {uid: (study.revision, [item.job for item in study.outcomes]) for uid, study in after.items()} == before
