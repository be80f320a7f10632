"""Archives that are listed, replaced or away, and what people see over gRPC meanwhile."""

import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from integration.study_router.images import write_some
from integration.study_router.world import POOL, World, region, until
from udc.events.v1 import job_pb2
from udc.router.v1 import archives_pb2, devices_pb2, jobs_pb2, studies_pb2
from udckit import subjects
from udckit.errors import InvalidRequestError, NotFoundError
from udckit.replica import replicating
from udckit.testing import Orthanc
from udcmodel.codec import decode_record
from udcmodel.grant import DeviceVersionRecord, registry_key
from udcphantom.ct import render_ct
from udcphantom.geometry import evenly, scan
from udcphantom.heads import head
from udcphantom.identity import Identity
from udcphantom.study import Study

pytestmark = pytest.mark.connected

FIRST = f"sha256:{'1' * 64}"


def head_ct(count: int = 20) -> Study:
    return render_ct(head(), scan(evenly(count, spacing=100.0 / count)))


async def found(world: World, uid: str) -> studies_pb2.Study:
    async def look() -> studies_pb2.Study | None:
        return await world.study(uid)

    return await until(look, what="finding the study")


def head_ct_of_today() -> Study:
    return render_ct(
        head(),
        scan(evenly(20, spacing=5.0)),
        identity=Identity(study_date=f"{datetime.now(UTC):%Y%m%d}"),
    )


QUICK_SWEEPS = json.dumps(
    [
        {"name": "open", "reach": "OPEN", "every_s": 0.5},
        {"name": "today", "reach": "DATED", "every_s": 2.0},
        {"name": "week", "reach": "DATED", "every_s": 3600, "days": 7},
    ]
)


async def swept_today(world: World) -> None:
    """Wait until the archive was swept once, so that what comes is news."""

    async def swept() -> bool:
        checked = await world.archives.CheckArchive(archives_pb2.CheckArchiveRequest(archive="hospital"))
        steps = {step.name: step for step in checked.steps}
        return steps["sweeps"].ok and "today complete" in steps["sweeps"].detail

    await until(swept, what="the first sweep")


async def test_an_archive_that_only_answers_queries_is_followed_too(tmp_path: Path, orthanc: Orthanc) -> None:
    study = head_ct_of_today()
    async with region(tmp_path / "region", sweeps=QUICK_SWEEPS) as world:
        await world.add_archive("hospital", orthanc, feed=archives_pb2.FEED_KIND_DICOMWEB)
        await world.attach_device("hospital")
        await swept_today(world)
        await orthanc.store(write_some(study, tmp_path / "study", last=10))
        await found(world, study.uid)
        await orthanc.store(write_some(study, tmp_path / "study", first=10))
        job = await world.job_in(study.uid, jobs_pb2.JOB_STATE_DISPATCHED)
        assert job.revision == 1
        assert len(await world.jobs_of(study.uid)) == 1
        assert len(world.index()) == 20


async def test_a_router_that_is_killed_while_it_sweeps_loses_nothing(tmp_path: Path, orthanc: Orthanc) -> None:
    study = head_ct_of_today()
    async with region(tmp_path / "region", sweeps=QUICK_SWEEPS) as world:
        await world.add_archive("hospital", orthanc, feed=archives_pb2.FEED_KIND_DICOMWEB)
        await world.attach_device("hospital")
        await swept_today(world)
        world.router.kill()
        world.router.environment_changes = {"UDC_CRASH_AT": "router.before_sweep"}
        await orthanc.store(study.write(tmp_path / "study"))

        async def died() -> bool:
            return not world.router.running

        for _ in range(3):
            await world.router.start()
            await until(died, what="death before a step of a sweep was noted")
        world.router.environment_changes = {}
        await world.router.start()
        await world.job_in(study.uid, jobs_pb2.JOB_STATE_DISPATCHED)
        assert len(await world.jobs_of(study.uid)) == 1


