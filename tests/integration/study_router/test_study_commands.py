"""``udc study`` against a running router: what a person types, sees, and is refused."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest

from integration.study_router.images import write_as_other_patient
from integration.study_router.world import ATTACHMENT, REGION, World, region, until
from udc.router.v1 import jobs_pb2, studies_pb2
from udckit.clock import SystemClock
from udckit.security.files import write_private
from udckit.security.identity import EVERYWHERE, Role
from udckit.security.tokens import issue_token
from udckit.testing import Orthanc
from udcphantom.ct import render_ct
from udcphantom.geometry import evenly, scan
from udcphantom.heads import head
from udcphantom.study import Study

pytestmark = pytest.mark.connected

UNKNOWN_UID = "2.25.404"
USAGE = 2


WRONG_BACKFILLS: Final[Sequence[tuple[Callable[[str], Sequence[str]], int, str]]] = (
    (lambda _: [], USAGE, "Missing argument"),
    (lambda uid: ["nobody", "--study", uid], 1, "udc: there is no attachment nobody"),
    (lambda _: [ATTACHMENT, "--study", UNKNOWN_UID], 1, f"udc: no study with UID {UNKNOWN_UID} is known"),
    (lambda _: [ATTACHMENT], USAGE, "udc: name either the first and last day, or studies"),
    (
        lambda uid: [ATTACHMENT, "--study", uid, "--from", "2026-03-01", "--to", "2026-03-02"],
        USAGE,
        "udc: name either the first and last day, or studies",
    ),
    (lambda _: [ATTACHMENT, "--from", "2026-03-01"], USAGE, "udc: to_day must be a day such as 2026-03-01, not ''"),
    (
        lambda _: [ATTACHMENT, "--from", "01.03.2026", "--to", "2026-03-02"],
        USAGE,
        "udc: from_day must be a day such as 2026-03-01, not '01.03.2026'",
    ),
    (
        lambda _: [ATTACHMENT, "--from", "2026-03-02", "--to", "2026-03-01"],
        USAGE,
        "udc: 2026-03-01 is before 2026-03-02",
    ),
    (
        lambda _: [ATTACHMENT, "--from", "2026-03-01", "--to", "2026-03-02", "--request-id", "from-a-test"],
        1,
        "udc: this request_id was used for another backfill",
    ),
)
"""What is typed wrongly about a backfill, given a known study: arguments, exit status, sentence."""


@dataclass(frozen=True)
class Answer:
    """How a command ended; ``said`` is on one line."""

    code: int
    said: str


async def udc(world: World, *arguments: str) -> Answer:
    """Type a ``udc`` command."""
    token = world.state / "token"
    if not token.exists():
        issued = issue_token(
            world.installation.signing_key,
            subject="tester",
            roles=[Role.REGIONAL_ADMIN],
            organisations=[EVERYWHERE],
            region=REGION,
            clock=SystemClock(),
        )
        write_private(token, issued.encode())
    empty = world.state / "empty.env"
    empty.touch()
    environment = {
        **os.environ,
        "UDC_ENV_FILE": str(empty),
        "UDC_REGION": REGION,
        "UDC_ROUTER": world.router.address,
        "UDC_SECURITY": str(world.installation.directory),
        "UDC_TOKEN_FILE": str(token),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli",
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    text = said.decode()
    assert "Traceback" not in text
    return Answer(process.returncode or 0, " ".join(text.split()))


async def backfills(world: World) -> list[tuple[str, str, list[str], int]]:
    """Return attachment, first day, named studies and number of studies handed on, of all backfills."""
    listed = await udc(world, "study", "backfills", "--json")
    assert listed.code == 0
    return [
        (
            item["attachment"],
            item.get("from_day", ""),
            item.get("study_instance_uids", []),
            int(item.get("handed_on", 0)),
        )
        for item in json.loads(listed.said)
    ]


def head_ct() -> Study:
    return render_ct(head(), scan(evenly(20, spacing=5.0)))


async def delete_patient(orthanc: Orthanc, patient_id: str) -> None:
    """Put an archive right: what it holds of a patient goes."""
    async with httpx.AsyncClient(auth=orthanc.credentials) as client:
        found = await client.post(
            f"{orthanc.rest_url}/tools/find", json={"Level": "Patient", "Query": {"PatientID": patient_id}}
        )
        for name in found.json():
            (await client.delete(f"{orthanc.rest_url}/patients/{name}")).raise_for_status()


async def both_in_quarantine(world: World, uid: str) -> Sequence[studies_pb2.Study]:
    """Wait until a UID names two studies, both quarantined."""

    async def look() -> Sequence[studies_pb2.Study]:
        request = studies_pb2.ListStudiesRequest(study_instance_uid=uid)
        studies = (await world.studies.ListStudies(request)).studies
        states = [study.state for study in studies]
        return studies if states == [studies_pb2.STUDY_STATE_QUARANTINED] * 2 else []

    return await until(look, what="quarantine of both")


async def test_what_decides_about_a_study_is_said_plainly_while_nothing_does_and_while_it_is_open(
    tmp_path: Path, orthanc: Orthanc
) -> None:
    study = head_ct()
    async with region(tmp_path / "region", study_quiet_s="3600") as world:
        await world.add_archive("hospital", orthanc)
        await orthanc.store(study.write(tmp_path / "study"))
        await until(lambda: world.study(study.uid), what="finding the study")

        unattached = await udc(world, "study", "explain", study.uid)
        assert unattached.code == 0
        assert f"study {study.uid}: open, revision 1: what follows may change until it is closed" in unattached.said
        assert "no device is attached: nothing decides about studies; see udc attach" in unattached.said

        await world.attach_device("hospital")
        await world.job_in(study.uid, jobs_pb2.JOB_STATE_DISPATCHED)
        attached = await udc(world, "study", "explain", study.uid)
        assert "open, revision 1: what follows may change" in attached.said
        assert "ct-brain-hyperdensity 1.0.0: MATCHED" in attached.said

        assert (await udc(world, "study", "complete", study.uid)).code == 0
        await world.closed(study.uid)
        closed = await udc(world, "study", "explain", study.uid)
        ended = "end of the study: forced by an operator"
        assert f"study {study.uid}: closed, revision 1 {ended} ct-brain-hyperdensity 1.0.0: MATCHED" in closed.said
        assert "(CT, HEAD, 20 images): chosen" in closed.said
        traced = await udc(world, "study", "trace", study.uid)
        assert "study declared complete, revision 1: a person said that nothing more comes" in traced.said
        assert "study completed, revision 1: forced by an operator, the index equals the archive" in traced.said

        unknown = await udc(world, "study", "explain", UNKNOWN_UID)
        assert unknown == Answer(1, f"udc: there is no study {UNKNOWN_UID}")


async def test_a_study_goes_into_quarantine_and_out_and_every_command_says_when_and_why(
    tmp_path: Path, orthanc: Orthanc
) -> None:
    study = head_ct()
    async with region(tmp_path / "region", input_quiet_s="5.0") as world:
        await world.add_archive("hospital", orthanc)
        await world.attach_device("hospital")
        await orthanc.store(study.write(tmp_path / "study"))
        await orthanc.store(write_as_other_patient(study, tmp_path / "other"))
        names = {item.study for item in await both_in_quarantine(world, study.uid)}

        for name in names:
            explained = await udc(world, "study", "explain", name)
            assert "quarantined, revision 1" in explained.said
            assert "two patients share the StudyInstanceUID" in explained.said
            assert "ct-brain-hyperdensity 1.0.0: QUARANTINED" in explained.said
            traced = await udc(world, "study", "trace", name)
            assert "study quarantined, revision 1: two patients share the StudyInstanceUID" in traced.said

        by_uid = await udc(world, "study", "release", study.uid, "--reason", "looked at it")
        assert by_uid.code == 1
        assert "2 studies have this UID; ask for one of" in by_uid.said
        [first, second] = sorted(names)
        early = await udc(world, "study", "release", first, "--reason", "looked at it")
        assert early.code == 1
        assert "archive hospital holds the StudyInstanceUID" in early.said
        assert "under another patient; correct it there first" in early.said
        silent = await udc(world, "study", "release", first)
        assert silent.code == USAGE
        assert "--reason" in silent.said
        unknown = await udc(world, "study", "release", UNKNOWN_UID, "--reason", "looked at it")
        assert unknown == Answer(1, f"udc: there is no study {UNKNOWN_UID}")

        await delete_patient(orthanc, "PHANTOM-OTHER")
        answers = [
            await udc(world, "study", "release", name, "--reason", "Петрова А. А. was a mistake")
            for name in (first, second)
        ]
        assert sorted(answer.code for answer in answers) == [0, 1]
        [released] = [name for name, answer in zip((first, second), answers, strict=True) if answer.code == 0]
        assert f"study {released}: open, revision 2" in " ".join(answer.said for answer in answers)

        explained = await udc(world, "study", "explain", released)
        traced = await udc(world, "study", "trace", released)
        assert "released" in explained.said
        assert "study quarantined, revision 1: two patients share the StudyInstanceUID" in traced.said
        assert "study released, revision 2: the archives hold it under one patient" in traced.said
        assert "Петрова" not in explained.said + traced.said


async def test_a_backfill_is_ordered_once_followed_and_refused_when_it_makes_no_sense(
    tmp_path: Path, orthanc: Orthanc
) -> None:
    study = head_ct()
    async with region(tmp_path / "region") as world:
        await world.add_archive("hospital", orthanc)
        await orthanc.store(study.write(tmp_path / "study"))
        await world.closed(study.uid)
        await world.attach_device("hospital")
        before = await udc(world, "study", "explain", study.uid)
        assert "ct-brain-hyperdensity 1.0.0: NOT_CONCERNED" in before.said
        assert "complete before it was attached" in before.said
        assert await udc(world, "study", "backfills") == Answer(0, "Backfills: none")

        order = ("study", "backfill", ATTACHMENT, "--study", study.uid, "--request-id", "from-a-test")
        first, again = [await udc(world, *order) for _ in range(2)]
        assert (first.code, again) == (0, first)
        assert first.said.endswith(f"of {ATTACHMENT}: ordered; see udc study backfills")
        await world.job_in(study.uid, jobs_pb2.JOB_STATE_DISPATCHED)
        assert len(await world.jobs_of(study.uid)) == 1
        assert "ordered by a backfill" in (await udc(world, "study", "trace", study.uid)).said
        assert await backfills(world) == [(ATTACHMENT, "", [study.uid], 1)]

        days = await udc(world, "study", "backfill", ATTACHMENT, "--from", "2020-01-01", "--to", "2020-01-02")
        assert days.code == 0
        assert "2020-01-01 to 2020-01-02" in (await udc(world, "study", "backfills")).said

        for arguments, code, sentence in WRONG_BACKFILLS:
            refused = await udc(world, "study", "backfill", *arguments(study.uid))
            assert (refused.code, sentence in refused.said) == (code, True), refused
        assert len(await backfills(world)) == 2
