"""From an image in the archive to an archived result, with everything that may come twice or late."""

from pathlib import Path
from typing import TypeVar

import pytest

from integration.study_router.images import write_as_other_patient, write_report, write_some
from integration.study_router.world import ATTACHMENT, POOL, region, until
from udc.events.v1 import job_pb2, result_pb2, study_pb2
from udc.router.v1 import jobs_pb2, studies_pb2
from udckit.testing import Orthanc
from udcphantom.ct import render_ct
from udcphantom.geometry import evenly, scan
from udcphantom.heads import head
from unit.study_router.keyobjects import REJECTED_FOR_QUALITY, rejection_note

pytestmark = pytest.mark.connected

T = TypeVar("T")
FIRST = f"sha256:{'1' * 64}"
SECOND = f"sha256:{'2' * 64}"


async def test_a_study_becomes_one_archived_result(tmp_path: Path, orthanc: Orthanc) -> None:
    study = render_ct(head(), scan(evenly(30, spacing=5.0)))
    async with region(tmp_path / "region") as world:
        await world.add_archive("hospital", orthanc)
        await world.attach_device("hospital")
        await orthanc.store(study.write(tmp_path / "study"))

        job = await world.job_in(study.uid, jobs_pb2.JOB_STATE_DISPATCHED)
        dispatched = await until(lambda: _first(world.heard.of(job_pb2.JobDispatched)), what="job.dispatched")
        assert (dispatched.job, dispatched.attempt, dispatched.pool) == (job.job, 1, POOL)
        assert list(dispatched.grant.input_digests) == [item.digest for item in dispatched.inputs]

        await world.infer(job.job, digest=FIRST)
        await world.job_in(study.uid, jobs_pb2.JOB_STATE_ACCEPTED)
        await world.infer(job.job, digest=SECOND)
        accepted = await until(lambda: _first(world.heard.of(result_pb2.ResultAccepted)), what="result.accepted")
        assert accepted.result_digest == FIRST

        refused = await world.archiver.BeginArchiving(jobs_pb2.BeginArchivingRequest(job=job.job, result_digest=SECOND))
        assert (refused.granted, refused.reason) == (False, "OTHER_RESULT")
        for _ in range(2):
            granted = await world.archiver.BeginArchiving(
                jobs_pb2.BeginArchivingRequest(job=job.job, result_digest=FIRST, sop_instance_uids=["2.25.1"])
            )
            assert granted.granted
        await world.archived(job.job, FIRST, "hospital")
        ended = await world.job_in(study.uid, jobs_pb2.JOB_STATE_ENDED)
        assert ended.outcome == job_pb2.OUTCOME_ARCHIVED
        completed = await until(lambda: _first(world.heard.of(study_pb2.StudyCompleted)), what="study.completed")
        assert (completed.series_count, completed.instance_count, completed.revision) == (1, 30, 1)
        ends = [item.outcome for item in world.heard.of(job_pb2.JobEnded)]
        assert ends == [job_pb2.OUTCOME_ARCHIVED]
        assert len(world.heard.of(result_pb2.ResultAccepted)) == 1


async def _first(found: list[T]) -> T | None:
    return found[0] if found else None


async def test_a_job_has_a_trace_of_its_own_linked_to_that_of_the_study(tmp_path: Path, orthanc: Orthanc) -> None:
    study = render_ct(head(), scan(evenly(12, spacing=8.0)))
    async with region(tmp_path / "region") as world:
        await world.add_archive("hospital", orthanc)
        await world.attach_device("hospital")
        await orthanc.store(study.write(tmp_path / "study"))
        await world.job_in(study.uid, jobs_pb2.JOB_STATE_DISPATCHED)
        await until(lambda: _first(world.heard.of(job_pb2.JobDispatched)), what="job.dispatched")
        [event] = [event for event in world.heard.events if event.type.endswith("JobDispatched")]
        [root] = world.spans("job.begin")
        [of_study] = world.spans("study.begin")
        assert event.headers["traceparent"].split("-")[1] == root["trace_id"]
        assert [link["trace_id"] for link in root["links"]] == [of_study["trace_id"]]
        assert root["parent_id"] is None
        found = await world.study(study.uid)
        assert found is not None
        assert found.trace_id == of_study["trace_id"]