@pytest.mark.parametrize("feed", [archives_pb2.FEED_KIND_ORTHANC, archives_pb2.FEED_KIND_DICOMWEB])
async def test_what_is_deleted_leaves_no_change_behind_and_is_forgotten_all_the_same(
    tmp_path: Path, orthanc: Orthanc, feed: archives_pb2.FeedKind
) -> None:
    study = head_ct_of_today()
    async with region(tmp_path / "region", sweeps=QUICK_SWEEPS, sweep_every_s="2.0") as world:
        await world.add_archive("hospital", orthanc, feed=feed)
        await orthanc.store(study.write(tmp_path / "study"))

        async def held(count: int) -> bool:
            return len(world.index()) == count

        await until(lambda: held(20), what="finding the study")
        async with httpx.AsyncClient(base_url=orthanc.rest_url, auth=orthanc.credentials) as client:
            instances = (await client.get("/instances")).json()
            assert (await client.delete(f"/instances/{instances[0]}")).is_success
            await until(lambda: held(19), what="forgetting an instance")
            [name] = (await client.get("/studies")).json()
            assert (await client.delete(f"/studies/{name}")).is_success
        await until(lambda: held(0), what="forgetting the study")


async def test_an_archive_that_is_away_is_waited_for_and_nothing_is_lost(tmp_path: Path) -> None:
    study = head_ct()
    archive = Orthanc(tmp_path / "archive")
    await archive.start()
    try:
        async with region(tmp_path / "region", feed_back_off_s="1.0") as world:
            await world.add_archive("hospital", archive)
            await world.attach_device("hospital")
            checked = await world.archives.CheckArchive(archives_pb2.CheckArchiveRequest(archive="hospital"))
            assert [(step.name, step.ok) for step in checked.steps] == [("query", True), ("feed", True)]
            await archive.stop()
            checked = await world.archives.CheckArchive(archives_pb2.CheckArchiveRequest(archive="hospital"))
            assert [step.ok for step in checked.steps] == [False, False]

            await archive.start()
            await archive.store(study.write(tmp_path / "study"))
            await world.job_in(study.uid, jobs_pb2.JOB_STATE_DISPATCHED)
    finally:
        archive.kill()
        await archive.aclose()


async def test_an_archive_that_was_set_up_anew_is_compared_as_a_whole(tmp_path: Path) -> None:
    first, second = head_ct(20), render_ct(head(), scan(evenly(16, spacing=6.0)), seed=2)
    old = Orthanc(tmp_path / "old")
    await old.start()
    ports = (old.http_port, old.dimse_port)
    try:
        async with region(tmp_path / "region", feed_back_off_s="1.0") as world:
            await world.add_archive("hospital", old)
            await world.attach_device("hospital")
            await old.store(first.write(tmp_path / "first"))
            await world.job_in(first.uid, jobs_pb2.JOB_STATE_DISPATCHED)
            old.kill()
            old.release_ports()

            (tmp_path / "new").mkdir()
            (tmp_path / "new" / "password").write_text(old.credentials[1])
            async with Orthanc(tmp_path / "new", ports=ports) as new:
                await new.store(second.write(tmp_path / "second"))
                await world.job_in(second.uid, jobs_pb2.JOB_STATE_DISPATCHED)

                async def forgotten() -> bool:
                    return len(world.index()) == 16

                await until(forgotten, what="forgetting what the archive no longer holds")
                new.kill()
    finally:
        old.kill()
        await old.aclose()


