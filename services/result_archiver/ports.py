"""What the use cases need from the world."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from result_archiver.domain.delivery import Delivery, DeliveryKey, State
from result_archiver.domain.failure import FailureReason
from result_archiver.domain.objects import BuildOrder, DeviceDescription, DicomJson, EncodedObject, Snapshot
from udcmodel.grant import ArchiveRecord, AttachmentRecord, DeviceVersionRecord, Grant, Refused
from udcmodel.result import AiResult


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedResult:
    """A result that the router accepted.

    Attributes:
        job: Id of the job.
        result_digest: Digest of the ``AiResult``.
        grant: What the router allowed.
        stack_digest: Digest of the description of the first image stack of the study.
        source_archive: Archive that the images came from.
        study: Internal id of the study.
        issue: From 1.
        destinations: Ids of archives; empty in shadow mode.
        patient_fingerprint: Keyed hash of the patient's identity when the job was made.
        accepted_at: When it was accepted.
        deadline: After this nobody waits for the result any more.
        organisation: FRMO OID.
    """

    job: str
    result_digest: str
    grant: Grant
    stack_digest: str
    source_archive: str
    study: str
    issue: int
    destinations: tuple[str, ...]
    patient_fingerprint: str
    accepted_at: datetime
    deadline: datetime
    organisation: str


class Registry(Protocol):
    """The current registry. Every method raises ``StaleReplicaError`` (UNAVAILABLE) when it may not be current."""

    def device_version(self, device: str, version: str) -> DeviceVersionRecord | None:
        """Return a device version."""

    def attachment(self, attachment: str) -> AttachmentRecord | None:
        """Return an attachment."""

    def archive(self, archive: str) -> ArchiveRecord | None:
        """Return an archive."""


class Contents(Protocol):
    """The content-addressed things a result points to.

    Every method raises ``CannotArchiveError`` when the thing is not there or is not what it should be.
    """

    async def result(self, digest: str) -> AiResult:
        """Return a checked result."""

    async def description(self, grant: Grant) -> DeviceDescription:
        """Return how the device of a grant is called, from its manifest."""

    async def study_instance_uid(self, stack_digest: str) -> str:
        """Return the Study Instance UID of a stack."""


class Archive(Protocol):
    """One image archive.

    Every method raises ``UpstreamUnavailableError`` or ``OverloadedError`` when the archive is away or busy, and
    ``ArchiveBrokeError`` when it failed in the middle.
    """

    async def headers(self, study: str, series: str) -> Sequence[DicomJson]:
        """Return the headers of all instances of a series; none when it is not there."""

    async def header(self, study: str, series: str, instance: str) -> DicomJson | None:
        """Return the header of one instance, or None."""

    async def file(self, study: str, series: str, instance: str) -> bytes | None:
        """Return an instance as the archive holds it, or None."""

    async def store(self, study: str, content: EncodedObject) -> None:
        """Store an object.

        Raises:
            CannotArchiveError: the archive refused it or did not confirm it.
        """


OpenArchive = Callable[[ArchiveRecord], Archive]
"""Gives access to an archive of the registry."""


@dataclass(frozen=True, slots=True)
class Line:
    """The router's answer: after ``granted`` archiving finishes."""

    granted: bool
    reason: str = ""
    detail: str = ""


class Router(Protocol):
    """The owner of jobs."""

    async def begin_archiving(self, job: str, result_digest: str, sop_instance_uids: Sequence[str]) -> Line:
        """Ask for the line to be crossed.

        Raises:
            UpstreamUnavailableError, TimedOutError: nobody knows; nothing may be archived.
        """


class Builder(Protocol):
    """Makes objects."""

    version: str

    async def __call__(self, order: BuildOrder) -> Sequence[EncodedObject]:
        """Build the objects of a result in the order in which they are stored.

        Raises:
            CannotArchiveError: the sources or the result do not allow valid objects.
        """


Difference = Callable[[bytes, bytes], str | None]
"""Says how the second file differs from the first, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The objects of a result as they were committed; whoever sends them sends these bytes.

    Attributes:
        study_instance_uid: (0020,000D).
        witness: Series and SOP Instance UID of a source: its header says who the patient is now.
        builder_version: What built them.
        objects: In the order in which they are stored.
    """

    study_instance_uid: str
    witness: tuple[str, str]
    builder_version: str
    objects: tuple[EncodedObject, ...]


class Ledger(Protocol):
    """The archiver's own record."""

    async def built(self, job: str, result_digest: str) -> Built | None:
        """Return what was built for a result."""

    async def delivery(self, key: DeliveryKey) -> Delivery | None:
        """Return a delivery."""

    async def archived_since(self, since: datetime, *, jobs: Collection[str]) -> Sequence[DeliveryKey]:
        """Return the deliveries that were archived since then, or those of ``jobs`` if any are named."""

    async def witness(self, job: str, result_digest: str) -> DicomJson | None:
        """Return the header that the witness had when the objects were built."""

    async def note_redelivery(self, key: DeliveryKey, sop_instance_uid: str, *, at: datetime) -> None:
        """Note in the audit trail who had an object stored again."""

    async def keep(self, key: DeliveryKey, built: Built, snapshot: Snapshot, *, at: datetime) -> Built:
        """Commit objects and a delivery in state BUILT; return what is committed, which may be another's earlier."""

    async def open(self, key: DeliveryKey, *, at: datetime) -> Delivery:
        """Return the delivery of objects that are committed, in state BUILT when it is new."""

    async def grant(self, key: DeliveryKey, *, at: datetime) -> State:
        """Note that the router agreed; return the state that the delivery is in now."""

    async def note_stored(self, key: DeliveryKey, sop_instance_uid: str, *, at: datetime) -> None:
        """Note that the archive confirmed an object."""

    async def note_verified(self, key: DeliveryKey, sop_instance_uid: str, *, at: datetime) -> None:
        """Note that an object was read back equal."""

    async def stop(self, key: DeliveryKey, line: Line, *, at: datetime) -> None:
        """End a delivery before the line because the router did not agree; the router knows."""

    async def refuse(self, accepted: AcceptedResult, key: DeliveryKey, refused: Refused, *, at: datetime) -> None:
        """End a delivery before the line because the grant no longer holds, and announce it."""

    async def fail(
        self, accepted: AcceptedResult, key: DeliveryKey, why: FailureReason, detail: str, *, at: datetime
    ) -> None:
        """End a delivery that cannot succeed, and announce it."""

    async def archived(
        self, accepted: AcceptedResult, key: DeliveryKey, objects: Sequence[EncodedObject], *, at: datetime
    ) -> None:
        """End a delivery whose objects were all read back, and announce it."""
