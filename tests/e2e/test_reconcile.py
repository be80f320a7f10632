"""``udc reconcile`` sees what somebody broke behind the services' backs, mends what can be mended, else is silent."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from e2e.watching import Watcher
from region.commands import udc
from region.stack import POOL, Region
from region.story import StoredObject, current, is_settled
from udc.events.v1 import job_pb2
from udc.router.v1 import studies_pb2
from udckit import subjects
from udckit.bus import BusSettings, connected
from udckit.envelope import HEADER_SEQUENCE, HEADER_SOURCE
from udckit.security.ca import files_in
from udckit.security.identity import Service
from udcphantom import LEFT_BLEED, Identity, evenly, head, render_ct, scan

pytestmark = pytest.mark.connected

ATTACHMENTS = 2
STUDIES = 2
SOURCES = "FROM instance_lists WHERE study = ? AND instance_class = 'SOURCE'"
"""The one stack of source images of a closed study."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What ``udc reconcile --json`` printed, and how it ended."""

    code: int
    findings: Sequence[Mapping[str, Any]]

    @property
    def kinds(self) -> list[str]:
        return sorted(finding["kind"] for finding in self.findings)


def reconcile(region: Region, *arguments: str) -> Answer:
    ended = subprocess.run(
        [sys.executable, "-m", "cli", "reconcile", "--json", *arguments],
        env={**os.environ, "UDC_ENV_FILE": str(region.environment_file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode in {0, 1}, ended.stderr
    assert ended.stdout, ended.stderr
    return Answer(ended.returncode, json.loads(ended.stdout))


def change(region: Region, service: Service, statement: str, *values: str) -> None:
    """Change a row behind the back of a service."""
    with closing(sqlite3.connect(region.state / service / "data.db", timeout=10)) as database, database:
        changed = database.execute(statement, values).rowcount
    assert changed == 1


def look(region: Region, service: Service, query: str, *values: str) -> Any:
    with closing(sqlite3.connect(region.state / service / "data.db", timeout=10)) as database:
        return database.execute(query, values).fetchall()


def sources(region: Region, study: studies_pb2.Study) -> Sequence[str]:
    """Return the source images of a closed study that the index knows."""
    [(content,)] = look(region, Service.STUDY_ROUTER, f"SELECT content {SOURCES}", study.study)
    return [header["sop_instance_uid"] for header, _ in json.loads(zlib.decompress(content))]


@pytest.fixture(scope="module")
def studies(region: Region, watcher: Watcher, tmp_path_factory: pytest.TempPathFactory) -> Sequence[studies_pb2.Study]:
    """Two head CTs with archived results, closed."""

    uids = [send_study(region, tmp_path_factory.mktemp("study"), number) for number in range(1, STUDIES + 1)]
    found = settled(watcher, uids)
    assert all(ct_outcome(study).outcome == job_pb2.OUTCOME_ARCHIVED for study in found)
    return found


def send_study(region: Region, folder: Path, number: int) -> str:
    geometry = scan(evenly(16, spacing=10.0), rows=64, columns=64, pixel_mm=(3.5, 3.5))
    identity = Identity(patient_id=f"RECONCILE-{number}", accession_number=f"R{number}")
    study = render_ct(head([LEFT_BLEED]), geometry, identity=identity, seed=number)
    asyncio.run(region.orthanc.store(study.write(folder)))
    return study.uid


def settled(watcher: Watcher, uids: Sequence[str]) -> Sequence[studies_pb2.Study]:
    found = asyncio.run(watcher.until(uids, lambda study: is_settled(study, attachments=ATTACHMENTS)))
    return [found[uid] for uid in uids]


def ct_outcome(study: studies_pb2.Study) -> studies_pb2.StudyOutcome:
    [found] = [item for item in current(study) if item.device == "ct-brain-hyperdensity"]
    return found


def result_objects(watcher: Watcher, study: studies_pb2.Study) -> Sequence[StoredObject]:
    return asyncio.run(watcher.rows(study))["ct-brain-hyperdensity"].objects


async def delete_in_archive(region: Region, sop_instance_uid: str) -> None:
    async with httpx.AsyncClient(auth=region.orthanc.credentials, base_url=region.orthanc.rest_url) as client:
        [found] = (await client.post("/tools/lookup", content=sop_instance_uid)).json()
        (await client.delete(f"/instances/{found['ID']}")).raise_for_status()


async def delete_newest_event(region: Region, subject: str) -> tuple[str, int]:
    """Wait for an event, delete it from the stream, and return its producer and number."""
    tls = files_in(region.security, Service.PROVISIONER).client_context()
    settings = BusSettings(servers=[region.nats_url], name=str(Service.PROVISIONER), tls=tls)
    async with connected(settings) as bus, asyncio.timeout(10):
        before = len(look(region, Service.SURVEILLANCE_REPORTER, "SELECT 1 FROM journal"))
        while True:
            info = await bus.js.stream_info(subjects.STREAM_EVENTS)
            if info.state.messages > before:
                break
            await asyncio.sleep(0.1)
        message = await bus.js.get_last_msg(subjects.STREAM_EVENTS, subject)
        assert message.seq is not None
        assert await bus.js.delete_msg(subjects.STREAM_EVENTS, message.seq)
        headers = message.headers or {}
        return headers[HEADER_SOURCE], int(headers[HEADER_SEQUENCE])


def test_a_healthy_region_has_nothing_to_say(region: Region, studies: Sequence[studies_pb2.Study]) -> None:
    assert len(studies) == STUDIES
    assert reconcile(region) == Answer(0, [])


def test_an_instance_lost_from_the_index_is_found_and_read_again(
    region: Region, watcher: Watcher, studies: Sequence[studies_pb2.Study]
) -> None:
    study = studies[0]
    before = sources(region, study)
    change(region, Service.STUDY_ROUTER, f"DELETE {SOURCES}", study.study)

    seen = reconcile(region)
    mended = reconcile(region, "--repair")

    assert (seen.code, seen.kinds) == (1, ["INDEX_BEHIND"])
    assert study.study_instance_uid in seen.findings[0]["about"]
    assert (mended.code, [finding["repaired"] for finding in mended.findings]) == (0, [True])
    jobs_before = {ct_outcome(study).job}
    [after] = settled(watcher, [study.study_instance_uid])
    assert {job.job for job in asyncio.run(watcher.jobs(after))} == jobs_before
    assert sources(region, study) == before
    assert reconcile(region) == Answer(0, [])


def test_a_source_deleted_in_the_archive_is_found_and_forgotten(
    region: Region, studies: Sequence[studies_pb2.Study]
) -> None:
    uid = sources(region, studies[1])[0]
    asyncio.run(delete_in_archive(region, uid))

    seen = reconcile(region)
    mended = reconcile(region, "--repair")

    assert (seen.code, seen.kinds) == (1, ["INDEX_AHEAD"])
    assert (mended.code, [finding["repaired"] for finding in mended.findings]) == (0, [True])
    assert reconcile(region) == Answer(0, [])


def test_a_lost_outcome_is_found_and_decided_again_without_running_anything_twice(
    region: Region, watcher: Watcher, studies: Sequence[studies_pb2.Study]
) -> None:
    [before] = settled(watcher, [studies[0].study_instance_uid])
    lost = ct_outcome(before)
    jobs_before = {job.job for job in asyncio.run(watcher.jobs(before))}
    change(
        region,
        Service.STUDY_ROUTER,
        "DELETE FROM outcomes WHERE study = ? AND attachment = ? AND revision = ? AND is_current",
        before.study,
        lost.attachment,
        str(before.revision),
    )

    seen = reconcile(region)
    mended = reconcile(region, "--repair")

    assert (seen.code, seen.kinds) == (1, ["OUTCOME_MISSING"])
    assert (mended.code, [finding["repaired"] for finding in mended.findings]) == (0, [True])
    [after] = settled(watcher, [before.study_instance_uid])
    found = ct_outcome(after)
    assert (found.outcome, found.job, found.revision) == (lost.outcome, lost.job, lost.revision)
    assert {job.job for job in asyncio.run(watcher.jobs(after))} == jobs_before


def test_an_object_deleted_in_the_archive_is_stored_again_byte_for_byte(
    region: Region, watcher: Watcher, studies: Sequence[studies_pb2.Study]
) -> None:
    [lost] = [item for item in result_objects(watcher, studies[0]) if item.kind == "SEG"]
    row = asyncio.run(watcher.rows(studies[0]))["ct-brain-hyperdensity"]
    before = asyncio.run(watcher.objects(row))["SEG"]
    asyncio.run(delete_in_archive(region, lost.sop_instance_uid))

    seen = reconcile(region)
    mended = reconcile(region, "--repair")

    assert seen.code == 1
    # The index says so too: it had seen our own object in the archive.
    assert seen.kinds == ["INDEX_AHEAD", "OBJECT_MISSING"]
    assert mended.code == 0, mended.findings
    assert all(finding["repaired"] for finding in mended.findings)
    assert asyncio.run(watcher.objects(row))["SEG"] == before
    assert reconcile(region) == Answer(0, [])


@pytest.mark.usefixtures("studies")
def test_an_event_lost_from_the_stream_is_found_and_published_again(region: Region) -> None:
    """The last one of its producer: no later number tells the journal that something is missing."""
    asyncio.run(region.reporter.stop())
    udc(region, "attach", "cxr-opacity", "1.0.0", "--mode", "shadow", "--pool", POOL)
    source, number = asyncio.run(delete_newest_event(region, subjects.DEVICE_ATTACHED))
    asyncio.run(region.reporter.start())

    seen = reconcile(region)
    mended = reconcile(region, "--repair")

    assert (seen.code, seen.kinds) == (1, ["EVENT_MISSING"])
    assert seen.findings[0]["about"] == f"{source.removeprefix('/')}/events/{number}-{number}"
    assert (mended.code, [finding["repaired"] for finding in mended.findings]) == (0, [True])
    assert reconcile(region) == Answer(0, [])