async def test_our_own_results_and_repeated_images_reopen_nothing(tmp_path: Path, orthanc: Orthanc) -> None:
    study = render_ct(head(), scan(evenly(20, spacing=5.0)))
    own, foreign = "2.25.4711", "2.25.4712"
    async with region(tmp_path / "region") as world:
        await world.add_archive("hospital", orthanc)
        await world.attach_device("hospital")
        paths = study.write(tmp_path / "study")
        await orthanc.store(paths)
        ended = await world.finish(study.uid, digest=FIRST, archive="hospital", own=[own])
        await world.closed(study.uid)

        await orthanc.store(paths)
        await orthanc.store([write_report(study, tmp_path / "own.dcm", sop_instance_uid=own)])
        await orthanc.store([write_report(study, tmp_path / "foreign.dcm", sop_instance_uid=foreign)])

        async def both_seen() -> bool:
            return len(world.index()) == 22

        await until(both_seen, what="indexing of both reports")
        classes = dict(world.index())
        assert (classes[own], classes[foreign]) == ("OWN_RESULT", "FOREIGN_DERIVED")
        closed = await world.closed(study.uid, revision=1)
        assert [item.job for item in closed.outcomes] == [ended.job]
        assert len(await world.jobs_of(study.uid)) == 1
        assert world.heard.of(study_pb2.StudyRevised) == []
        assert len(world.heard.of(study_pb2.StudyCompleted)) == 1


async def test_a_note_stored_later_rejects_the_images_and_ends_what_they_were_for(
    tmp_path: Path, orthanc: Orthanc
) -> None:
    study = render_ct(head(), scan(evenly(20, spacing=5.0)))
    async with region(tmp_path / "region") as world:
        await world.add_archive("hospital", orthanc)
        await world.attach_device("hospital")
        await orthanc.store(study.write(tmp_path / "study"))
        await world.job_in(study.uid, jobs_pb2.JOB_STATE_DISPATCHED)
        await world.closed(study.uid)

        rejection_note(list(study.datasets()), title=REJECTED_FOR_QUALITY).save_as(tmp_path / "note.dcm")
        await orthanc.store([tmp_path / "note.dcm"])

        revised = await world.closed(study.uid, revision=2)
        [outcome] = [item for item in revised.outcomes if item.revision == 2]
        assert (outcome.outcome, outcome.reason) == (job_pb2.OUTCOME_INSUFFICIENT, "REJECTED")
        assert outcome.category == job_pb2.ERROR_CATEGORY_SERIES
        assert "Rejected for Quality Reasons, says the note in series 900" in outcome.detail
        assert dict(world.index())[f"{study.uid}.900.2"] == "REJECTION_NOTE"
        [job] = await world.jobs_of(study.uid)
        assert job.outcome == job_pb2.OUTCOME_SUPERSEDED


async def test_a_copy_in_a_second_archive_gives_no_second_job(tmp_path: Path, orthanc: Orthanc) -> None:
    study = render_ct(head(), scan(evenly(20, spacing=5.0)))
    async with Orthanc(tmp_path / "central", ae_title="CENTRAL") as central, region(tmp_path / "region") as world:
        await world.add_archive("hospital", orthanc)
        await world.add_archive("central", central)
        await world.attach_device("hospital")
        paths = study.write(tmp_path / "study")
        await orthanc.store(paths)
        await world.finish(study.uid, digest=FIRST, archive="hospital")
        await world.closed(study.uid)

        await central.store(paths)

        async def both_archives() -> bool:
            found = await world.study(study.uid)
            return found is not None and list(found.archives) == ["hospital", "central"]

        await until(both_archives, what="finding the copy")
        closed = await world.closed(study.uid, revision=1)
        assert len(closed.outcomes) == 1
        assert len(await world.jobs_of(study.uid)) == 1
        central.kill()


async def test_a_late_slice_supersedes_what_was_made_without_it(tmp_path: Path, orthanc: Orthanc) -> None:
    study = render_ct(head(), scan(evenly(20, spacing=5.0)))
    async with region(tmp_path / "region") as world:
        await world.add_archive("hospital", orthanc)
        await world.attach_device("hospital")
        await orthanc.store(write_some(study, tmp_path / "study", last=19))
        old = await world.finish(study.uid, digest=FIRST, archive="hospital")
        await world.closed(study.uid)

        await orthanc.store(write_some(study, tmp_path / "study", first=19))
        new = await world.job_in(study.uid, jobs_pb2.JOB_STATE_DISPATCHED)
        assert new.job != old.job
        assert new.revision == 2
        await world.finish(study.uid, digest=SECOND, archive="hospital")
        closed = await world.closed(study.uid, revision=2)
        assert {(item.revision, item.job, item.outcome) for item in closed.outcomes} == {
            (1, old.job, job_pb2.OUTCOME_SUPERSEDED),
            (2, new.job, job_pb2.OUTCOME_ARCHIVED),
        }
        [revised] = world.heard.of(study_pb2.StudyRevised)
        assert revised.revision == 2
        superseded = [item for item in world.heard.of(job_pb2.JobEnded) if item.outcome == job_pb2.OUTCOME_SUPERSEDED]
        assert [(item.job, item.successor) for item in superseded] == [(old.job, new.job)]
        second = world.heard.of(result_pb2.ResultAccepted)[-1]
        assert second.issue == 2


