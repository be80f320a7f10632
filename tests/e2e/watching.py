"""What an end-to-end test sees: studies, outcomes and objects, through the public APIs only."""

import asyncio
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pydicom
from pydicom.dataset import Dataset

from cli.connection import Services, connected
from cli.settings import Settings
from region.objects import retrieve
from region.service import ServiceProcess
from region.stack import Region
from region.story import Row, rows_of, studies_of
from udc.router.v1 import jobs_pb2, studies_pb2

PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Watcher:
    """Asks the services and the archive."""

    region: Region

    def settings(self) -> Settings:
        return Settings(_env_file=self.region.environment_file)

    async def until(
        self, uids: Sequence[str], enough: Callable[[studies_pb2.Study], bool]
    ) -> Mapping[str, studies_pb2.Study]:
        """Wait until every study of ``uids`` is known and ``enough`` is true of it."""
        found: Mapping[str, studies_pb2.Study] = {}
        try:
            async with asyncio.timeout(PATIENCE_S), connected(self.settings()) as services:
                while True:
                    found = await studies_of(services)
                    if all(uid in found and enough(found[uid]) for uid in uids):
                        return found
                    await asyncio.sleep(0.3)
        except TimeoutError:
            seen = "\n".join(str(found.get(uid, f"{uid}: not seen")) for uid in uids)
            raise AssertionError(f"not as expected after {PATIENCE_S:.0f} s:\n{seen}") from None

    async def rows(self, study: studies_pb2.Study) -> dict[str, Row]:
        """Return the outcomes of a study by device."""
        async with connected(self.settings()) as services:
            return {row.device.split()[0]: row for row in await rows_of(services, study)}

    async def jobs(self, study: studies_pb2.Study) -> Sequence[jobs_pb2.Job]:
        """Return all jobs of a study, with their histories."""

        async def detailed(services: Services) -> Sequence[jobs_pb2.Job]:
            listed = (await services.jobs.ListJobs(jobs_pb2.ListJobsRequest(study=study.study, page_size=100))).jobs
            return [(await services.jobs.GetJob(jobs_pb2.GetJobRequest(job=job.job))).job for job in listed]

        async with connected(self.settings()) as services:
            return await detailed(services)

    async def objects(self, row: Row) -> dict[str, Dataset]:
        """Fetch the objects of a result from the archive, by kind."""
        async with httpx.AsyncClient(auth=self.region.orthanc.credentials, timeout=30) as client:
            return {
                item.kind: pydicom.dcmread(
                    io.BytesIO(await retrieve(client, self.region.orthanc.dicomweb_url, row.study_instance_uid, item))
                )
                for item in row.objects
            }

    async def instance_count(self, study_instance_uid: str) -> int:
        """Ask the archive how many instances of a study it holds (QIDO-RS, PS3.18 10.6)."""
        url = f"{self.region.orthanc.dicomweb_url}/studies/{study_instance_uid}/instances"
        async with httpx.AsyncClient(auth=self.region.orthanc.credentials, timeout=30) as client:
            answer = await client.get(url, headers={"Accept": "application/dicom+json"})
            answer.raise_for_status()
            return len(answer.json())


def read_all(paths: Sequence[Path]) -> list[Dataset]:
    """Read DICOM files."""
    return [pydicom.dcmread(path) for path in paths]


async def until_dead(process: ServiceProcess, *, within_s: float = 60.0) -> None:
    """Wait until a process has killed itself.

    Raises:
        AssertionError: it lives: the place at which it should die was never reached, and the test would show nothing.
    """
    try:
        async with asyncio.timeout(within_s):
            while process.running:  # noqa: ASYNC110 - a process sets no asyncio event
                await asyncio.sleep(0.05)
    except TimeoutError:
        place = process.environment_changes.get("UDC_CRASH_AT")
        raise AssertionError(f"{process.name} never passed {place}") from None