async def test_people_see_every_change_of_a_job_as_it_happens_and_why(tmp_path: Path, orthanc: Orthanc) -> None:
    study = head_ct()
    async with region(tmp_path / "region") as world:
        await world.add_archive("hospital", orthanc)
        await world.attach_device("hospital")
        states: list[int] = []
        watching = world.jobs.WatchJobs(jobs_pb2.WatchJobsRequest())
        await orthanc.store(study.write(tmp_path / "study"))
        async for change in watching:
            if not states or states[-1] != change.job.state:
                states.append(change.job.state)
            if change.job.state == jobs_pb2.JOB_STATE_DISPATCHED:
                await world.infer(change.job.job, attempt=change.job.attempt, digest=FIRST)
            if change.job.state == jobs_pb2.JOB_STATE_ACCEPTED:
                await world.jobs.CancelJob(jobs_pb2.CancelJobRequest(job=change.job.job, reason="seen enough"))
            if change.job.state == jobs_pb2.JOB_STATE_ENDED:
                break
        assert states[-3:] == [
            jobs_pb2.JOB_STATE_DISPATCHED,
            jobs_pb2.JOB_STATE_ACCEPTED,
            jobs_pb2.JOB_STATE_ENDED,
        ]
        [canceled] = await world.jobs_of(study.uid)
        job = (await world.jobs.GetJob(jobs_pb2.GetJobRequest(job=canceled.job))).job
        assert (job.outcome, job.detail, job.pool) == (job_pb2.OUTCOME_CANCELED, "seen enough", POOL)
        assert [entry.event for entry in job.history] == ["CREATED", "DISPATCH", "INFERRED", "ACCEPT", "CANCEL"]

        await world.closed(study.uid)
        explained = await world.studies.ExplainStudy(studies_pb2.ExplainStudyRequest(study=study.uid))
        [explanation] = explained.explanations
        assert explanation.decision == "MATCHED"
        assert [(clause.name, clause.value) for clause in explanation.clauses] == [("adult", "TRUE")]
        [stack] = explanation.stacks
        assert stack.endswith("chosen")


async def test_wrong_calls_are_answered_with_a_reason(tmp_path: Path, orthanc: Orthanc) -> None:
    async with region(tmp_path / "region") as world:
        await world.add_archive("hospital", orthanc)
        await world.attach_device("hospital")
        with pytest.raises(NotFoundError):
            await world.jobs.GetJob(jobs_pb2.GetJobRequest(job="nothing"))
        with pytest.raises(NotFoundError):
            await world.studies.GetStudy(studies_pb2.GetStudyRequest(study="nothing"))
        with pytest.raises(InvalidRequestError):
            await world.devices.RegisterDevice(
                devices_pb2.RegisterDeviceRequest(manifest_yaml=b"schema: other", model_digest=FIRST)
            )
        suspended = await world.devices.SuspendDevice(
            devices_pb2.SuspendDeviceRequest(device="ct-brain-hyperdensity", version="1.0.0", reason="a defect")
        )
        assert suspended.device.suspended
        wanted = (await world.attachments.ListAttachments(devices_pb2.ListAttachmentsRequest())).attachments[0]
        wanted.destinations[:] = ["nowhere"]
        with pytest.raises(NotFoundError):
            await world.attachments.CreateAttachment(devices_pb2.CreateAttachmentRequest(attachment=wanted))
        wanted.destinations[:] = ["hospital"]
        wanted.version = "2.0.0"
        with pytest.raises(NotFoundError):
            await world.attachments.CreateAttachment(devices_pb2.CreateAttachmentRequest(attachment=wanted))


async def test_a_stop_reaches_every_replica_of_the_registry_within_a_second(tmp_path: Path, orthanc: Orthanc) -> None:
    key = registry_key("version", "ct-brain-hyperdensity", "1.0.0")
    async with region(tmp_path / "region") as world, replicating(world.bus, subjects.BUCKET_REGISTRY) as replica:
        await world.add_archive("hospital", orthanc)
        await world.attach_device("hospital")

        async def suspended() -> bool | None:
            if replica.is_stale:
                return None
            content = replica.get(key)
            record = None if content is None else decode_record(content)
            return isinstance(record, DeviceVersionRecord) and record.is_suspended

        async def known() -> bool:
            return await suspended() is False

        await until(known, what="replicating the device")
        request = devices_pb2.SuspendDeviceRequest(device="ct-brain-hyperdensity", version="1.0.0", reason="a defect")
        await world.devices.SuspendDevice(request)
        await until(suspended, what="the stop", within_s=1.0)