async def test_one_uid_under_two_patients_is_quarantined(tmp_path: Path, orthanc: Orthanc) -> None:
    study = render_ct(head(), scan(evenly(12, spacing=8.0)))
    async with region(tmp_path / "region", input_quiet_s="5.0") as world:
        await world.add_archive("hospital", orthanc)
        await world.attach_device("hospital")
        await orthanc.store(study.write(tmp_path / "study"))
        await orthanc.store(write_as_other_patient(study, tmp_path / "other"))

        async def two() -> bool:
            return len(world.heard.of(study_pb2.StudyQuarantined)) == 2

        await until(two, what="quarantine of both")
        assert {item.reason for item in world.heard.of(study_pb2.StudyQuarantined)} == {"TWO_PATIENTS"}
        jobs = (await world.jobs.ListJobs(jobs_pb2.ListJobsRequest())).jobs
        assert list(jobs) == []


async def test_a_router_that_is_killed_at_every_step_resumes(tmp_path: Path, orthanc: Orthanc) -> None:
    study = render_ct(head(), scan(evenly(20, spacing=5.0)))
    async with region(tmp_path / "region") as world:
        await world.add_archive("hospital", orthanc)
        await world.attach_device("hospital")
        for point in ("router.before_cursor", "router.before_index", "router.before_plan", "database.before_commit:5"):
            world.router.kill()
            world.router.environment_changes = {"UDC_CRASH_AT": point}
            await world.router.start()
            if point == "router.before_cursor":
                await orthanc.store(study.write(tmp_path / "study"))

            async def died() -> bool:
                return not world.router.running

            await until(died, what=f"death at {point}")
        world.router.environment_changes = {}
        await world.router.start()
        ended = await world.finish(study.uid, digest=FIRST, archive="hospital")
        assert ended.outcome == job_pb2.OUTCOME_ARCHIVED
        closed = await world.closed(study.uid)
        assert len(closed.outcomes) == 1
        assert len(world.heard.of(job_pb2.JobDispatched)) == 1
        assert len(world.heard.of(study_pb2.StudyCompleted)) == 1


async def test_an_older_study_is_handed_on_once_though_the_router_is_killed_while_it_does(
    tmp_path: Path, orthanc: Orthanc
) -> None:
    study = render_ct(head(), scan(evenly(12, spacing=8.0)))
    async with region(tmp_path / "region") as world:
        await world.add_archive("hospital", orthanc)
        await orthanc.store(study.write(tmp_path / "study"))
        await world.closed(study.uid)
        world.router.kill()
        world.router.environment_changes = {"UDC_CRASH_AT": "router.before_backfill"}
        await world.router.start()
        await world.attach_device("hospital")
        order = studies_pb2.BackfillStudiesRequest(
            request_id="order-1", attachment=ATTACHMENT, study_instance_uids=[study.uid]
        )
        ordered = (await world.studies.BackfillStudies(order)).backfill

        async def died() -> bool:
            return not world.router.running

        await until(died, what="death while the study is handed on")
        world.router.environment_changes = {}
        await world.router.start()
        assert (await world.studies.BackfillStudies(order)).backfill.backfill == ordered.backfill
        job = await world.job_in(study.uid, jobs_pb2.JOB_STATE_DISPATCHED)
        assert job.priority == job_pb2.PRIORITY_BATCH

        async def ended() -> studies_pb2.Backfill | None:
            [backfill] = (await world.studies.ListBackfills(studies_pb2.ListBackfillsRequest())).backfills
            return backfill if backfill.HasField("ended_at") else None

        assert (await until(ended, what="end of the backfill")).handed_on == 1
        assert len(await world.jobs_of(study.uid)) == 1
        await world.closed(study.uid, revision=1)
