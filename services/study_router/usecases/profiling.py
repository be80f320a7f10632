"""Sender profiles: what people of the region know of those who send images."""

from collections.abc import Sequence
from dataclasses import dataclass

from study_router.domain.sender_profiles import RegisteredProfile, parse_profile
from study_router.ports import Store, Transaction
from udckit.clock import Clock
from udckit.errors import InvalidRequestError, NotFoundError


@dataclass(frozen=True, slots=True, kw_only=True)
class PutSenderProfile:
    """Tell what senders really send. The same name with other content is the next revision."""

    store: Store
    clock: Clock

    async def __call__(self, *, organisation: str, source: bytes) -> tuple[RegisteredProfile, bool]:
        """Put a profile into use; the same content twice changes nothing.

        What is decided from now on rests on it; what was decided names the revision it rested on.

        Args:
            organisation: FRMO OID of the organisation whose studies it is about; empty for all of the region.
            source: YAML.

        Returns:
            The profile, and whether something changed.

        Raises:
            InvalidRequestError: it names an archive that there is not.
            SenderProfileError: it cannot be read.
        """
        content = parse_profile(source)

        def put(transaction: Transaction) -> tuple[RegisteredProfile, bool]:
            known = _in_use(transaction, organisation, content.profile)
            if known is not None and known.content == content:
                return known, False
            archives = {archive.archive for archive in transaction.registry.archives()}
            unknown = [name for name in content.match.archive if name not in archives]
            if unknown:
                raise InvalidRequestError(f"there is no archive {unknown[0]}; see udc archive list")
            now = self.clock.now()
            wanted = RegisteredProfile(
                organisation=organisation,
                revision=transaction.profiles.last_revision(organisation, content.profile) + 1,
                content=content,
                source=source.decode("utf-8"),
            )
            transaction.profiles.add(wanted, at=now)
            transaction.audit(
                action="sender_profile.added" if known is None else "sender_profile.changed",
                subject=_name(wanted),
                at=now,
                revision=wanted.revision,
            )
            return wanted, True

        return await self.store.transact(put)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveSenderProfile:
    """Believe the tags of its senders again."""

    store: Store
    clock: Clock

    async def __call__(self, *, organisation: str, profile: str) -> None:
        """Take a profile out of use; its revisions stay readable in the database, and are never used again.

        Raises:
            NotFoundError: there is no such profile in use.
        """

        def remove(transaction: Transaction) -> None:
            known = _in_use(transaction, organisation, profile)
            if known is None:
                raise NotFoundError(f"there is no sender profile {profile} of {organisation or 'the region'}")
            now = self.clock.now()
            transaction.profiles.remove(known, at=now)
            transaction.audit(action="sender_profile.removed", subject=_name(known), at=now, revision=known.revision)

        await self.store.transact(remove)


@dataclass(frozen=True, slots=True)
class ReadSenderProfiles:
    """The profiles in use."""

    store: Store

    async def __call__(self, *, organisation: str) -> Sequence[RegisteredProfile]:
        """Return the profiles of an organisation, or all where none is named."""
        return await self.store.read(lambda transaction: transaction.profiles.all(organisation=organisation))


def _in_use(transaction: Transaction, organisation: str, profile: str) -> RegisteredProfile | None:
    return next(
        (
            known
            for known in transaction.profiles.all()
            if (known.organisation, known.content.profile) == (organisation, profile)
        ),
        None,
    )


def _name(profile: RegisteredProfile) -> str:
    owner = f"organisations/{profile.organisation}/" if profile.organisation else ""
    return f"{owner}sender_profiles/{profile.content.profile}"
