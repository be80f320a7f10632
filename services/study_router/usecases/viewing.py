"""A study as the rules see it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from study_router.domain.finished import Finished, Statement, stack_finished, study_finished
from study_router.domain.matching import CompiledRules, Compiler, compile_rules
from study_router.domain.quiet import Pauses, Sender
from study_router.domain.registry import Attachment, DeviceVersion
from study_router.domain.sender_profiles import RegisteredProfile
from study_router.domain.stacks import Stack, build_stacks
from study_router.domain.studies import StoredInstance, Study, StudyState
from study_router.domain.understanding import understood
from study_router.ports import Transaction
from udcmodel.manifest import Manifest


@dataclass(frozen=True, slots=True)
class View:
    """Everything known about a study at one moment.

    Attributes:
        study: The study.
        archives: Where it lies, first seen first.
        instances: What is known of it in all archives, as sender profiles read it.
        attachments: Every attachment with its device version.
        has_arrivals: A series of it still has to be read.
        backfilled: Attachments to which it was handed although it was complete before them.
        pauses: How long the senders of its stacks paused in earlier studies.
        settled: Those of them that have their outcome in this revision.
        statements: What senders said about it.
        profiles: Sender profiles, that of every sender of its source images; None for a sender without one.
    """

    study: Study
    archives: tuple[str, ...]
    instances: tuple[StoredInstance, ...]
    attachments: tuple[tuple[Attachment, DeviceVersion], ...]
    has_arrivals: bool
    backfilled: frozenset[str] = frozenset()
    settled: frozenset[str] = frozenset()
    pauses: Mapping[Sender, Sequence[Pauses]] = field(default_factory=dict)
    profiles: tuple[RegisteredProfile | None, ...] = ()
    statements: tuple[Statement, ...] = ()

    @property
    def owed(self) -> frozenset[str]:
        """Attachments that still have to look at it although it is closed."""
        return self.backfilled - self.settled if self.study.state is StudyState.CLOSED else frozenset()

    def stacks(self, attachment: Attachment | None = None) -> tuple[Stack, ...]:
        """Return the stacks, or those of them that ``attachment`` may look at."""
        sources = attachment.sources if attachment is not None else ()
        archives = [name for name in self.archives if not sources or name in sources]
        return build_stacks(self.instances, study_instance_uid=self.study.study_instance_uid, archives=archives)

    def finished(self) -> Finished:
        """Return what is known about the end of the study beside silence."""
        # To build stacks of thousands of images takes its time, and only declared views ask for them.
        has_views = any(profile is not None and profile.content.views for profile in self.profiles)
        stacks = self.stacks() if has_views else ()
        return study_finished(self.instances, stacks, statements=self.statements, profiles=self.profiles)

    def finished_stack(self, stack: Stack) -> Finished:
        """Return what is known about the end of one of its stacks beside silence."""
        return stack_finished(stack, self.instances, self.statements)


def view_of(transaction: Transaction, study: Study) -> View:
    """Return everything known about a study."""
    attachments = [
        (attachment, device)
        for attachment in transaction.registry.attachments()
        if (device := transaction.registry.device(attachment.device, attachment.version)) is not None
    ]
    backfilled = transaction.backfills.attachments_of(study.study)
    outcomes = transaction.jobs.outcomes(study.study, revision=study.revision) if backfilled else ()
    instances = transaction.studies.instances(study.study)
    read = understood(instances, transaction.profiles.of_organisation(study.organisation))
    return View(
        study=study,
        archives=tuple(transaction.studies.locations(study.study)),
        instances=read.instances,
        profiles=read.profiles,
        statements=tuple(transaction.statements.of_study(study.study_instance_uid)),
        attachments=tuple(attachments),
        has_arrivals=transaction.intake.has_arrivals(study.study_instance_uid),
        backfilled=backfilled,
        settled=backfilled & {outcome.attachment for outcome in outcomes},
        pauses=transaction.senders.known({Sender(item.archive, item.header.station) for item in instances}),
    )


@dataclass(frozen=True, slots=True)
class RuleBook:
    """Compiled rules of attachments; a revision never changes, so each is compiled once."""

    compiler: Compiler
    _compiled: dict[tuple[str, int, str], CompiledRules] = field(default_factory=dict)

    def rules(self, attachment: Attachment, device: DeviceVersion) -> CompiledRules:
        """Return the rules of an attachment."""
        key = (attachment.attachment, attachment.revision, device.manifest_digest)
        if key not in self._compiled:
            manifest = Manifest.from_canonical(device.manifest)
            self._compiled[key] = compile_rules(manifest, rule=attachment.rule, compiler=self.compiler)
        return self._compiled[key]
