"""Archives, devices and attachments: what people and vendors tell the router."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from study_router.domain.announcements import DeviceAttached, DeviceRegistered
from study_router.domain.matching import Compiler, compile_rules
from study_router.domain.registry import PROFILES, Archive, Attachment, DeviceVersion, FeedKind
from study_router.ports import Store, Transaction
from udckit.clock import Clock
from udckit.errors import ConflictError, DeniedError, InvalidRequestError, NotFoundError, PreconditionError
from udcmodel.golden import GoldenCases, check_golden, parse_golden
from udcmodel.grant import Certificate, check_certificate
from udcmodel.manifest import Manifest, parse
from udcmodel.vocabulary import Mode

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_MARGIN_S: Final = 60
"""Added to a device's own limit for queueing and retrieval when an attachment names no deadline."""

PutObject = Callable[[bytes], Awaitable[str]]
HasObject = Callable[[str], Awaitable[bool]]


class AlreadyRegisteredError(PreconditionError):
    """A version is immutable: other content needs another version."""

    reason = "ALREADY_REGISTERED"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterDevice:
    """Register a version of a device; it never changes afterwards.

    Golden cases are kept apart, where nothing is forgotten: a version runs as long as it passes them.
    """

    store: Store
    put: PutObject
    put_case: PutObject
    has_case: HasObject
    compiler: Compiler
    clock: Clock

    async def __call__(
        self,
        *,
        manifest_yaml: bytes,
        model_digest: str,
        certificate: Certificate | None,
        may_certify: bool,
        golden_json: bytes = b"",
    ) -> tuple[DeviceVersion, bool]:
        """Check the manifest with its rules and cases and register it; the same content twice changes nothing.

        Args:
            manifest_yaml: As the vendor wrote it.
            model_digest: Of the model's files.
            certificate: Snapshot of the registration certificate; None for what is no medical device.
            may_certify: Whether the caller may give a registered version, which may be attached, another certificate.
            golden_json: The golden cases, whose inputs have been put before; empty when there are none.

        Returns:
            The version, and whether it is new.

        Raises:
            AlreadyRegisteredError: this version is registered with other content.
            DeniedError: the version has another certificate, which this caller may not change.
            InvalidRequestError: manifest, rule, digest or a golden case is wrong.
            NotFoundError: an input of a golden case was not put.
        """
        manifest = parse(manifest_yaml)
        compile_rules(manifest, rule="", compiler=self.compiler)
        _require_one_stack_each(manifest)
        if not _DIGEST.fullmatch(model_digest):
            raise InvalidRequestError("model_digest must be sha256: and 64 hexadecimal digits")
        golden = await self._golden(golden_json, manifest) if golden_json else None
        content = manifest.canonical()
        digest = await self.put(content)
        wanted = DeviceVersion(
            device=manifest.device,
            version=manifest.version,
            title_ru=manifest.title.ru,
            title_en=manifest.title.en,
            vendor=manifest.vendor.name,
            manifest=content,
            manifest_digest=digest,
            model_digest=model_digest,
            is_medical_device=manifest.kind == "medical_device",
            certificate=certificate,
            pool=manifest.resources.pool,
            timeout_s=int(-(-manifest.limits.timeout_s // 1)),
            golden_digest="" if golden is None else golden.digest,
            golden_cases=0 if golden is None else len(golden.cases),
        )
        return await self.store.transact(partial(self._register, wanted=wanted, may_certify=may_certify))

    async def _golden(self, content: bytes, manifest: Manifest) -> GoldenCases:
        golden = parse_golden(content)
        check_golden(golden, manifest)
        for case in golden.cases:
            for digest in case.inputs.values():
                if not await self.has_case(digest):
                    raise NotFoundError(f"an input of golden case {case.case} was not put", digest=digest)
        await self.put_case(golden.canonical())
        return golden

    def _register(
        self, transaction: Transaction, *, wanted: DeviceVersion, may_certify: bool
    ) -> tuple[DeviceVersion, bool]:
        transaction.registry.lock()
        known = transaction.registry.device(wanted.device, wanted.version)
        now = self.clock.now()
        name = f"devices/{wanted.device}/versions/{wanted.version}"
        if known is None:
            same = _same_key(wanted.version, [item.version for item in _versions(transaction, wanted.device)])
            if same:
                raise ConflictError(f"{name} cannot be told from version {same} in the registry", device=wanted.device)
            transaction.registry.put_device(wanted)
            transaction.announce(
                DeviceRegistered(
                    device=wanted.device,
                    version=wanted.version,
                    manifest_digest=wanted.manifest_digest,
                    model_digest=wanted.model_digest,
                    is_medical_device=wanted.is_medical_device,
                    at=now,
                )
            )
            transaction.audit(
                action="device.registered",
                subject=name,
                at=now,
                manifest=wanted.manifest_digest,
                model=wanted.model_digest,
                golden=wanted.golden_digest,
            )
            return wanted, True
        if _content(known) != _content(wanted):
            raise AlreadyRegisteredError(
                f"{name} is registered with other content; a change needs a new version", device=wanted.device
            )
        if wanted.certificate is not None and wanted.certificate != known.certificate:
            if not may_certify:
                raise DeniedError(
                    f"{name} is registered; only an administrator of the region changes its certificate",
                    device=wanted.device,
                )
            known = replace(known, certificate=wanted.certificate)
            transaction.registry.put_device(known)
            transaction.audit(action="device.certified", subject=name, at=now, certificate=wanted.certificate.number)
        return known, False


def _content(device: DeviceVersion) -> tuple[str, str, str]:
    return device.manifest_digest, device.model_digest, device.golden_digest


def _versions(transaction: Transaction, device: str) -> Sequence[DeviceVersion]:
    return [item for item in transaction.registry.devices() if item.device == device]


def _same_key(name: str, others: Sequence[str]) -> str:
    """Return another name that the registry's keys, which have no dots, would not tell from ``name``."""
    return next((other for other in others if other != name and other.replace(".", "-") == name.replace(".", "-")), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspendDevice:
    """Stop new work of a device version everywhere, or allow it again."""

    store: Store
    clock: Clock

    async def __call__(self, *, device: str, version: str, is_suspended: bool, reason: str) -> DeviceVersion:
        """Change the suspension; what is so already stays so.

        Raises:
            NotFoundError: there is no such version.
        """

        def change(transaction: Transaction) -> DeviceVersion:
            transaction.registry.lock()
            known = transaction.registry.device(device, version)
            if known is None:
                raise NotFoundError(f"there is no device {device} {version}", device=device, version=version)
            if known.is_suspended == is_suspended:
                return known
            changed = replace(known, is_suspended=is_suspended, suspension_reason=reason if is_suspended else "")
            transaction.registry.put_device(changed)
            transaction.audit(
                action="device.suspended" if is_suspended else "device.resumed",
                subject=f"devices/{device}/versions/{version}",
                at=self.clock.now(),
                reason=reason,
            )
            return changed

        return await self.store.transact(change)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAttachment:
    """Let a device version run somewhere. The same name with other content is the next revision."""

    store: Store
    compiler: Compiler
    clock: Clock

    async def __call__(self, wanted: Attachment) -> tuple[Attachment, bool]:
        """Create or change the attachment; the same content twice changes nothing.

        Args:
            wanted: Revision and ``effective_from`` are set here; pool and deadline may be left out (empty, 0).

        Returns:
            The attachment, and whether it is new.

        Raises:
            InvalidRequestError: name or rule is wrong, or a result could be shown nowhere.
            NotFoundError: device version or archive is unknown.
            PreconditionError: the device may not show results to anybody.
        """
        _check_name(wanted.attachment, "attachment")
        if wanted.mode is not Mode.SHADOW and not wanted.destinations:
            raise InvalidRequestError(f"attachment {wanted.attachment} shows results and names no destination")
        return await self.store.transact(lambda transaction: self._create(transaction, wanted))

    def _create(self, transaction: Transaction, wanted: Attachment) -> tuple[Attachment, bool]:
        now = self.clock.now()
        transaction.registry.lock()
        device = transaction.registry.device(wanted.device, wanted.version)
        if device is None:
            raise NotFoundError(f"there is no device {wanted.device} {wanted.version}", device=wanted.device)
        for archive in (*wanted.sources, *wanted.destinations):
            transaction.registry.archive(archive)
        if wanted.mode is not Mode.SHADOW:
            refused = check_certificate(device.record(), now=now)
            if refused is not None:
                raise PreconditionError(
                    f"attachment {wanted.attachment} may run in shadow mode only: {refused.detail}",
                    refusal=refused.refusal.value,
                )
        compile_rules(Manifest.from_canonical(device.manifest), rule=wanted.rule, compiler=self.compiler)
        known = transaction.registry.attachment(wanted.attachment)
        complete = replace(
            wanted,
            revision=1 if known is None else known.revision,
            pool=wanted.pool or device.pool,
            deadline_s=wanted.deadline_s or device.timeout_s + _MARGIN_S,
            effective_from=now if known is None else known.effective_from,
        )
        _check_name(complete.pool, "pool")
        if complete == known:
            return complete, False
        if known is not None:
            complete = replace(complete, revision=known.revision + 1, effective_from=now)
        transaction.registry.put_attachment(complete)
        # What is open is its business, and would not be looked at before it is closed.
        transaction.studies.hasten(now)
        transaction.announce(
            DeviceAttached(
                attachment=complete.attachment,
                revision=complete.revision,
                device=complete.device,
                version=complete.version,
                mode=complete.mode,
                at=now,
            )
        )
        transaction.audit(
            action="attachment.created" if known is None else "attachment.changed",
            subject=f"attachments/{complete.attachment}",
            at=now,
            revision=complete.revision,
            device=complete.device,
            version=complete.version,
            mode=complete.mode.value,
        )
        return complete, known is None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddArchive:
    """Add an image archive, or change how it is reached."""

    store: Store
    clock: Clock

    async def __call__(self, archive: Archive) -> tuple[Archive, bool]:
        """Add the archive; the same content twice changes nothing.

        Returns:
            The archive, and whether it is new.

        Raises:
            InvalidRequestError: a field is missing or wrong.
        """
        _check_name(archive.archive, "archive")
        for url, name in ((archive.dicomweb_url, "dicomweb_url"), (archive.orthanc_url, "orthanc_url")):
            if url and not url.startswith(("http://", "https://")):
                raise InvalidRequestError(f"{name} must begin with http:// or https://")
            if "@" in url.partition("//")[2].partition("/")[0]:
                raise InvalidRequestError(f"{name} must not have a password in it; name a secret with credentials")
        if not archive.dicomweb_url:
            raise InvalidRequestError("dicomweb_url is missing")
        if archive.feed is FeedKind.ORTHANC and not archive.orthanc_url:
            raise InvalidRequestError("orthanc_url is missing; the feed of an Orthanc needs it")
        if archive.profile not in PROFILES:
            raise InvalidRequestError(f"profile must be one of {', '.join(PROFILES)}")
        if not archive.organisation:
            raise InvalidRequestError("organisation is missing")
        if "/" in archive.credentials or archive.credentials.startswith("."):
            raise InvalidRequestError("credentials must be the name of a secret")
        return await self.store.transact(lambda transaction: self._add(transaction, archive))

    def _add(self, transaction: Transaction, archive: Archive) -> tuple[Archive, bool]:
        transaction.registry.lock()
        known = next((item for item in transaction.registry.archives() if item.archive == archive.archive), None)
        if known == archive:
            return archive, False
        transaction.registry.put_archive(archive)
        transaction.audit(
            action="archive.added" if known is None else "archive.changed",
            subject=f"archives/{archive.archive}",
            at=self.clock.now(),
            organisation=archive.organisation,
            feed=archive.feed.value,
            profile=archive.profile,
        )
        return archive, known is None


def _check_name(name: str, what: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidRequestError(f"the name of {what} has lower-case letters, digits and dashes, not {name!r}")


def _require_one_stack_each(manifest: Manifest) -> None:
    several = [item.name for item in manifest.inputs if item.cardinality == "each"]
    if several:
        raise InvalidRequestError(
            f"input {several[0]}: no worker takes several stacks for one input yet: write `cardinality: one`, and what "
            "decides between them under `prefer`"
        )
