"""Whatever a modality sends ends in a clear outcome with a sentence that names the fault, and nothing else suffers."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from cli.connection import connected
from e2e.bad_studies import CYRILLIC_NAME, STUDIES
from e2e.terminal import Terminal
from e2e.watching import Watcher, read_all
from oracle.geometry import slices_of
from oracle.segmentation import measure_segments
from region.stack import Region
from region.story import Row, current, is_settled, studies_of
from udc.events.v1 import events_service_pb2, job_pb2
from udc.router.v1 import jobs_pb2, studies_pb2
from udc.surveillance.v1 import surveillance_pb2
from udcphantom import Study

ATTACHMENTS = 2
DEVICE = "ct-brain-hyperdensity"
SHARED = ("first-patient", "second-patient")

IMAGES = job_pb2.ERROR_CATEGORY_IMAGES
NUMBER_OF_IMAGES = job_pb2.ERROR_CATEGORY_NUMBER_OF_IMAGES
SERIES = job_pb2.ERROR_CATEGORY_SERIES
TAG = job_pb2.ERROR_CATEGORY_TAG

UNUSABLE = {
    "short-pixels": (IMAGES, "an image has 7192 bytes of pixels; its header describes 8192"),
    "no-pixels": (IMAGES, "an image has 0 bytes of pixels; its header describes 8192"),
    "cut-codestream": (IMAGES, "the pixels of an image cannot be decoded"),
    "eight-bits": (IMAGES, "an image has 8192 bytes of pixels; its header describes 4096"),
    "eight-bits-compressed": (IMAGES, "compressed pixels of an image take 16 bits; its header allocates 8"),
    "thirty-two-bits": (IMAGES, "an image has 8192 bytes of pixels; its header describes 16384"),
    "gap": (NUMBER_OF_IMAGES, "frames are missing in 1 places: neighbours are up to 16.00 mm apart"),
    "repeated-position": (SERIES, "1 of 20 positions have more than one frame"),
    "no-geometry": (TAG, "none of 20 images has Image Position and Orientation (Patient)"),
    "unmarked-times": (SERIES, "40 frames share 20 positions, most of them 2 times"),
}
"""Studies that the device is for, whose images it cannot use: category and sentence."""

NOT_MEANT = {
    "placeholder-birth-date": ("AGE_UNKNOWN", "age unknown: the birth date is a placeholder"),
    "no-birth-date": ("AGE_UNKNOWN", "age unknown: neither birth date nor Patient's Age is usable"),
    "child": ("PURPOSE", "The device is registered for adults."),
    "wrong-part": ("NO_INPUT", "series 2 (CT, CHEST, 20 images): not selected"),
    "no-part": ("NO_INPUT", "series 2 (CT, no body part, 20 images): stack.body_part is unknown"),
}
"""Studies that the device is not for: reason and sentence."""

ARCHIVED = ("good", "two-times", "iso-ir-144", "iso-2022", "undeclared")

pytestmark = pytest.mark.connected


class Intake:
    """The studies, sent together and settled."""

    def __init__(self, folder: Path, made: Mapping[str, Study], watcher: Watcher) -> None:
        self.folder = folder
        self.made = made
        self.watcher = watcher
        self.studies: Mapping[str, studies_pb2.Study] = {}

    def study(self, name: str) -> studies_pb2.Study:
        return self.studies[self.made[name].uid]

    def outcome(self, name: str) -> studies_pb2.StudyOutcome:
        """Return what became of a study for the CT device."""
        (found,) = (item for item in current(self.study(name)) if item.device == DEVICE)
        return found

    def jobs(self, name: str) -> list[jobs_pb2.Job]:
        return list(asyncio.run(self.watcher.jobs(self.study(name))))

    def row(self, name: str) -> Row:
        return asyncio.run(self.watcher.rows(self.study(name)))[DEVICE]

    def sources(self, name: str) -> list[Path]:
        return sorted((self.folder / name).rglob("*.dcm"))


def texts_of(item: Dataset) -> list[str]:
    """Return the texts of a structured report, at any depth."""
    own = [str(item.TextValue)] if item.get("ValueType") == "TEXT" else []
    return own + [text for child in item.get("ContentSequence", ()) for text in texts_of(child)]


@pytest.fixture(scope="module")
def intake(region: Region, watcher: Watcher, tmp_path_factory: pytest.TempPathFactory) -> Intake:
    """All studies were sent in one association and have their outcomes."""
    folder = tmp_path_factory.mktemp("bad")
    made = {name: build() for name, build in STUDIES.items()}
    paths = [path for name, study in made.items() for path in study.write(folder / name)]
    asyncio.run(region.orthanc.store(paths))
    intake = Intake(folder, made, watcher)
    intake.studies = asyncio.run(
        watcher.until(
            [study.uid for study in made.values()],
            lambda study: (
                study.state == studies_pb2.STUDY_STATE_QUARANTINED or is_settled(study, attachments=ATTACHMENTS)
            ),
        )
    )
    return intake


@pytest.mark.parametrize("name", UNUSABLE)
def test_images_that_cannot_be_used_are_insufficient_and_the_sentence_says_why(intake: Intake, name: str) -> None:
    category, sentence = UNUSABLE[name]
    outcome = intake.outcome(name)

    assert job_pb2.Outcome.Name(outcome.outcome) == "OUTCOME_INSUFFICIENT"
    assert sentence in outcome.detail
    assert outcome.category == category


@pytest.mark.parametrize("name", NOT_MEANT)
def test_what_the_device_is_not_for_is_not_eligible_and_the_sentence_says_why(intake: Intake, name: str) -> None:
    reason, sentence = NOT_MEANT[name]
    outcome = intake.outcome(name)

    assert job_pb2.Outcome.Name(outcome.outcome) == "OUTCOME_NOT_ELIGIBLE"
    assert outcome.reason == reason
    assert sentence in outcome.detail
    assert intake.jobs(name) == []


def test_a_good_study_among_them_has_its_true_result(intake: Intake) -> None:
    objects = asyncio.run(intake.watcher.objects(intake.row("good")))

    measured = measure_segments(objects["SEG"], slices_of(read_all(intake.sources("good"))))

    expected = sum(lesion.volume_ml for lesion in intake.made["good"].truth.lesions)
    assert sum(item.volume_ml for item in measured.values()) == pytest.approx(expected, rel=0.1)


def test_two_patients_under_one_study_uid_are_quarantined_and_reach_no_device(
    intake: Intake, watcher: Watcher, terminal: Terminal
) -> None:
    async def listed() -> list[studies_pb2.Study]:
        uid = intake.made[SHARED[0]].uid
        async with connected(watcher.settings()) as services:
            request = studies_pb2.ListStudiesRequest(page_size=10, study_instance_uid=uid)
            return list((await services.studies.ListStudies(request)).studies)

    both = asyncio.run(listed())

    assert [study.state for study in both] == [studies_pb2.STUDY_STATE_QUARANTINED] * 2
    assert [list(study.outcomes) for study in both] == [[], []]
    assert [list(asyncio.run(watcher.jobs(study))) for study in both] == [[], []]
    for study in both:
        shown = terminal.udc("study", "show", study.study)
        assert (shown.code, "two patients share this Study Instance UID" in shown.said) == (0, True)


def test_of_a_study_scanned_twice_the_device_sees_one_time(intake: Intake) -> None:
    objects = asyncio.run(intake.watcher.objects(intake.row("two-times")))
    times = {
        dataset.SOPInstanceUID: dataset.TemporalPositionIdentifier for dataset in read_all(intake.sources("two-times"))
    }

    used = {
        item.ReferencedSOPInstanceUID
        for series in objects["SEG"].ReferencedSeriesSequence
        for item in series.ReferencedInstanceSequence
    }

    assert len({times[uid] for uid in used}) == 1


@pytest.mark.parametrize("name", ["iso-ir-144", "iso-2022"])
def test_a_cyrillic_name_arrives_right_whatever_the_character_set_of_the_source(intake: Intake, name: str) -> None:
    objects = asyncio.run(intake.watcher.objects(intake.row(name)))

    assert {kind: str(dataset.PatientName) for kind, dataset in objects.items()} == dict.fromkeys(
        ("SEG", "SC", "SR"), CYRILLIC_NAME
    )


def test_a_name_in_an_undeclared_character_set_is_left_out_and_the_report_says_so(intake: Intake) -> None:
    objects = asyncio.run(intake.watcher.objects(intake.row("undeclared")))

    assert {kind: str(dataset.PatientName) for kind, dataset in objects.items()} == dict.fromkeys(
        ("SEG", "SC", "SR"), ""
    )
    assert {dataset.PatientID for dataset in objects.values()} == {"BAD-UNDECLARED"}
    assert [text for text in texts_of(objects["SR"]) if "не читается" in text and "PatientName" in text]


@pytest.mark.parametrize("name", ARCHIVED)
def test_what_only_looks_unusual_is_archived(intake: Intake, name: str) -> None:
    assert job_pb2.Outcome.Name(intake.outcome(name).outcome) == "OUTCOME_ARCHIVED"


def test_a_person_is_shown_category_and_sentence(intake: Intake, terminal: Terminal) -> None:
    shown = terminal.udc("study", "show", intake.made["gap"].uid)

    assert shown.code == 0
    assert "1 ct-brain-hyperdensity 1.0.0 INSUFFICIENT NUMBER_OF_IMAGES ct: frames are missing in 1" in shown.said


def test_the_counts_name_every_category_as_often_as_it_occurred(intake: Intake, watcher: Watcher) -> None:
    expected = Counter(category for category, _ in UNUSABLE.values())

    async def counted() -> Counter[int]:
        async with asyncio.timeout(20), connected(watcher.settings()) as services:
            while True:
                request = surveillance_pb2.GetCountsRequest(device=DEVICE)
                rows = (await services.surveillance().GetCounts(request)).rows
                found = Counter[int]()
                for row in rows:
                    for item in row.categories:
                        found[item.category] += item.count
                if found.total() >= expected.total():
                    return found
                await asyncio.sleep(0.3)

    assert intake.studies
    assert asyncio.run(counted()) == expected


def test_nothing_is_stuck(intake: Intake, watcher: Watcher) -> None:
    async def left() -> tuple[list[jobs_pb2.Job], list[events_service_pb2.DeadLetter]]:
        async with connected(watcher.settings()) as services:
            jobs = (await services.jobs.ListJobs(jobs_pb2.ListJobsRequest(page_size=1000))).jobs
            letters = [
                letter
                for stub in services.events().values()
                for letter in (await stub.ListDeadLetters(events_service_pb2.ListDeadLettersRequest())).dead_letters
            ]
            assert len(await studies_of(services)) == len(STUDIES) - 1
            return [job for job in jobs if job.state != jobs_pb2.JOB_STATE_ENDED], letters

    assert intake.studies
    assert asyncio.run(left()) == ([], [])
