"""Sender profiles are kept by revision, and decisions name the one they rest on; on SQLite and PostgreSQL."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from integration.study_router.routing import ORGANISATION, SOMEBODY, Routing, slice_header
from study_router.domain.instances import Told
from study_router.domain.sender_profiles import RegisteredProfile
from study_router.usecases.explaining import ExplainFacts
from study_router.usecases.profiling import PutSenderProfile, ReadSenderProfiles, RemoveSenderProfile
from udckit.database import Database
from udckit.errors import InvalidRequestError, NotFoundError
from udckit.plumbing_tables import AUDIT
from udckit.security.identity import acting_as

pytestmark = pytest.mark.connected

STUDY = "1.2"
MISLABELLED = [replace(slice_header(number), body_part="ДОП. ОБЛАСТЬ", station="CT1") for number in range(1, 21)]
HEAD = "schema: udc.sender/v1alpha1\nprofile: ct1\nmatch: {station: [CT1]}\nfacts: {body_part: {set: HEAD}}\n"


class Senders(Routing):
    """A router whose sender profiles the test changes."""

    async def put_profile(self, text: str = HEAD, *, organisation: str = "") -> tuple[RegisteredProfile, bool]:
        with acting_as(SOMEBODY):
            put = PutSenderProfile(store=self.store, clock=self.clock)
            return await put(organisation=organisation, source=text.encode())

    async def remove_profile(self, name: str = "ct1", *, organisation: str = "") -> None:
        with acting_as(SOMEBODY):
            await RemoveSenderProfile(store=self.store, clock=self.clock)(organisation=organisation, profile=name)

    async def profiles(self, *, organisation: str = "") -> list[str]:
        return [str(found) for found in await ReadSenderProfiles(self.store)(organisation=organisation)]

    async def facts(self) -> dict[str, Told]:
        known = await ExplainFacts(self.store)(STUDY)
        return {told.name: told for told in known.stacks[0].facts}

    async def audited(self) -> list[str]:
        rows = await self.database.read(
            lambda connection: connection.execute(select(AUDIT.c.action).order_by(AUDIT.c.seq)).scalars().all()
        )
        return [action for action in rows if action.startswith("sender_profile.")]


@pytest.fixture
async def routing(database: Database) -> Senders:
    routing = Senders(database)
    await routing.ready()
    return routing


async def test_a_device_sees_a_study_whose_tags_lie_once_somebody_says_what_they_mean(routing: Senders) -> None:
    await routing.arrive(STUDY, MISLABELLED)
    await routing.look(after_s=15)
    assert await routing.jobs() == []
    assert await routing.facts() == {
        "modality": Told("modality", "CT", "CT"),
        "body_part": Told("body_part", "ДОП. ОБЛАСТЬ", "ДОП. ОБЛАСТЬ"),
        "kernel_class": Told("kernel_class", "SOFT", "SOFT"),
    }
    await routing.put_profile()
    await routing.evaluate((await routing.only_study()).study)
    assert len(await routing.jobs()) == 1
    assert (await routing.facts())["body_part"] == Told("body_part", "ДОП. ОБЛАСТЬ", "HEAD", "profile ct1 r1")


async def test_what_was_decided_names_its_revision_although_there_is_a_newer_one(routing: Senders) -> None:
    await routing.put_profile()
    await routing.arrive(STUDY, MISLABELLED)
    await routing.look(after_s=600)
    await routing.put_profile(HEAD.replace("HEAD", "CHEST"))
    await routing.look(after_s=600)
    assert (await routing.facts())["body_part"].source == "profile ct1 r1"
    study = (await routing.only_study()).study
    snapshot = await routing.store.read(lambda transaction: transaction.studies.snapshot(study, 1))
    assert snapshot is not None
    assert [stack["profile"] for stack in snapshot.facts["stacks"]] == ["ct1 r1"]


async def test_revisions_rise_and_are_never_used_twice(routing: Senders) -> None:
    first, is_new = await routing.put_profile()
    assert (first.revision, is_new) == (1, True)
    same, is_new = await routing.put_profile(f"# the same in other words\n{HEAD}")
    assert (same.revision, is_new) == (1, False)
    await routing.put_profile(HEAD.replace("HEAD", "CHEST"))
    assert await routing.profiles() == ["ct1 r2"]
    await routing.remove_profile()
    assert await routing.profiles() == []
    await routing.put_profile()
    assert await routing.profiles() == ["ct1 r3"]
    assert await routing.audited() == [
        "sender_profile.added",
        "sender_profile.changed",
        "sender_profile.removed",
        "sender_profile.added",
    ]


async def test_a_profile_of_one_organisation_says_nothing_about_another(routing: Senders) -> None:
    await routing.put_profile(organisation="1.2.643.5.1.13.13.12.2.77.1")
    await routing.arrive(STUDY, MISLABELLED)
    await routing.look(after_s=15)
    assert await routing.jobs() == []
    await routing.put_profile(organisation=ORGANISATION)
    await routing.evaluate((await routing.only_study()).study)
    assert len(await routing.jobs()) == 1
    assert await routing.profiles(organisation=ORGANISATION) == ["ct1 r1"]
    assert len(await routing.profiles()) == 2


async def test_a_profile_about_an_archive_that_there_is_not_is_refused(routing: Senders) -> None:
    with pytest.raises(InvalidRequestError, match="there is no archive nowhere"):
        await routing.put_profile(HEAD.replace("station: [CT1]", "archive: [nowhere]"))
    with pytest.raises(NotFoundError, match="no sender profile ct1 of the region"):
        await routing.remove_profile()


async def test_silence_lasts_as_long_as_the_profile_says(routing: Senders) -> None:
    await routing.put_profile(f"{HEAD}quiet: {{input_s: 40, study_s: 60}}\n")
    await routing.arrive(STUDY, MISLABELLED)
    await routing.look(after_s=39)
    assert await routing.jobs() == []
    await routing.look(after_s=1)
    job = await routing.only_job()
    [created] = await routing.store.read(lambda transaction: transaction.jobs.history(job.job))
    assert "quiet for 40.0 s (40 s as sender profile ct1 r1 says)" in created.detail
    await routing.look(after_s=20)
    assert (await routing.only_study()).due_at is None
