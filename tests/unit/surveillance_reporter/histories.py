"""What happened to studies, told as the services tell it, together with the counts that it must lead to.

The truth is written down while the history is made up, step by step in the order in which it happens: the last step of
a case is its current outcome. Nothing here asks the code under test.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from google.protobuf.message import Message

from udc.events.v1 import job_pb2, result_pb2
from udckit import subjects
from udckit.envelope import Event, OutgoingEvent, headers_of, outgoing, parse

ROUTER = "/services/study-router"
SERVING = "/services/model-serving"
HOSPITAL = "1.2.643.5.1.13.13.12.2.77.7801"
CLINIC = "1.2.643.5.1.13.13.12.2.77.7802"
MOSCOW_IS_AHEAD_BY = timedelta(hours=3)
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

SUBJECTS = {
    "JobEnded": subjects.JOB_ENDED,
    "ResultAccepted": subjects.RESULT_ACCEPTED,
    "JobInferred": subjects.JOB_INFERRED,
}


class Counted(NamedTuple):
    """Where a study counts, in words; ``verdict`` and ``category`` are empty where there is none."""

    day: date
    device: str
    version: str
    organisation: str
    mode: str
    outcome: str
    category: str = ""
    verdict: str = ""


def told(message: Message, *, key: str, source: str, number: int, at: datetime, organisation: str = HOSPITAL) -> Event:
    """Return ``message`` as it arrives."""
    event = fact(message, key=key, at=at, organisation=organisation)
    headers = headers_of(event, source=source, region="r77", sequence=number, trace={})
    return parse(headers, event.body)


def fact(message: Message, *, key: str, at: datetime, organisation: str = HOSPITAL) -> OutgoingEvent:
    """Return ``message`` as it is announced."""
    subject = SUBJECTS[message.DESCRIPTOR.name]
    return outgoing(message, key=key, subject=subject, about="jobs/j", organisation=organisation, occurred_at=at)


@dataclass
class History:
    """Makes up what happens, and remembers what is to be counted."""

    events: list[Event] = field(default_factory=list)
    truth: dict[tuple[str, str], Counted] = field(default_factory=dict)
    _numbers: Counter[str] = field(default_factory=Counter)

    @property
    def counts(self) -> Counter[Counted]:
        """How many cases must be counted where."""
        return Counter(self.truth.values())

    def ends(
        self,
        *,
        study: str,
        outcome: str,
        attachment: str = "a-ct",
        job: str = "",
        revision: int = 1,
        category: str = "",
        successor: str = "",
        mode: str = "LIVE",
        device: str = "ct-device",
        version: str = "1.0.0",
        organisation: str = HOSPITAL,
        at: datetime = NOON,
        verdict: str = "",
        is_current: bool = True,
    ) -> None:
        """A job ends with ``outcome``; what it says about findings was told before, by ``infers``."""
        message = job_pb2.JobEnded(
            job=job,
            outcome=f"OUTCOME_{outcome}",
            category=f"ERROR_CATEGORY_{category}" if category else None,
            device=device,
            version=version,
            attachment=attachment,
            organisation=organisation,
            mode=f"MODE_{mode}",
            study=study,
            revision=revision,
            successor=successor,
        )
        key = f"{job}|{outcome}|{revision}" if job else f"{study}|{attachment}|{revision}|{outcome}"
        self._tell(message, key, ROUTER, at, organisation)
        if is_current:
            self.truth[study, attachment] = Counted(
                (at + MOSCOW_IS_AHEAD_BY).date(),
                device,
                version,
                organisation,
                mode,
                outcome,
                category if outcome in {"INSUFFICIENT", "FAILED", "EXPIRED"} else "",
                verdict,
            )

    def infers(self, *, job: str, digest: str, present: int = 0, undetermined: int = 0, attempt: int = 1) -> None:
        """A worker has a result."""
        message = job_pb2.JobInferred(
            job=job,
            attempt=attempt,
            worker="w",
            result_digest=digest,
            findings_present=present,
            findings_undetermined=undetermined,
        )
        self._tell(message, f"{job}|{attempt}|inferred", SERVING, NOON, HOSPITAL)

    def accepts(self, *, job: str, digest: str, issue: int = 1) -> None:
        """The router accepts a result."""
        message = result_pb2.ResultAccepted(job=job, attempt=1, result_digest=digest, issue=issue)
        self._tell(message, f"{job}|{digest}", ROUTER, NOON, HOSPITAL)

    def of(self, source: str) -> Sequence[Event]:
        """Return what ``source`` tells, in order."""
        return [event for event in self.events if event.source == source]

    def _tell(self, message: Message, key: str, source: str, at: datetime, organisation: str) -> None:
        self._numbers[source] += 1
        number = self._numbers[source]
        self.events.append(told(message, key=key, source=source, number=number, at=at, organisation=organisation))


FINDINGS = {"NORMAL": (0, 0), "PATHOLOGY": (2, 1), "UNDETERMINED": (0, 3)}
"""How many findings are present and undetermined in a result of each kind."""


def has_result(history: History, *, job: str, verdict: str) -> None:
    """Tell that ``job`` has an accepted result that says ``verdict``, after one that was not accepted."""
    present, undetermined = FINDINGS[verdict]
    history.infers(job=job, digest=f"sha256:{job}-rejected", present=9, attempt=1)
    history.infers(job=job, digest=f"sha256:{job}", present=present, undetermined=undetermined, attempt=2)
    history.accepts(job=job, digest=f"sha256:{job}")
