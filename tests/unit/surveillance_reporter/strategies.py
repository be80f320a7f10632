"""Histories made up by hypothesis."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from hypothesis import strategies as st

from udckit.envelope import Event
from unit.surveillance_reporter.histories import CLINIC, HOSPITAL, NOON, History, has_result

WITHOUT_JOB = ("NOT_ELIGIBLE", "REFUSED")
WITHOUT_RESULT = ("INSUFFICIENT", "FAILED", "EXPIRED", "CANCELED")
CATEGORIES = ("", "SERVER_UNAVAILABLE", "NUMBER_OF_IMAGES", "MODALITY", "SERIES", "TAG", "BODY_PART", "IMAGES", "OTHER")
VERDICTS = ("NORMAL", "PATHOLOGY", "UNDETERMINED")


@st.composite
def histories(draw: st.DrawFn) -> History:
    """A few studies with up to three revisions each, for one or two attachments."""
    history = History()
    jobs = count(1)
    for study in range(draw(st.integers(1, 4))):
        for attachment in range(draw(st.integers(1, 2))):
            _live(draw, history, f"s{study}", f"a{attachment}", jobs)
    return history


def _live(draw: st.DrawFn, history: History, study: str, attachment: str, jobs: "count[int]") -> None:
    """Let one study have its revisions for one attachment."""
    organisation = draw(st.sampled_from((HOSPITAL, CLINIC)))
    before = ""
    for revision in range(1, draw(st.integers(1, 3)) + 1):
        place = Place(
            history=history,
            study=study,
            attachment=attachment,
            organisation=organisation,
            revision=revision,
            version=f"{draw(st.integers(1, 2))}.0.0",
            at=NOON + timedelta(hours=draw(st.integers(0, 72))),
        )
        job = f"j{next(jobs)}"
        is_late = draw(st.booleans())
        if before and not is_late:
            place.ends("SUPERSEDED", job=before, revision=revision - 1, successor=job)
        ended = _end(draw, place, job)
        if before and is_late:
            place.ends("SUPERSEDED", job=before, revision=revision - 1, successor=job, is_current=False)
        before = ended


@dataclass(frozen=True)
class Place:
    """What all events about one revision of a study have in common."""

    history: History
    study: str
    attachment: str
    organisation: str
    revision: int
    version: str
    at: datetime

    def ends(
        self,
        outcome: str,
        *,
        job: str = "",
        category: str = "",
        mode: str = "LIVE",
        verdict: str = "",
        successor: str = "",
        revision: int | None = None,
        is_current: bool = True,
    ) -> None:
        self.history.ends(
            study=self.study,
            attachment=self.attachment,
            organisation=self.organisation,
            revision=self.revision if revision is None else revision,
            version=self.version,
            at=self.at,
            outcome=outcome,
            job=job,
            category=category,
            mode=mode,
            verdict=verdict,
            successor=successor,
            is_current=is_current,
        )


def _end(draw: st.DrawFn, place: Place, job: str) -> str:
    """End a job in one of the ways there are; return its id if it can be superseded afterwards, else nothing."""
    end = draw(st.sampled_from((*WITHOUT_JOB, *WITHOUT_RESULT, "ARCHIVED", "KEPT", "WITHDRAWN", "SUPERSEDED")))
    if end in WITHOUT_JOB:
        place.ends(end)
        return ""
    if end in WITHOUT_RESULT:
        place.ends(end, job=job, category=draw(st.sampled_from(CATEGORIES)))
        return job
    if end == "SUPERSEDED":
        place.ends(end, job=job)
        return ""
    verdict = draw(st.sampled_from(VERDICTS))
    has_result(place.history, job=job, verdict=verdict)
    mode = "SHADOW" if end == "KEPT" else draw(st.sampled_from(("PILOT", "LIVE")))
    place.ends("KEPT" if end == "KEPT" else "ARCHIVED", job=job, mode=mode, verdict=verdict)
    if end == "WITHDRAWN":
        place.ends(end, job=job, mode=mode)
        return ""
    return job


@st.composite
def deliveries(draw: st.DrawFn, history: History) -> list[Event]:
    """The events of ``history`` in any order, some of them more than once."""
    again = draw(st.lists(st.sampled_from(history.events), max_size=10))
    return draw(st.permutations([*history.events, *again]))
